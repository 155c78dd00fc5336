/** Which files of a tree are done, in 12 bytes each: a million takes 24 MiB. */
import type { Buffer } from 'node:buffer';
import * as crypto from 'node:crypto';

/** Two words tell a target, and one its source. */
const WORDS = 3;
const FIRST_SLOTS = 1024;
/** 48 MiB, for three million files. */
const MAX_SLOTS = 2 ** 22;
/** With more of its slots taken, the table is slow to search. */
const MOST_TAKEN = 0.75;

interface Marks {
  readonly high: number;
  readonly low: number;
  readonly source: number;
}

/** A hash table of hashes, which nobody can foresee. Its words are 0 where a slot is free. */
export class DoneFiles {
  readonly #salt = crypto.randomBytes(16).toString('latin1');
  readonly #maxSlots: number;
  #words = new Uint32Array(FIRST_SLOTS * WORDS);
  #count = 0;

  /** @param maxSlots a power of two; only tests change it */
  constructor(maxSlots: number = MAX_SLOTS) {
    this.#maxSlots = maxSlots;
  }

  /** What the table takes. */
  get byteLength(): number {
    return this.#words.byteLength;
  }

  /** False where there is no room for one more: it will be taken for not done. */
  add(target: Buffer, source: string): boolean {
    const marks = this.#marksOf(target, source);
    const at = this.#find(marks);
    if (this.#words[at] !== 0) {
      this.#words[at + 2] = marks.source;
      return true;
    }
    if (!this.#makeRoom()) return false;
    this.#put(marks);
    this.#count += 1;
    return true;
  }

  has(target: Buffer, source: string): boolean {
    const marks = this.#marksOf(target, source);
    const at = this.#find(marks);
    return this.#words[at] !== 0 && this.#words[at + 2] === marks.source;
  }

  /** Where its slot begins, or the free one that it would get. */
  #find({ high, low }: Marks): number {
    const words = this.#words;
    const slots = words.length / WORDS;
    let at = (low & (slots - 1)) * WORDS;
    while (words[at] !== 0 && (words[at] !== high || words[at + 1] !== low)) {
      at = (at + WORDS) % words.length;
    }
    return at;
  }

  #put(marks: Marks): void {
    this.#words.set([marks.high, marks.low, marks.source], this.#find(marks));
  }

  #makeRoom(): boolean {
    const slots = this.#words.length / WORDS;
    if (this.#count < slots * MOST_TAKEN) return true;
    if (slots * 2 > this.#maxSlots) return false;
    const old = this.#words;
    this.#words = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += WORDS) {
      const [high = 0, low = 0, source = 0] = old.subarray(at, at + WORDS);
      if (high !== 0) this.#put({ high, low, source });
    }
    return true;
  }

  /** A source is told by a hash already. */
  #marksOf(target: Buffer, source: string): Marks {
    const hash = crypto.hash('sha256', `${this.#salt}${target.toString('latin1')}`, 'buffer');
    // No hash begins like a slot that is free.
    const high = hash.readUInt32LE(0) || 1;
    return { high, low: hash.readUInt32LE(4), source: Number.parseInt(source.slice(0, 8), 16) };
  }
}
