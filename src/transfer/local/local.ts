/** The local disk as a {@link FileSystem}. Errors are Node's own. */

import { Buffer } from 'node:buffer';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { asTextPath } from '../../shared/local-path.js';
import type { FileType } from '../../wire/attributes.js';
import {
  type DirectoryEntry,
  type FileInfo,
  type FileSystem,
  hasCode,
  type ListOptions,
  type OpenSourceOptions,
  type OpenTargetOptions,
  type ReopenedFile,
  type SourceFile,
  type TargetFile,
  unlessCode,
} from '../file-system.js';
import { UNKNOWN_INFO } from '../memory.js';
import { isReservedFor } from '../ownership.js';
import { specialSource, specialTarget } from '../special-file.js';
import { removeOnExit } from './exit-removal.js';
import { checkLinks, checkOwnership } from './foreign-links.js';
import { setAttributes } from './local-attributes.js';
import { CHUNK_LENGTH, LocalReopened, LocalSource, LocalTarget } from './local-file.js';
import { identityOf, objectionTo } from './local-names.js';
import { localError, open, openUnlinked, patiently, typeOf } from './local-opening.js';

const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const ftruncate = promisify(fs.ftruncate);

const SEPARATOR = Buffer.from('/');
const DIRECTORY_BATCH = 256;

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
  reopen,
  newFile,
  ensureDirectory,
  realPath: (file) => fs.promises.realpath(file, { encoding: 'buffer' }),
  isReservedFor: (uid, directory, options) => isReservedFor(localFileSystem, { uid, directory }, options),
  replace: (from, to) => fs.promises.rename(from, to),
  rename,
  setAttributes,
  removeFile: (file) => fs.promises.unlink(file),
  removeDirectory: (directory) => fs.promises.rmdir(directory),
  // Deno gives an array that is no Buffer.
  readLink: async (link) => Buffer.from(await fs.promises.readlink(link, { encoding: 'buffer' })),
  makeLink: (target, link) => fs.promises.symlink(target, link),
  checkLink: (link) => checkLinks(link.toString(), { purpose: 'write' }),
  removeOnExit,
};

/** A second name can be given without replacing anything, which `rename` cannot promise. */
async function rename(from: Buffer, to: Buffer): Promise<void> {
  // There the first name of an open file stays until it is closed.
  if (process.platform === 'win32') return renameIfFree(from, to);
  try {
    await fs.promises.link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
    return renameIfFree(from, to);
  }
  await fs.promises.unlink(from);
}

/** Also on disks without hard links: what is there now is at least not replaced. */
async function renameIfFree(from: Buffer, to: Buffer): Promise<void> {
  if (await unlessCode(fs.promises.lstat(to), 'ENOENT')) throw inTheWay(to);
  return fs.promises.rename(from, to);
}

function inTheWay(path: Buffer): NodeJS.ErrnoException {
  return localError('EEXIST', 'file already exists', { syscall: 'rename', path });
}

/** Windows has no permissions and owners that other systems would understand: Node shows 0o666 or 0o444, and 0. */
export function infoOf(stats: fs.Stats, platform: NodeJS.Platform = process.platform): FileInfo {
  const isWindows = platform === 'win32';
  return {
    type: typeOf(stats),
    size: stats.size,
    mode: isWindows ? undefined : stats.mode & 0o7777,
    atime: stats.atimeMs / 1000,
    mtime: stats.mtimeMs / 1000,
    uid: isWindows ? undefined : stats.uid,
    gid: isWindows ? undefined : stats.gid,
  };
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
  const entries: readonly (fs.Dirent<Buffer> | Buffer)[] = await patiently(() =>
    fs.promises.readdir(directory, { encoding: 'buffer', withFileTypes: true }),
  );
  const listed: DirectoryEntry[] = [];
  for (const entry of entries) {
    // Bun gives the names alone when they are asked for as bytes.
    const isName = Buffer.isBuffer(entry);
    const name = isName ? entry : entry.name;
    const type = typeOf(isName ? await fs.promises.lstat(localFileSystem.join(directory, name)) : entry);
    listed.push({ name, info: { ...UNKNOWN_INFO, type } });
  }
  return listed;
}

