import { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';

/** Reads the data types of RFC 4251, section 5, and never past the end: a field that would is a `ProtocolError`. */
export class ByteReader {
  readonly #bytes: Buffer;
  #position = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.length - this.#position;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4));
  }

  /** A 64-bit number that JavaScript can hold exactly; 2⁵³ and more is a `ProtocolError`, never a rounded value. */
  uint64(): number {
    const value = this.bigUint64();
    if (value > Number.MAX_SAFE_INTEGER) throw new ProtocolError(`The number ${value} is beyond 2^53 - 1`);
    return Number(value);
  }

  bigUint64(): bigint {
    return this.#bytes.readBigUInt64BE(this.#advance(8));
  }

  /** A string as it is on the wire. The result shares memory with the packet: copy what is kept. */
  string(): Buffer {
    return this.take(this.uint32());
  }

  take(length: number): Buffer {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  #advance(length: number): number {
    if (length > this.remaining) {
      throw new ProtocolError(`A field of ${length} bytes does not fit: ${this.remaining} bytes are left`);
    }
    const start = this.#position;
    this.#position += length;
    return start;
  }
}

/** Of content that came in pieces. */
export function byteLength(pieces: readonly Uint8Array[]): number {
  let length = 0;
  for (const piece of pieces) length += piece.length;
  return length;
}

/** Content in two, the first part of `length` bytes; nothing is copied. */
export function split(pieces: readonly Buffer[], length: number): { head: Buffer[]; tail: Buffer[] } {
  const head: Buffer[] = [];
  const tail: Buffer[] = [];
  let missing = length;
  for (const piece of pieces) {
    if (missing > 0) head.push(piece.subarray(0, missing));
    if (piece.length > missing) tail.push(piece.subarray(missing));
    missing = Math.max(0, missing - piece.length);
  }
  return { head, tail };
}

/** Payloads up to this size are copied behind their header: cheaper than a write of their own. */
const SMALL_PAYLOAD = 4096;
const BLOCK_SIZE = 16 * 1024;

/**
 * Collects packets as a list of buffers. Small fields are written into blocks; large payloads join the list
 * as they are, without a copy.
 */
export class ByteWriter {
  #chunks: Buffer[] = [];
  #block = Buffer.alloc(0);
  /** Where the bytes of `#block` that are not yet in `#chunks` begin and end. */
  #sealed = 0;
  #end = 0;
  /** Bytes written since the last {@link take}. */
  #length = 0;

  get length(): number {
    return this.#length;
  }

  uint8(value: number): void {
    checkInteger(value, 0xff);
    const at = this.#reserve(1);
    this.#block.writeUInt8(value, at);
  }

  uint32(value: number): void {
    checkInteger(value, 0xffff_ffff);
    const at = this.#reserve(4);
    this.#block.writeUInt32BE(value, at);
  }

  uint64(value: number): void {
    checkInteger(value, Number.MAX_SAFE_INTEGER);
    const at = this.#reserve(8);
    this.#block.writeUInt32BE(Math.floor(value / 2 ** 32), at);
    this.#block.writeUInt32BE(value % 2 ** 32, at + 4);
  }

  bigUint64(value: bigint): void {
    const at = this.#reserve(8);
    this.#block.writeBigUInt64BE(value, at);
  }

  string(bytes: Uint8Array): void {
    this.uint32(bytes.length);
    this.bytes(bytes);
  }

  bytes(bytes: Uint8Array): void {
    const at = this.#reserve(bytes.length);
    this.#block.set(bytes, at);
  }

  /** A string made of several pieces, which the caller must leave as they are until they are sent. */
  payload(pieces: readonly Buffer[]): void {
    this.uint32(byteLength(pieces));
    for (const piece of pieces) {
      if (piece.length <= SMALL_PAYLOAD) {
        this.bytes(piece);
        continue;
      }
      this.#seal();
      this.#chunks.push(piece);
      this.#length += piece.length;
    }
  }

  /**
   * Writes a packet whose length stands before it, as `body` leaves it. Where `body` throws, nothing of the
   * packet stays behind: half of one would break the stream for every packet after it.
   */
  frame(body: () => void): void {
    const before = { block: this.#block, sealed: this.#sealed, end: this.#end, length: this.#length };
    const chunkCount = this.#chunks.length;
    const at = this.#reserve(4);
    const block = this.#block;
    try {
      body();
      block.writeUInt32BE(this.#length - before.length - 4, at);
    } catch (error) {
      this.#chunks.length = chunkCount;
      this.#block = before.block;
      this.#sealed = before.sealed;
      this.#end = before.end;
      this.#length = before.length;
      throw error;
    }
  }

  /** Everything written so far; the writer starts afresh. */
  take(): Buffer[] {
    this.#seal();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#length = 0;
    return chunks;
  }

  #reserve(length: number): number {
    if (this.#end + length > this.#block.length) {
      this.#seal();
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK_SIZE, length));
      this.#sealed = 0;
      this.#end = 0;
    }
    const at = this.#end;
    this.#end += length;
    this.#length += length;
    return at;
  }

  #seal(): void {
    if (this.#end > this.#sealed) this.#chunks.push(this.#block.subarray(this.#sealed, this.#end));
    this.#sealed = this.#end;
  }
}

/** Node writes NaN as 0 and cuts fractions off: a mistake of the caller would truncate a file to nothing. */
function checkInteger(value: number, max: number): void {
  if (Number.isInteger(value) && value >= 0 && value <= max) return;
  throw new RangeError(`The number ${value} cannot be sent: a whole number from 0 to ${max} is needed`);
}
