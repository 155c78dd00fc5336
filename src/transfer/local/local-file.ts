/** Open files of the local disk. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { split } from '../../wire/bytes.js';
import {
  type Cancellable,
  type FileChanges,
  type FileInfo,
  hasCode,
  MAX_BLOCK_LENGTH,
  type Owner,
  type ReopenedFile,
  type SourceFile,
  type TargetFile,
} from '../file-system.js';

const close = promisify(fs.close);
const fchown = promisify(fs.fchown);
const fchmod = promisify(fs.fchmod);
const futimes = promisify(fs.futimes);
const fstat = promisify(fs.fstat);
const fsync = promisify(fs.fsync);
const ftruncate = promisify(fs.ftruncate);

/** What the other side can take decides; this is the length of a read where it can take anything. */
export const CHUNK_LENGTH = 256 * 1024;
/** Kept of each length for the next read, for the whole process. */
const MAX_POOLED_BYTES = 8 * 1024 * 1024;

/**
 * Reading into the same memory again spares the allocation, and its collection, of every chunk. By length: single chunks,
 * and several at once.
 */
const pools: ReadonlyMap<number, Buffer[]> = new Map([
  [CHUNK_LENGTH, []],
  [MAX_BLOCK_LENGTH, []],
]);

export class LocalSource implements SourceFile {
  readonly info: FileInfo;
  readonly #descriptor: number;

  constructor(descriptor: number, info: FileInfo) {
    this.#descriptor = descriptor;
    this.info = info;
  }

  async read(offset: number, length: number): Promise<readonly Buffer[] | null> {
    const memory = memoryFor(length);
    const count = await readAt(this.#descriptor, memory, offset);
    return count === 0 ? null : [memory.subarray(0, count)];
  }

  async sha256(offset: number, length: number, { signal }: Cancellable): Promise<Uint8Array | undefined> {
    const hash = createHash('sha256');
    for (let done = 0; done < length; ) {
      signal?.throwIfAborted();
      const pieces = await this.read(offset + done, Math.min(CHUNK_LENGTH, length - done));
      if (pieces === null) return undefined;
      for (const piece of pieces) {
        hash.update(piece);
        done += piece.length;
      }
      this.release(pieces);
    }
    return hash.digest();
  }

  release(pieces: readonly Buffer[]): void {
    for (const { buffer } of pieces) {
      const pool = pools.get(buffer.byteLength);
      if (pool && pool.length * buffer.byteLength < MAX_POOLED_BYTES) pool.push(Buffer.from(buffer));
    }
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }
}

export class LocalTarget implements TargetFile {
  readonly isOrdered = false;
  readonly takesAnyOrder = true;
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
      // A disk may take less than it is given.
      rest = split(rest, count).tail;
    }
  }

  /** Rejects where nothing can be written at an offset; nothing is written. */
  async probe(offset: number): Promise<void> {
    await writeAt(this.#descriptor, [Buffer.alloc(0)], offset);
  }

  async setAttributes({ mode, atime, mtime }: FileChanges): Promise<void> {
    if (mode !== undefined) await fchmod(this.#descriptor, mode);
    if (mtime !== undefined) await futimes(this.#descriptor, atime ?? mtime, mtime);
  }

  async owner(): Promise<Owner | undefined> {
    // Windows knows no owners as numbers.
    return process.geteuid === undefined ? undefined : fstat(this.#descriptor);
  }

  async giveTo({ uid, gid }: Owner): Promise<Error | undefined> {
    try {
      await fchown(this.#descriptor, uid, gid);
      return undefined;
    } catch (error) {
      if (error instanceof Error && hasCode(error, 'EPERM', 'EINVAL', 'ENOTSUP')) return error;
      throw error;
    }
  }

  sync(): Promise<void> {
    return fsync(this.#descriptor);
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }
}

export class LocalReopened implements ReopenedFile {
  readonly info: FileInfo;
  readonly content: SourceFile;
  readonly #descriptor: number;
  readonly #stats: fs.Stats;
  #isTaken = false;

  constructor(descriptor: number, stats: fs.Stats, info: FileInfo) {
    this.#descriptor = descriptor;
    this.#stats = stats;
    this.info = info;
    this.content = new LocalSource(descriptor, info);
  }

  get links(): number {
    return this.#stats.nlink;
  }

  async isAt(path: Buffer): Promise<boolean> {
    const { dev, ino } = await fs.promises.lstat(path);
    return dev === this.#stats.dev && ino === this.#stats.ino;
  }

  async writeFrom(_path: Buffer, bytes: number): Promise<TargetFile> {
    await ftruncate(this.#descriptor, bytes);
    this.#isTaken = true;
    return new LocalTarget(this.#descriptor);
  }

  async close(): Promise<void> {
    if (this.#isTaken) return;
    this.#isTaken = true;
    await close(this.#descriptor);
  }
}

/** Exactly as long; a part of pooled memory where it is worth that. */
function memoryFor(length: number): Buffer {
  if (length <= CHUNK_LENGTH / 2 || length > MAX_BLOCK_LENGTH) return Buffer.allocUnsafe(length);
  const pooled = length <= CHUNK_LENGTH ? CHUNK_LENGTH : MAX_BLOCK_LENGTH;
  return (pools.get(pooled)?.pop() ?? Buffer.allocUnsafeSlow(pooled)).subarray(0, length);
}

function readAt(descriptor: number, buffer: Buffer, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(descriptor, buffer, 0, buffer.length, offset, (error, count) =>
      error ? reject(error) : resolve(count),
    );
  });
}

function writeAt(descriptor: number, pieces: readonly Buffer[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.writev(descriptor, pieces, offset, (error, count) => (error ? reject(error) : resolve(count)));
  });
}
