import { homedir } from 'node:os';
import { join } from 'node:path';

/** Expands a leading `~` as the shell does for the user's own home; `~other` stays as it is. */
export function expandHome(path: string): string {
  if (path === '~') {
    return homedir();
  }
  const inHome = path.startsWith('~/') || (process.platform === 'win32' && path.startsWith('~\\'));
  return inHome ? join(homedir(), path.slice(2)) : path;
}
