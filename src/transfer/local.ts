/** The local disk as a {@link FileSystem}. Errors are Node's own. */
import { Buffer } from 'node:buffer';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { FileType } from '../wire/attributes.js';
import { removeOnExit } from './exit-removal.js';
import {
  type DirectoryEntry,
  type FileChanges,
  type FileInfo,
  type FileSystem,
  hasCode,
  type ListOptions,
  type OpenTargetOptions,
  type SourceFile,
  type TargetFile,
} from './file-system.js';
import { CHUNK_LENGTH, LocalSource, LocalTarget } from './local-file.js';
import { identityOf, objectionTo } from './local-names.js';
import { UNKNOWN_INFO } from './memory.js';

const openOnce = promisify(fs.open);
const open = (file: Buffer, flags: number, mode?: number) => patiently(() => openOnce(file, flags, mode));
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const ftruncate = promisify(fs.ftruncate);

const SEPARATOR = Buffer.from('/');
const DIRECTORY_BATCH = 256;
/** How often and how long to wait for a descriptor where the process has as many open as it may. */
const OPEN_ATTEMPTS = 200;
const OPEN_PAUSE_MS = 10;

export const localFileSystem: FileSystem = {
  chunkLength: { read: CHUNK_LENGTH, write: Number.POSITIVE_INFINITY },
  takesBlocks: true,
  maxOpenFiles: 512,

  textOf: (file) => file.toString('utf8'),
  join: (directory, name) =>
    path.sep === '/'
      ? Buffer.concat(endsWithSlash(directory) ? [directory, name] : [directory, SEPARATOR, name])
      : Buffer.from(path.join(directory.toString(), name.toString())),
  split: splitPath,
  objectionTo: (name) => objectionTo(name),
  identityOf: (name) => identityOf(name),
  permitted: (mode) => mode & 0o777 & ~process.umask(),
  isLocal: true,
  isReachable: true,

  stat: async (file) => infoOf(await fs.promises.stat(file)),
  lstat: async (file) => infoOf(await fs.promises.lstat(file)),
  list,
  openSource,
  openTarget,
  ensureDirectory,
  realPath: (file) => fs.promises.realpath(file, { encoding: 'buffer' }),
  replace: (from, to) => fs.promises.rename(from, to),
  rename,
  truncate: (file, size) => fs.promises.truncate(file, size),
  setAttributes,
  removeFile: (file) => fs.promises.unlink(file),
  removeDirectory: (directory) => fs.promises.rmdir(directory),
  readLink: (link) => fs.promises.readlink(link, { encoding: 'buffer' }),
  makeLink: (target, link) => fs.promises.symlink(target, link),
  removeOnExit,
};

/** A second name can be given without replacing anything, which `rename` cannot promise. */
async function rename(from: Buffer, to: Buffer): Promise<void> {
  try {
    await fs.promises.link(from, to);
  } catch (error) {
    // Disks without hard links: what is there now is at least not replaced.
    if (!hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
    if (await exists(to)) throw inTheWay(to);
    return fs.promises.rename(from, to);
  }
  await fs.promises.unlink(from);
}

async function exists(file: Buffer): Promise<boolean> {
  return fs.promises.lstat(file).then(
    () => true,
    (error) => {
      if (hasCode(error, 'ENOENT')) return false;
      throw error;
    },
  );
}

function inTheWay(file: Buffer): NodeJS.ErrnoException {
  const path = file.toString();
  return Object.assign(new Error(`EEXIST: file already exists, rename to '${path}'`), {
    code: 'EEXIST',
    syscall: 'rename',
    path,
  });
}

/** Of the directory itself: no link is followed that has taken its place. */
async function setAttributes(directory: Buffer, changes: FileChanges): Promise<void> {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  if (O_DIRECTORY === undefined || O_NOFOLLOW === undefined) return setAttributesByPath(directory, changes);
  const descriptor = await open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    // The times first: a mode may forbid the rest.
    await new LocalTarget(descriptor).setAttributes({ ...changes, mode: undefined });
    await new LocalTarget(descriptor).setAttributes({ mode: changes.mode });
  } finally {
    await close(descriptor);
  }
}

/** Windows opens no directories. */
async function setAttributesByPath(directory: Buffer, { mode, atime, mtime }: FileChanges): Promise<void> {
  if (mtime !== undefined) await fs.promises.utimes(directory, atime ?? mtime, mtime);
  if (mode !== undefined) await fs.promises.chmod(directory, mode);
}

function infoOf(stats: fs.Stats): FileInfo {
  return {
    type: typeOf(stats),
    size: stats.size,
    mode: stats.mode & 0o7777,
    atime: stats.atimeMs / 1000,
    mtime: stats.mtimeMs / 1000,
  };
}

function typeOf(
  stats: Pick<
    fs.Stats,
    | 'isFile'
    | 'isDirectory'
    | 'isSymbolicLink'
    | 'isFIFO'
    | 'isSocket'
    | 'isBlockDevice'
    | 'isCharacterDevice'
  >,
): FileType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  if (stats.isBlockDevice()) return 'block-device';
  return stats.isCharacterDevice() ? 'character-device' : 'unknown';
}

