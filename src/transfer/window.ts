/**
 * The only concurrency algorithm: a budget of units (bytes in flight, open files), handed out in the order of
 * asking. How many these are, is the matter of its {@link Pace}; never more than a maximum.
 */
import { onAbort } from '../abort.js';
import { Pace, type PaceOptions } from './pace.js';

export interface WindowOptions extends Omit<PaceOptions, 'initial'> {
  /** How many units at first. Default: `max`. */
  readonly initial?: number;
}

export class Window {
  readonly max: number;
  readonly #pace: Pace;
  #used = 0;
  readonly #queue: { readonly amount: number; readonly grant: () => void }[] = [];

  constructor({ max, initial = max, ...rest }: WindowOptions) {
    this.max = max;
    this.#pace = new Pace({ max, initial, ...rest });
  }

  /** Units that are out. */
  get used(): number {
    return this.#used;
  }

  /** Units that may be out at present. */
  get limit(): number {
    return this.#pace.limit;
  }

  /** Takes `amount` units if they are free and nobody waits. */
  tryAcquire(amount: number): boolean {
    if (this.#queue.length > 0 || !this.#fits(amount)) {
      this.#pace.noteFull();
      return false;
    }
    if (this.#used === 0) this.#pace.start();
    this.#used += amount;
    return true;
  }

  /**
   * Resolves when `amount` units are free, and takes them. More than the whole window is granted when nothing
   * else is out. Rejects with the signal's reason, and takes nothing then.
   */
  async acquire(amount: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.tryAcquire(amount)) return;
    await new Promise<void>((resolve, reject) => {
      const entry = {
        amount,
        grant: () => {
          callOff();
          resolve();
        },
      };
      const callOff = onAbort(signal, (reason) => {
        this.#queue.splice(this.#queue.indexOf(entry), 1);
        reject(reason);
        this.#serve();
      });
      this.#queue.push(entry);
    });
  }

  /** Gives units back; those that were taken in vain tell nothing about the line (`counts: false`). */
  release(amount: number, { counts = true }: { readonly counts?: boolean } = {}): void {
    this.#used -= amount;
    if (counts) this.#pace.count(amount);
    this.#serve();
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.limit;
  }

  #serve(): void {
    for (let next = this.#queue[0]; next !== undefined && this.#fits(next.amount); next = this.#queue[0]) {
      this.#queue.shift();
      this.#used += next.amount;
      next.grant();
    }
  }
}