/** Without O_NONBLOCK the opening of a FIFO would wait for its writer, and block a thread for good. */
const READ_FLAGS = fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0);

async function openSource(file: Buffer, { refuseLink = false }: OpenSourceOptions): Promise<SourceFile> {
  const descriptor = await openUnlinked(file, READ_FLAGS, { refuseLink, purpose: 'read' });
  try {
    const info = infoOf(await fstat(descriptor));
    if (info.type !== 'file') throw notReadable(file, info.type);
    return new LocalSource(descriptor, info);
  } catch (error) {
    await close(descriptor);
    throw error;
  }
}

async function openTarget(file: Buffer, options: OpenTargetOptions): Promise<TargetFile> {
  const { exclusive = false, refuseLink = false, mode = 0o666, keep = 0 } = options;
  const { O_WRONLY, O_CREAT, O_EXCL, O_NONBLOCK = 0 } = fs.constants;
  // As with reading, a FIFO must not block.
  const flags = O_WRONLY | O_CREAT | O_NONBLOCK;
  try {
    return new LocalTarget(await open(file, flags | O_EXCL, mode));
  } catch (error) {
    if (exclusive || !hasCode(error, 'EEXIST')) throw error;
  }
  // A reader of a FIFO takes it for the end if it is opened and closed again.
  const known = await fs.promises.stat(file).catch(() => undefined);
  if (known !== undefined) checkWritable(file, known);
  const descriptor = await openUnlinked(file, flags, { refuseLink, purpose: 'write', mode });
  try {
    const stats = await fstat(descriptor);
    checkWritable(file, stats);
    if (stats.isFile()) {
      checkOwnership(file.toString(), stats);
      await ftruncate(descriptor, keep);
    } else await checkSeekable(file, stats, descriptor);
    return new LocalTarget(descriptor);
  } catch (error) {
    await close(descriptor);
    throw error;
  }
}

function checkWritable(file: Buffer, stats: fs.Stats): void {
  if (stats.isFIFO() || stats.isSocket()) throw notWritable(file, stats);
}

/** Of devices, disks can be written to at any place, and terminals cannot. */
async function checkSeekable(file: Buffer, stats: fs.Stats, descriptor: number): Promise<void> {
  await new LocalTarget(descriptor).probe(0).catch((error) => {
    throw hasCode(error, 'ESPIPE') ? notWritable(file, stats) : error;
  });
}

async function reopen(file: Buffer): Promise<ReopenedFile | undefined> {
  const { O_RDWR, O_NONBLOCK = 0 } = fs.constants;
  const descriptor = await openUnlinked(file, O_RDWR | O_NONBLOCK, {
    refuseLink: true,
    purpose: 'write',
  }).catch((error) => {
    if (error.code !== undefined) return undefined;
    throw error;
  });
  if (descriptor === undefined) return undefined;
  const stats = await fstat(descriptor);
  if (stats.isFile()) return new LocalReopened(descriptor, stats, infoOf(stats));
  await close(descriptor);
  return undefined;
}

async function newFile(): Promise<FileInfo> {
  const nowS = Date.now() / 1000;
  const mode = 0o666 & ~process.umask();
  return { type: 'file', size: 0, mode, atime: nowS, mtime: nowS, uid: process.geteuid?.() };
}

/** A link to a directory is in the way too: nothing is written through it. */
async function ensureDirectory(directory: Buffer): Promise<boolean> {
  try {
    await fs.promises.mkdir(asTextPath(directory));
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const { type } = await localFileSystem.lstat(directory, {});
    if (type !== 'directory') {
      const what = `a ${type} is in the way of the directory`;
      throw localError('ENOTDIR', what, { syscall: 'mkdir', path: directory });
    }
    return false;
  }
}

function notReadable(path: Buffer, type: FileType): NodeJS.ErrnoException {
  const isDirectory = type === 'directory';
  const what = isDirectory ? 'is a directory' : specialSource({ type, isLocal: true });
  return localError(isDirectory ? 'EISDIR' : 'EINVAL', what, { syscall: 'read', path });
}

function notWritable(path: Buffer, stats: fs.Stats): NodeJS.ErrnoException {
  const what = specialTarget({ type: typeOf(stats), isLocal: true }, true);
  return localError('EEXIST', what, { syscall: 'write', path });
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
