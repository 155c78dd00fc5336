/** What is looked at on this side before the server is asked, and what is said where it will not do. */
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CODES, clientError } from './client-error.js';

/** Of a path of this machine, links followed; `undefined` if it does not exist. */
export async function localKind(path: string): Promise<'directory' | 'file' | 'other' | undefined> {
  try {
    const stats = await stat(path);
    return stats.isDirectory() ? 'directory' : stats.isFile() ? 'file' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** The directory of a file that will be written must exist already. */
export async function checkLocalTarget(path: string, method: string, code: string): Promise<void> {
  const kind = await localKind(path);
  if (kind === 'directory') {
    const text = `EISDIR: illegal operation on a directory, open '${path}'`;
    throw clientError(`${method}: ${text} ${path}`, 'EISDIR');
  }
  if (kind !== undefined) return;
  const directory = dirname(path);
  if ((await localKind(directory)) !== 'directory') {
    throw clientError(`${method}: Bad path: ${path}: ${directory}: not exist`, code);
  }
}

/** The number that Node has for a file that does not exist, as errors of `put` have it. */
export const NO_SUCH_LOCAL_FILE = -2;

export function badPath(message: string): Error {
  return clientError(message, CODES.badPath);
}