async function* list(
  directory: Buffer,
  { signal, typesOnly = false }: ListOptions,
): AsyncGenerator<readonly DirectoryEntry[]> {
  signal?.throwIfAborted();
  if (typesOnly) {
    yield await listTypes(directory);
    return;
  }
  const names = await patiently(() => fs.promises.readdir(directory, { encoding: 'buffer' }));
  for (let start = 0; start < names.length; start += DIRECTORY_BATCH) {
    signal?.throwIfAborted();
    yield await Promise.all(
      names.slice(start, start + DIRECTORY_BATCH).map(async (name) => ({
        name,
        info: await localFileSystem.lstat(localFileSystem.join(directory, name), {}),
      })),
    );
  }
}

/** Systems keep the type of an entry beside its name, so that no file need be looked at. */
async function listTypes(directory: Buffer): Promise<readonly DirectoryEntry[]> {
  const entries = await patiently(() =>
    fs.promises.readdir(directory, { encoding: 'buffer', withFileTypes: true }),
  );
  return entries.map((entry) => ({ name: entry.name, info: { ...UNKNOWN_INFO, type: typeOf(entry) } }));
}

/** Without O_NONBLOCK the opening of a FIFO would wait for its writer, and block a thread for good. */
const READ_FLAGS = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);

async function openSource(file: Buffer): Promise<SourceFile> {
  const descriptor = await open(file, READ_FLAGS);
  try {
    const info = infoOf(await fstat(descriptor));
    if (info.type !== 'file') throw notARegularFile('read', file, info.type);
    return new LocalSource(descriptor, info);
  } catch (error) {
    await close(descriptor);
    throw error;
  }
}

async function openTarget(file: Buffer, options: OpenTargetOptions): Promise<TargetFile> {
  const { exclusive = false, refuseLink = false, mode = 0o666, keep } = options;
  const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NONBLOCK = 0, O_NOFOLLOW } = fs.constants;
  const emptied = keep === undefined ? O_TRUNC : 0;
  const extra = exclusive ? O_EXCL : emptied | (refuseLink ? (O_NOFOLLOW ?? 0) : 0);
  // Where the system has no O_NOFOLLOW, a look before must do.
  if (refuseLink && O_NOFOLLOW === undefined && (await isLink(file))) throw linkInTheWay(file);
  let descriptor: number;
  try {
    // As with reading, a FIFO must not block.
    descriptor = await open(file, O_WRONLY | O_CREAT | O_NONBLOCK | extra, mode);
  } catch (error) {
    throw refuseLink && hasCode(error, 'ELOOP') ? linkInTheWay(file) : error;
  }
  if (keep !== undefined) await ftruncate(descriptor, keep);
  return new LocalTarget(descriptor);
}

/** Tries again where the process has as many files open as it may: those of other copies are closed soon. */
async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (let count = 1; ; count += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (count === OPEN_ATTEMPTS || !hasCode(error, 'EMFILE', 'ENFILE')) throw error;
      await setTimeout(OPEN_PAUSE_MS);
    }
  }
}

async function isLink(file: Buffer): Promise<boolean> {
  const stats = await fs.promises.lstat(file).catch(() => undefined);
  return stats?.isSymbolicLink() ?? false;
}

function linkInTheWay(file: Buffer): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(
    `ELOOP: a symlink is in the way of the file, open '${file.toString()}'`,
  );
  return Object.assign(error, { code: 'ELOOP', syscall: 'open', path: file.toString() });
}

/** A link to a directory is in the way too: nothing is written through it. */
async function ensureDirectory(directory: Buffer): Promise<boolean> {
  try {
    await fs.promises.mkdir(directory);
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const { type } = await localFileSystem.lstat(directory, {});
    if (type !== 'directory') {
      throw Object.assign(
        new Error(`ENOTDIR: a ${type} is in the way of the directory, mkdir '${directory.toString()}'`),
        { code: 'ENOTDIR', syscall: 'mkdir', path: directory.toString() },
      );
    }
    return false;
  }
}

/** As Node words its own errors. */
function notARegularFile(operation: string, file: Buffer, type: FileType): NodeJS.ErrnoException {
  const code = type === 'directory' ? 'EISDIR' : 'EINVAL';
  const what = type === 'directory' ? 'is a directory' : `is not a regular file but a ${type}`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${what}, ${operation} '${file.toString()}'`);
  return Object.assign(error, { code, syscall: operation, path: file.toString() });
}

function endsWithSlash(directory: Buffer): boolean {
  return directory[directory.length - 1] === 0x2f;
}

function splitPath(file: Buffer): { directory: Buffer; name: Buffer } {
  if (path.sep !== '/') {
    const text = file.toString();
    return { directory: Buffer.from(path.dirname(text)), name: Buffer.from(path.basename(text)) };
  }
  const at = file.lastIndexOf('/');
  if (at < 0) return { directory: Buffer.from('.'), name: file };
  return { directory: file.subarray(0, Math.max(1, at)), name: file.subarray(at + 1) };
}
