/** Content in memory as the source or the target of a copy. */
import { Buffer } from 'node:buffer';
import { SftpError } from '../errors.js';
import type { FileInfo, SourceFile, TargetFile } from './file-system.js';

/** Nothing is known about a file. */
export const UNKNOWN_INFO: FileInfo = {
  type: 'unknown',
  size: undefined,
  mode: undefined,
  atime: undefined,
  mtime: undefined,
};

/** The bytes stay the caller's: they must not change while they are copied. */
export class MemorySource implements SourceFile {
  readonly info: FileInfo;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.info = { ...UNKNOWN_INFO, size: bytes.length };
  }

  async read(offset: number, length: number): Promise<readonly Buffer[] | null> {
    return offset < this.#bytes.length ? [this.#bytes.subarray(offset, offset + length)] : null;
  }

  async close(): Promise<void> {}
}

/** Gathers what is written to it; copies write in ascending order. */
export class MemoryTarget implements TargetFile {
  readonly isOrdered = true;
  readonly keepsPieces = true;
  readonly #pieces: Buffer[] = [];
  readonly #maxLength: number;
  readonly #subject: string;
  #length = 0;

  /** @param subject what is read, for the message when it is longer than `maxLength` */
  constructor(subject: string, maxLength: number) {
    this.#subject = subject;
    this.#maxLength = maxLength;
  }

  async write(_offset: number, pieces: readonly Buffer[]): Promise<void> {
    for (const piece of pieces) this.#length += piece.length;
    if (this.#length > this.#maxLength) {
      const advice = 'raise maxLength, read it in parts, or as a stream';
      throw new SftpError('LIMIT', `${this.#subject} has more than ${this.#maxLength} bytes: ${advice}`);
    }
    for (const piece of pieces) this.#pieces.push(piece);
  }

  async setAttributes(): Promise<void> {}

  async close(): Promise<void> {}

  /** All of it, in memory of its own. */
  takeContent(): Buffer {
    return Buffer.concat(this.#pieces.splice(0), this.#length);
  }
}
