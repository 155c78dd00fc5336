/** What is looked at on this side before the server is asked, and what is said where it will not do. */
import { access, constants, realpath, stat } from 'node:fs/promises';
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

/** What keeps this program from a path, in the words of ssh2-sftp-client, and the number that Node has for it. */
interface Refusal {
  readonly words: string;
  readonly errno?: number;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  ENOENT: { words: 'not exist', errno: -2 },
  EACCES: { words: 'permission denied', errno: -13 },
  ENOTDIR: { words: 'parent not a directory' },
};

async function refusalOf(path: string, way: 'read' | 'write'): Promise<Refusal | undefined> {
  try {
    await access(path, way === 'read' ? constants.R_OK : constants.W_OK);
    return undefined;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    return REFUSALS[code] ?? { words: message };
  }
}

/** A file that will be sent must be one that can be read. */
export async function checkLocalSource(path: string, method: 'put' | 'fastPut'): Promise<void> {
  const refusal = await refusalOf(path, 'read');
  if (refusal !== undefined) {
    const colon = method === 'put' ? '' : ':';
    const message = `${method}: Bad path: ${path}${colon} ${refusal.words}`;
    throw clientError(message, refusal.errno ?? CODES.generic);
  }
  if ((await localKind(path)) !== 'directory') return;
  if (method === 'fastPut') throw badPath(`fastPut: Bad path: ${path} not a regular file`);
  const text = 'EISDIR: illegal operation on a directory, read';
  throw clientError(`_put: Read stream error: ${text} ${path}`, 'EISDIR');
}

/** A file that exists must be one that can be written; a new one, one that can be made. */
export async function checkLocalTarget(path: string, method: string, code: string): Promise<void> {
  const kind = await localKind(path);
  if (kind === 'directory') {
    const text = `EISDIR: illegal operation on a directory, open '${path}'`;
    throw clientError(`${method}: ${text} ${path}`, 'EISDIR');
  }
  const directory = dirname(path);
  const refusal = await refusalOf(kind === undefined ? directory : path, 'write');
  if (kind !== undefined) {
    if (refusal !== undefined) throw clientError(`${method}: Bad path: ${path}: ${refusal.words}`, code);
    return;
  }
  const words =
    refusal?.words ?? ((await localKind(directory)) === 'directory' ? undefined : 'not a directory');
  if (words !== undefined) throw clientError(`${method}: Bad path: ${path}: ${directory}: ${words}`, code);
}

/** A file cannot be replaced, only written, where its directory cannot be written; and a device is not to be replaced. */
export async function mustStayInPlace(path: string): Promise<boolean> {
  const kind = await localKind(path);
  if (kind === undefined) return false;
  if (kind === 'other') return true;
  return (await refusalOf(dirname(await realpath(path)), 'write')) !== undefined;
}

/** A directory that files are downloaded into is made if it is missing. */
export async function checkLocalDirectory(path: string): Promise<void> {
  const kind = await localKind(path);
  if (kind === undefined) return;
  if (kind !== 'directory') throw badPath(`_prepareDestination: Bad path: ${path}: not a directory`);
  const refusal = await refusalOf(path, 'write');
  if (refusal !== undefined) {
    throw clientError(`prepareDestination: Bad path: ${path}: ${refusal.words}`, CODES.generic);
  }
}

export function badPath(message: string): Error {
  return clientError(message, CODES.badPath);
}
