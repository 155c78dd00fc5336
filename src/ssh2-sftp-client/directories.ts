/** Making and removing directories, and copies on the server, with the answers of ssh2-sftp-client. */
import { posix } from 'node:path';
import { type Connection, type FileAttributes, type FileType, SftpStatusError } from '../index.js';
import { asClientError, isMissing } from './client-error.js';
import { badPath } from './local-checks.js';

/** A path that begins with `./` or `../` as the server's absolute one; any other stays as it is. */
export async function absolutePath(sftp: Connection, path: string): Promise<string> {
  return /^\.\.?\//.test(path) ? posix.join(await sftp.normalize('.'), path) : path;
}

export async function makeDirectory(sftp: Connection, path: string, recursive: boolean): Promise<string> {
  const full = await absolutePath(sftp, path);
  const found = recursive ? await kindOf(sftp, full) : undefined;
  if (found === 'directory') return `${full} already exists`;
  try {
    await (recursive ? sftp.makedirs(full) : sftp.mkdir(full));
  } catch (error) {
    return explainMaking(sftp, full, error);
  }
  return `${full} directory created`;
}

/** A directory that exists already is no error. */
async function explainMaking(sftp: Connection, path: string, error: unknown): Promise<string> {
  const kind = await anyKindOf(sftp, path).catch(() => undefined);
  if (kind === 'directory') return `${path} already exists`;
  if (kind !== undefined) throw badPath(`mkdir: _mkdir: Bad path: ${path} already exists as a file`);
  const blocked = error instanceof SftpStatusError && error.code === 'ENOTDIR' ? error.path : undefined;
  if (blocked !== undefined && blocked !== path) {
    throw badPath(`mkdir: _mkdir: Bad path: ${blocked} not a directory`);
  }
  if (isMissing(error)) {
    throw badPath(`mkdir: _doMkdir: Bad path: ${path} parent not a directory or not exist`);
  }
  throw asClientError(error, { before: 'mkdir: _doMkdir', after: path });
}

export async function removeDirectory(sftp: Connection, path: string, recursive: boolean): Promise<string> {
  const full = await absolutePath(sftp, path);
  try {
    await (recursive ? sftp.rmtree(full) : sftp.rmdir(full));
  } catch (error) {
    const kind = await kindOf(sftp, full, 'lstat').catch(() => 'directory');
    if (kind === undefined) throw badPath(`rmdir: Bad Path: ${path}: No such directory`);
    if (kind !== 'directory') throw badPath(`rmdir: Bad Path: ${path}: Not a directory`);
    throw asClientError(error, { before: 'rmdir', after: full });
  }
  return 'Successfully removed directory';
}

export async function copyFile(sftp: Connection, source: string, target: string): Promise<string> {
  const [from, to] = [await absolutePath(sftp, source), await absolutePath(sftp, target)];
  const [sourceKind, targetKind] = await Promise.all([kindOf(sftp, from), kindOf(sftp, to, 'lstat')]);
  if (sourceKind === undefined) throw badPath(`rcopy: Source does not exist ${from}`);
  if (sourceKind !== 'file') throw badPath(`rcopy: Source not a file ${from}`);
  if (targetKind !== undefined) throw badPath(`rcopy: Destination already exists ${to}`);
  await sftp.copy(from, to);
  return `${from} copied to ${to}`;
}

/** A dangling symlink is in the way, too. */
async function anyKindOf(sftp: Connection, path: string): Promise<FileType | undefined> {
  return (await kindOf(sftp, path)) ?? (await kindOf(sftp, path, 'lstat'));
}

/** What keeps a directory from being made: the nearest path, itself or above it, that exists and is none. */
export async function obstacleOf(sftp: Connection, directory: string): Promise<string | undefined> {
  const kind = await kindOf(sftp, directory).catch((): FileType => 'directory');
  if (kind !== undefined) return kind === 'directory' ? undefined : directory;
  const above = posix.dirname(directory);
  return above === directory ? undefined : obstacleOf(sftp, above);
}

async function kindOf(
  sftp: Connection,
  path: string,
  how: 'stat' | 'lstat' = 'stat',
): Promise<FileType | undefined> {
  return (await find(sftp, path, how))?.type;
}

/** What a path names, or `undefined` if it does not exist. */
export async function find(
  sftp: Connection,
  path: string,
  how: 'stat' | 'lstat',
): Promise<FileAttributes | undefined> {
  try {
    return await sftp[how](path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
