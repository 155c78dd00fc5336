/**
 * Memory that is only lent: a socket reads into the same few slabs again and again, so that a long transfer leaves
 * nothing to be collected. A consumer may look at a piece of it during the call; one that needs it for longer says
 * {@link retain} or {@link copyOf}, and {@link release} when it is done with what it has retained. A slab is read into
 * again when nothing of it is retained; what is never released is simply collected, and of memory that nobody lends the
 * calls do nothing.
 */
import { Buffer } from 'node:buffer';

/**
 * Bytes that may be lent. Every `Buffer` is one, but for the compiler it is no `Buffer`: what can be done with it is done
 * when the call is over, and nothing else keeps it by mistake.
 */
export interface LentBuffer {
  readonly buffer: ArrayBufferLike;
  readonly length: number;
  subarray(start?: number, end?: number): LentBuffer;
  copy(target: Uint8Array, targetStart?: number, sourceStart?: number, sourceEnd?: number): number;
}

const SLAB_LENGTH = 512 * 1024;
/** Less room is not worth a call of the system. */
const MIN_ROOM = 64 * 1024;
/** Slabs that wait to be read into again, for the whole process. */
const MAX_FREE_SLABS = 16;

interface Slab {
  readonly memory: Buffer;
  retained: number;
  /** Something reads into it at present. */
  isInUse: boolean;
}

const slabs = new WeakMap<ArrayBufferLike, Slab>();
const free: Slab[] = [];

/** The piece itself, which stays as it is until {@link release}; each piece is counted by itself. */
export function retain(piece: LentBuffer): Buffer {
  const slab = slabs.get(piece.buffer);
  if (slab !== undefined) slab.retained += 1;
  return piece as Buffer;
}

export function copyOf(piece: LentBuffer): Buffer {
  return Buffer.from(piece as Buffer);
}

/** To be called once for each piece that was retained. */
export function release(pieces: readonly Uint8Array[]): void {
  for (const { buffer } of pieces) {
    const slab = slabs.get(buffer);
    if (slab === undefined) continue;
    slab.retained -= 1;
    if (slab.retained === 0 && !slab.isInUse) putBack(slab);
  }
}

/** Where one socket reads into. */
export class ReceiveMemory {
  #slab = takeSlab();
  #start = 0;

  /** Room for the next read; what was read into it is told by {@link take}. */
  room(): Buffer {
    if (this.#slab.retained === 0) this.#start = 0;
    else if (this.#slab.memory.length - this.#start < MIN_ROOM) {
      this.#slab.isInUse = false;
      this.#slab = takeSlab();
      this.#start = 0;
    }
    return this.#slab.memory.subarray(this.#start);
  }

  /** The bytes that a read has put there. */
  take(count: number): LentBuffer {
    const piece = this.#slab.memory.subarray(this.#start, this.#start + count);
    this.#start += count;
    return piece;
  }

  /** Nothing more is read. */
  end(): void {
    this.#slab.isInUse = false;
    if (this.#slab.retained === 0) putBack(this.#slab);
  }
}

function takeSlab(): Slab {
  const slab = free.pop() ?? makeSlab();
  slab.isInUse = true;
  return slab;
}

function makeSlab(): Slab {
  const memory = Buffer.allocUnsafeSlow(SLAB_LENGTH);
  const slab = { memory, retained: 0, isInUse: true };
  slabs.set(memory.buffer, slab);
  return slab;
}

function putBack(slab: Slab): void {
  if (free.length < MAX_FREE_SLABS) free.push(slab);
}

/** A stream that can lend what it emits as `data`: valid during the event, and no longer unless retained. */
export interface Lender {
  /** A caller of this keeps to that; without the call everything that is emitted is the listener's. */
  lend(): void;
}

export function isLender(stream: object): stream is Lender {
  return 'lend' in stream && typeof stream.lend === 'function';
}
