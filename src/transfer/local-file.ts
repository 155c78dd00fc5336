/** Open files of the local disk. */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { byteLength } from '../wire/bytes.js';
import { DiskTurns } from './disk-turns.js';
import type { Cancellable, FileChanges, FileInfo, SourceFile, TargetFile } from './file-system.js';

const close = promisify(fs.close);
const fchmod = promisify(fs.fchmod);
const futimes = promisify(fs.futimes);
const fsync = promisify(fs.fsync);

/** What the other side can take decides; this is the length of a read where it can take anything. */
export const CHUNK_LENGTH = 256 * 1024;
/** Buffers that are kept for the next read, for the whole process. */
const MAX_POOLED_BUFFERS = 32;

/** Reading into the same memory again spares the allocation, and its collection, of every chunk. */
const pool: Buffer[] = [];

export class LocalSource implements SourceFile {
  readonly info: FileInfo;
  readonly #descriptor: number;
  readonly #turns = new DiskTurns<Buffer>((buffers, offset) => this.#read(buffers, offset));

  constructor(descriptor: number, info: FileInfo) {
    this.#descriptor = descriptor;
    this.info = info;
  }

  async read(offset: number, length: number): Promise<readonly Buffer[] | null> {
    const memory =
      length > CHUNK_LENGTH / 2 && length <= CHUNK_LENGTH
        ? (pool.pop() ?? Buffer.allocUnsafeSlow(CHUNK_LENGTH))
        : Buffer.allocUnsafe(length);
    const whole = memory.subarray(0, length);
    const count = await this.#turns.add(offset, length, whole);
    return count === 0 ? null : [whole.subarray(0, count)];
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
      if (buffer.byteLength === CHUNK_LENGTH && pool.length < MAX_POOLED_BUFFERS)
        pool.push(Buffer.from(buffer));
    }
  }

  close(): Promise<void> {
    return close(this.#descriptor);
  }

  /** How much of each buffer was filled; where one is not full, those behind it are asked for by themselves. */
  async #read(buffers: readonly Buffer[], offset: number): Promise<readonly number[]> {
    let left = await readAt(this.#descriptor, buffers, offset);
    let position = offset;
    const counts: number[] = [];
    for (const buffer of buffers) {
      const isBehindEnd = left === 0 && counts.length > 0;
      const count = isBehindEnd
        ? await readAt(this.#descriptor, [buffer], position)
        : Math.min(left, buffer.length);
      left = Math.max(0, left - buffer.length);
      position += buffer.length;
      counts.push(count);
    }
    return counts;
  }
}

export class LocalTarget implements TargetFile {
  readonly isOrdered = false;
  readonly #descriptor: number;
  readonly #turns = new DiskTurns<readonly Buffer[]>((contents, offset) => this.#write(contents, offset));

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  async write(offset: number, pieces: readonly Buffer[]): Promise<void> {
    await this.#turns.add(offset, byteLength(pieces), pieces);
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

  async #write(contents: readonly (readonly Buffer[])[], offset: number): Promise<readonly number[]> {
    let position = offset;
    let rest: readonly Buffer[] = contents.flat();
    while (rest.length > 0) {
      const count = await writeAt(this.#descriptor, rest, position);
      position += count;
      rest = without(rest, count);
    }
    return contents.map(byteLength);
  }
}

function readAt(descriptor: number, buffers: readonly Buffer[], offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.readv(descriptor, buffers, offset, (error, count) => (error ? reject(error) : resolve(count)));
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
