/** Chance that repeats itself: the same seed gives the same case, on every machine. */
import { Buffer } from 'node:buffer';

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 up to, and without, `limit` (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.below(choices.length)];
    if (choice === undefined) throw new RangeError('There is nothing to pick from');
    return choice;
  }

  bytes(maxLength: number): Buffer {
    return Buffer.from(Array.from({ length: this.below(maxLength + 1) }, () => this.below(256)));
  }

  /** Numbers that break things, and others. */
  uint32(): number {
    const odd = [0, 1, 255, 256, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];
    return this.chance(50) ? this.pick(odd) : this.below(2 ** 32);
  }

  name(): Buffer {
    const odd = [
      'a',
      'b',
      'd',
      'file',
      '.',
      '..',
      '',
      '../x',
      '/etc/x',
      'a/b',
      '\0',
      '\x1b[31m',
      'é',
      'e\u0301',
    ];
    const long = ['x'.repeat(255), 'x'.repeat(300), 'CON', '__proto__', 'constructor', '\u202e'];
    const chosen = this.chance(70) ? this.pick(['a', 'b', 'c', 'd', 'file']) : this.pick([...odd, ...long]);
    return this.chance(5) ? this.bytes(12) : Buffer.from(chosen);
  }

  /** Changes, takes out, puts in or doubles a few bytes. */
  mutate(bytes: Buffer): Buffer {
    let result = Buffer.from(bytes);
    for (let edits = 1 + this.below(3); edits > 0; edits -= 1) {
      const at = this.below(result.length + 1);
      const head = result.subarray(0, at);
      const tail = result.subarray(at);
      const edit = this.below(5);
      if (edit === 0) result = Buffer.concat([head, this.bytes(4), tail.subarray(1)]);
      else if (edit === 1) result = Buffer.concat([head, tail.subarray(1 + this.below(4))]);
      else if (edit === 2) result = Buffer.concat([head, this.bytes(8), tail]);
      else if (edit === 3) {
        const number = Buffer.alloc(4);
        number.writeUInt32BE(this.uint32());
        result = Buffer.concat([head, number, tail.subarray(4)]);
      } else result = Buffer.concat([head, tail.subarray(0, this.below(16)), tail]);
    }
    return result;
  }
}
