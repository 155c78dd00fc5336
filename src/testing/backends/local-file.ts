/** A file that is open on the local disk. */
import {
  close,
  closeSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsync,
  ftruncateSync,
  futimesSync,
  readSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import type { AttributeValues } from '../../wire/attributes.js';
import type { BackendFile, FileSystemFigures } from './backend.js';
import { systemError } from './backend.js';

const fsyncAsync = promisify(fsync);

export class LocalFile implements BackendFile {
  readonly #descriptor: number;
  readonly #figures: () => FileSystemFigures;
  #isClosed = false;
  /** A descriptor must not be closed, and its number given away, while another thread works on it. */
  #syncing = 0;

  constructor(descriptor: number, figures: () => FileSystemFigures) {
    this.#descriptor = descriptor;
    this.#figures = figures;
  }

  read(offset: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafeSlow(length);
    let total = 0;
    while (total < length) {
      const got = readSync(this.#open, buffer, total, length - total, offset + total);
      if (got === 0) break;
      total += got;
    }
    return total === length ? buffer : buffer.subarray(0, total);
  }

  write(offset: number, pieces: readonly Buffer[]): void {
    let position = offset;
    for (const piece of pieces) {
      for (let done = 0; done < piece.length; ) {
        const written = writeSync(this.#open, piece, done, piece.length - done, position);
        done += written;
        position += written;
      }
    }
  }

  stat(): AttributeValues {
    return attributesOf(fstatSync(this.#open));
  }

  setstat({ size, mode, atime, mtime, uid, gid }: AttributeValues): void {
    if (size !== undefined) ftruncateSync(this.#open, size);
    if (mode !== undefined) fchmodSync(this.#open, mode & 0o7777);
    if (atime !== undefined && mtime !== undefined) futimesSync(this.#open, atime, mtime);
    if (uid !== undefined && gid !== undefined) fchownSync(this.#open, uid, gid);
  }

  async sync(): Promise<void> {
    this.#syncing += 1;
    try {
      await fsyncAsync(this.#open);
    } finally {
      this.#syncing -= 1;
      if (this.#isClosed && this.#syncing === 0) close(this.#descriptor, () => {});
    }
  }

  statvfs(): FileSystemFigures {
    return this.#figures();
  }

  close(): void {
    const descriptor = this.#open;
    this.#isClosed = true;
    if (this.#syncing === 0) closeSync(descriptor);
  }

  get #open(): number {
    if (this.#isClosed) throw systemError('EBADF');
    return this.#descriptor;
  }
}

const MAX_UINT32 = 0xffffffff;

export function attributesOf(stats: Stats): AttributeValues {
  const { size, uid, gid, mode, atimeMs, mtimeMs } = stats;
  return { size, uid, gid, mode, atime: seconds(atimeMs), mtime: seconds(mtimeMs) };
}

/** Times on the wire are unsigned and have 32 bits. */
function seconds(milliseconds: number): number {
  return Math.min(MAX_UINT32, Math.max(0, Math.floor(milliseconds / 1000)));
}
