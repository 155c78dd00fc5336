/** Patterns for local names, where no shell has replaced them: in batches, in our own shell, on Windows. */
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, parse } from 'node:path';
import picomatch from 'picomatch';

/** What a local path with patterns stands for; itself where nothing fits. */
export function localMatches(text: string): readonly string[] {
  const path = withHome(text);
  const plain = process.platform === 'win32' ? path : path.replace(/\\([*?[\]{}\\])/g, '$1');
  if (existsSync(path)) return [path];
  if (!/[*?[{]/.test(path) || existsSync(plain)) return [plain];
  const root = isAbsolute(path) ? parse(path).root : '';
  const segments = path.slice(root.length).split(process.platform === 'win32' ? /[\\/]/ : '/');
  let found: readonly string[] = [root];
  for (const segment of segments.filter((each) => each !== '')) {
    found = found.flatMap((folder) => childrenOf(folder, segment));
  }
  return found.length === 0 ? [plain] : found;
}

/** `~` at the beginning is the home directory, as in a shell. */
export function withHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}

function childrenOf(folder: string, segment: string): readonly string[] {
  if (!/[*?[{\\]/.test(segment)) {
    const path = join(folder, segment);
    return existsSync(path) ? [path] : [];
  }
  const fits = picomatch(segment, { dot: segment.startsWith('.') });
  try {
    return readdirSync(folder === '' ? '.' : folder)
      .filter((name) => fits(name))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}
