/** Open files of the local disk. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { split } from '../wire/bytes.js';
import {
  type Cancellable,
  type FileChanges,
  type FileInfo,
  MAX_BLOCK_LENGTH,
  type SourceFile,
  type TargetFile,
} from './file-system.js';

const close = promisify(fs.close);
const fchmod = promisify(fs.fchmod);
const futimes = promisify(fs.futimes);
const fsync = promisify(fs.fsync);

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

  async setAttributes({ mode, atime, mtime }: FileChanges): Promise<void> {
    if (mode !== undefined) await fchmod(this.#descriptor, mode);
    if (mtime !== undefined) await futimes(this.#descriptor, atime ?? mtime, mtime);
  }

  sync(): Promise<void> {
    return fsync(this.#descriptor);
  }

  close(): Promise<void> {
    return close(this.#descriptor);
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
