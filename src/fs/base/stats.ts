/** `Stats` and `Dirent` as node:fs gives them, from what SFTP tells. */
import type { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { type BigIntStats, constants, Dirent, Stats, type StatsBase } from 'node:fs';
import type { RemotePath } from '../../shared/remote-path.js';
import { textOf } from '../../shared/remote-path.js';
import { type FileAttributes, type FileType, typeBits } from '../../wire/attributes.js';

/** SFTP tells no device; every file of a server is on this one. Not 0, which some programs take for "unknown". */
const DEVICE = 0x7366_7470;
const BLOCK_SIZE = 4096;
/** What `st_blocks` counts, whatever the block size is. */
const COUNTED_BLOCK = 512;
const S_IFMT = 0o170000;
/** As many bits as a number holds exactly, less one that is always set. */
const INODE_BITS = 52n;

/**
 * SFTP tells no inode numbers, and programs take equal numbers for one file: so each path has its own, the same at every
 * time. A hash that nobody can find collisions of, as names may come from people who mean harm.
 */
function inodeOf(path: string): number {
  const hash = createHash('sha256').update(path, 'latin1').digest().readBigUInt64BE();
  return Number((hash >> (64n - INODE_BITS)) | 1n | (1n << (INODE_BITS - 1n)));
}

type Numbers = Pick<
  StatsBase<number>,
  'dev' | 'mode' | 'nlink' | 'uid' | 'gid' | 'rdev' | 'blksize' | 'ino' | 'size' | 'blocks'
>;

/** The fields in Node's order, by which programs print them. */
function numbersOf(attributes: FileAttributes, path: string): Numbers {
  const { mode = 0, uid = 0, gid = 0, size = 0, type } = attributes;
  return {
    dev: DEVICE,
    mode: (mode & S_IFMT) === 0 ? mode | typeBits(type) : mode,
    nlink: 1,
    uid,
    gid,
    rdev: 0,
    blksize: BLOCK_SIZE,
    ino: inodeOf(path),
    size,
    blocks: Math.ceil(size / COUNTED_BLOCK),
  };
}

/** The change time and the time of birth are not told: the last modification stands for them. */
export function statsOf(attributes: FileAttributes, path: string): Stats {
  const atime = (attributes.atime ?? 0) * 1000;
  const mtime = (attributes.mtime ?? 0) * 1000;
  const values = {
    ...numbersOf(attributes, path),
    atimeMs: atime,
    mtimeMs: mtime,
    ctimeMs: mtime,
    birthtimeMs: mtime,
    atime: new Date(atime),
    mtime: new Date(mtime),
    ctime: new Date(mtime),
    birthtime: new Date(mtime),
  };
  const stats: Stats = Object.create(Stats.prototype);
  for (const [name, value] of Object.entries(values)) define(stats, name, value);
  return stats;
}

/** Newer versions of Node have accessors on the prototype, which an assignment would call. */
function define(target: object, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, enumerable: true, writable: true, configurable: true });
}

const NANOSECONDS_PER_MS = 1_000_000n;

/** Node does not export the class of its own. */
class RemoteBigIntStats {
  declare readonly mode: bigint;

  constructor(values: Readonly<Record<string, unknown>>) {
    for (const [name, value] of Object.entries(values)) define(this, name, value);
  }

  isFile(): boolean {
    return this.#is(constants.S_IFREG);
  }

  isDirectory(): boolean {
    return this.#is(constants.S_IFDIR);
  }

  isSymbolicLink(): boolean {
    return this.#is(constants.S_IFLNK);
  }

  isFIFO(): boolean {
    return this.#is(constants.S_IFIFO);
  }

  isSocket(): boolean {
    return this.#is(constants.S_IFSOCK);
  }

  isBlockDevice(): boolean {
    return this.#is(constants.S_IFBLK);
  }

  isCharacterDevice(): boolean {
    return this.#is(constants.S_IFCHR);
  }

  #is(type: number): boolean {
    return (Number(this.mode) & S_IFMT) === type;
  }
}

export function bigIntStatsOf(attributes: FileAttributes, path: string): BigIntStats {
  const numbers = Object.entries(numbersOf(attributes, path)).map(
    ([name, value]) => [name, BigInt(value)] as const,
  );
  const atime = BigInt(attributes.atime ?? 0) * 1000n;
  const mtime = BigInt(attributes.mtime ?? 0) * 1000n;
  const values = {
    ...Object.fromEntries(numbers),
    atimeMs: atime,
    mtimeMs: mtime,
    ctimeMs: mtime,
    birthtimeMs: mtime,
    atimeNs: atime * NANOSECONDS_PER_MS,
    mtimeNs: mtime * NANOSECONDS_PER_MS,
    ctimeNs: mtime * NANOSECONDS_PER_MS,
    birthtimeNs: mtime * NANOSECONDS_PER_MS,
    atime: new Date(Number(atime)),
    mtime: new Date(Number(mtime)),
    ctime: new Date(Number(mtime)),
    birthtime: new Date(Number(mtime)),
  };
  return new RemoteBigIntStats(values) as unknown as BigIntStats;
}

/** libuv's `uv_dirent_type_t`. */
const DIRENT_TYPES: Readonly<Record<FileType, number>> = {
  unknown: 0,
  file: 1,
  directory: 2,
  symlink: 3,
  fifo: 4,
  socket: 5,
  'character-device': 6,
  'block-device': 7,
};

/** Node's own class, whose constructor is exported without being documented. */
const MakeDirent = Dirent as unknown as new (
  name: string | Buffer,
  type: number,
  parentPath: RemotePath,
) => Dirent;

/** An entry of a directory, which was given as `parentPath`. */
export function direntOf(name: string | Buffer, type: FileType, parentPath: RemotePath): Dirent {
  const dirent = new MakeDirent(name, DIRENT_TYPES[type], parentPath);
  // Each version of Node sets one of the two or both.
  if (textOf(dirent.parentPath ?? '') === '') define(dirent, 'parentPath', parentPath);
  if (dirent.path === undefined) define(dirent, 'path', parentPath);
  return dirent;
}
