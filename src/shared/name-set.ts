/**
 * Names as bytes, outside of the heap of JavaScript: a million of 20 bytes take some 35 MiB, a third of what strings in a
 * `Set` take. Choosing names does not let anybody choose their places in the table, as these depend on a secret key.
 */
import { Buffer } from 'node:buffer';

const BLOCK_LENGTH = 256 * 1024;
/** Most directories are small. */
const FIRST_LENGTH = 1024;
const FIRST_PLACES = 64;
const LENGTH_BYTES = 4;

export class NameSet {
  /** A name's number is that of a block and a place in it, plus one: a longer name has a block of its own. */
  readonly #blocks: Buffer[] = [];
  readonly #key = [randomWord(), randomWord()] as const;
  #used = 0;
  #size = 0;
  #places = new Float64Array(FIRST_PLACES);

  /** Whether it is new. */
  add(name: Buffer): boolean {
    const place = this.#placeOf(name);
    if (this.#places[place] !== 0) return false;
    this.#places[place] = this.#keep(name);
    this.#size += 1;
    if (this.#size * 2 > this.#places.length) this.#grow();
    return true;
  }

  #placeOf(name: Buffer): number {
    const mask = this.#places.length - 1;
    let place = halfSipHash(name, this.#key) & mask;
    for (let number = this.#places[place] ?? 0; number !== 0; number = this.#places[place] ?? 0) {
      if (this.#nameOf(number).equals(name)) return place;
      place = (place + 1) & mask;
    }
    return place;
  }

  #nameOf(number: number): Buffer {
    const block = this.#blocks[Math.floor((number - 1) / BLOCK_LENGTH)] ?? Buffer.alloc(0);
    const at = (number - 1) % BLOCK_LENGTH;
    const start = at + LENGTH_BYTES;
    return block.subarray(start, start + block.readUInt32LE(at));
  }

  #keep(name: Buffer): number {
    const length = LENGTH_BYTES + name.length;
    if (this.#used + length > (this.#blocks.at(-1)?.length ?? 0)) {
      const usual = this.#blocks.length === 0 ? FIRST_LENGTH : BLOCK_LENGTH;
      this.#blocks.push(Buffer.alloc(Math.max(usual, length)));
      this.#used = 0;
    }
    const block = this.#blocks.at(-1) ?? Buffer.alloc(0);
    const at = this.#used;
    block.writeUInt32LE(name.length, at);
    block.set(name, at + LENGTH_BYTES);
    this.#used += length;
    return (this.#blocks.length - 1) * BLOCK_LENGTH + at + 1;
  }

  #grow(): void {
    const old = this.#places;
    this.#places = new Float64Array(old.length * 2);
    for (const number of old) if (number !== 0) this.#places[this.#placeOf(this.#nameOf(number))] = number;
  }
}

function randomWord(): number {
  return (Math.random() * 2 ** 32) | 0;
}

/** HalfSipHash-1-3 by Aumasson and Bernstein, without the last byte that tells the length. */
function halfSipHash(bytes: Buffer, [first, second]: readonly [number, number]): number {
  let [v0, v1, v2, v3] = [first, second, 0x6c796765 ^ first, 0x74656462 ^ second];
  const round = () => {
    v0 = (v0 + v1) | 0;
    v1 = rotated(v1, 5) ^ v0;
    v0 = rotated(v0, 16);
    v2 = (v2 + v3) | 0;
    v3 = rotated(v3, 8) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = rotated(v3, 7) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = rotated(v1, 13) ^ v2;
    v2 = rotated(v2, 16);
  };
  for (let at = 0; at < bytes.length; at += 4) {
    const word =
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24);
    v3 ^= word;
    round();
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let count = 0; count < 3; count += 1) round();
  return v1 ^ v3;
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
