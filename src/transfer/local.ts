/** The local disk as a {@link FileSystem}. Errors are Node's own. */
import { Buffer } from 'node:buffer';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import type { FileType } from '../wire/attributes.js';
import {
  type Cancellable,
  type DirectoryEntry,
  type FileChanges,
  type FileInfo,
  type FileSystem,
  hasCode,
  type OpenTargetOptions,
  type SourceFile,
  type TargetFile,
} from './file-system.js';

const open = promisify(fs.open);
const close = promisify(fs.close);
const fstat = promisify(fs.fstat);
const fchmod = promisify(fs.fchmod);
const futimes = promisify(fs.futimes);

/** What the other side can take decides; this is the length of a read where it can take anything. */
const CHUNK_LENGTH = 256 * 1024;
/** Buffers that are kept for the next read, for the whole process. */
const MAX_POOLED_BUFFERS = 32;
const DIRECTORY_BATCH = 256;

export const localFileSystem: FileSystem = {
  chunkLength: { read: CHUNK_LENGTH, write: Number.POSITIVE_INFINITY },
  maxOpenFiles: 256,

  textOf: (file) => file.toString('utf8'),
  join: (directory, name) =>
    path.sep === '/'
      ? Buffer.concat([directory, Buffer.from(endsWithSlash(directory) ? '' : '/'), name])
      : Buffer.from(path.join(directory.toString(), name.toString())),
  split: splitPath,
  objectionTo,

  stat: async (file) => infoOf(await fs.promises.stat(file)),
  lstat: async (file) => infoOf(await fs.promises.lstat(file)),
  list,
  openSource,
  openTarget,
  ensureDirectory,
  realPath: (file) => fs.promises.realpath(file, { encoding: 'buffer' }),
  replace: (from, to) => fs.promises.rename(from, to),
  removeFile: (file) => fs.promises.unlink(file),
  removeDirectory: (directory) => fs.promises.rmdir(directory),
  readLink: (link) => fs.promises.readlink(link, { encoding: 'buffer' }),
  makeLink: (target, link) => fs.promises.symlink(target, link),
};

function infoOf(stats: fs.Stats): FileInfo {
  return {
    type: typeOf(stats),
    size: stats.size,
    mode: stats.mode & 0o7777,
    atime: stats.atimeMs / 1000,
    mtime: stats.mtimeMs / 1000,
  };
}

function typeOf(stats: fs.Stats | fs.Dirent): FileType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  if (stats.isBlockDevice()) return 'block-device';
  return stats.isCharacterDevice() ? 'character-device' : 'unknown';
}

async function* list(directory: Buffer, { signal }: Cancellable): AsyncGenerator<readonly DirectoryEntry[]> {
  signal?.throwIfAborted();
  const names = await fs.promises.readdir(directory, { encoding: 'buffer' });
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
  const { exclusive = false, refuseLink = false } = options;
  const { O_WRONLY, O_CREAT, O_EXCL, O_TRUNC, O_NONBLOCK = 0, O_NOFOLLOW } = fs.constants;
  const extra = exclusive ? O_EXCL : O_TRUNC | (refuseLink ? (O_NOFOLLOW ?? 0) : 0);
  // Where the system has no O_NOFOLLOW, a look before must do.
  if (refuseLink && O_NOFOLLOW === undefined && (await isLink(file))) throw linkInTheWay(file);
  try {
    // As with reading, a FIFO must not block.
    return new LocalTarget(await open(file, O_WRONLY | O_CREAT | O_NONBLOCK | extra));
  } catch (error) {
    throw refuseLink && hasCode(error, 'ELOOP') ? linkInTheWay(file) : error;
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

/** Reading into the same memory again spares the allocation, and its collection, of every chunk. */
const pool: Buffer[] = [];

class LocalSource implements SourceFile {
  readonly info: FileInfo;
  readonly #descriptor: number;

  constructor(descriptor: number, info: FileInfo) {
    this.#descriptor = descriptor;
    this.info = info;
  }

  async read(offset: number, length: number): Promise<readonly Buffer[] | null> {
    const whole =
      length > CHUNK_LENGTH / 2 && length <= CHUNK_LENGTH
        ? (pool.pop() ?? Buffer.allocUnsafeSlow(CHUNK_LENGTH))
        : Buffer.allocUnsafe(length);
    const count = await readAt(this.#descriptor, whole, length, offset);
    return count === 0 ? null : [whole.subarray(0, count)];
  }

  release(pieces: readonly Buffer[]): void {
    for (const { buffer } of pieces) {
      if (buffer.byteLength === CHUNK_LENGTH && pool.length < MAX_POOLED_BUFFERS)
        pool.push(Buffer.from(buffer));
    }
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }
}

class LocalTarget implements TargetFile {
  readonly isOrdered = false;
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async write(offset: number, pieces: readonly Buffer[]): Promise<void> {
    let position = offset;
    let rest = pieces;
    while (rest.length > 0) {
      const count = await writeAt(this.#descriptor, rest, position);
      position += count;
      rest = without(rest, count);
    }
  }

  async setAttributes({ mode, atime, mtime }: FileChanges): Promise<void> {
    if (mode !== undefined) await fchmod(this.#descriptor, mode);
    if (mtime !== undefined) await futimes(this.#descriptor, atime ?? mtime, mtime);
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }
}

function readAt(descriptor: number, buffer: Buffer, length: number, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(descriptor, buffer, 0, length, offset, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

function writeAt(descriptor: number, pieces: readonly Buffer[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.writev(descriptor, pieces, offset, (error, count) => (error ? reject(error) : resolve(count)));
  });
}

/** What is left of the pieces after `count` bytes: a disk may take less than it is given. */
function without(pieces: readonly Buffer[], count: number): readonly Buffer[] {
  let skip = count;
  return pieces.flatMap((piece) => {
    const left = piece.subarray(Math.min(skip, piece.length));
    skip -= piece.length - left.length;
    return left.length === 0 ? [] : [left];
  });
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

/** Names that mean a device on Windows, whatever their ending. */
const WINDOWS_DEVICE = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)/i;

/**
 * A name that came from a server is used only if it names one thing, inside the directory.
 *
 * @param platform as `process.platform`
 */
export function objectionTo(name: Buffer, platform: NodeJS.Platform = process.platform): string | undefined {
  const text = name.toString('utf8');
  if (name.length === 0) return 'it is empty';
  if (text === '.' || text === '..') return 'it names a directory above';
  if (name.includes(0)) return 'it contains a NUL';
  if (name.includes('/')) return 'it contains a separator';
  if (platform !== 'win32') return undefined;
  if (/[\\:*?"<>|]/.test(text) || [...text].some((character) => character < ' ')) {
    return 'it contains a character that Windows does not allow';
  }
  if (/[. ]$/.test(text)) return 'it ends with a dot or a space, which Windows cuts off';
  return WINDOWS_DEVICE.test(text) ? 'it names a device on Windows' : undefined;
}
