/**
 * The only concurrency algorithm: a budget of units (bytes in flight, open files), handed out in the order of
 * asking. It starts small and doubles with every full turn, as long as more brings more; how far it opens is
 * bounded.
 */
import { onAbort } from '../abort.js';

export interface WindowOptions {
  /** The most units that may be out at once. */
  readonly max: number;
  /** How many at first; the window then grows by what comes back. Default: `max`. */
  readonly initial?: number;
}

export class Window {
  readonly max: number;
  #limit: number;
  #used = 0;
  readonly #queue: { readonly amount: number; readonly grant: () => void }[] = [];

  constructor({ max, initial = max }: WindowOptions) {
    this.max = max;
    this.#limit = Math.min(initial, max);
  }

  /** Units that are out. */
  get used(): number {
    return this.#used;
  }

  /** Units that may be out at present. */
  get limit(): number {
    return this.#limit;
  }

  /** Takes `amount` units if they are free and nobody waits. */
  tryAcquire(amount: number): boolean {
    if (this.#queue.length > 0 || !this.#fits(amount)) return false;
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

  /** Gives units back; those that did their work (`grow`) open the window further. */
  release(amount: number, { grow = true }: { readonly grow?: boolean } = {}): void {
    this.#used -= amount;
    if (grow) this.#limit = Math.min(this.max, this.#limit + amount);
    this.#serve();
  }

  #fits(amount: number): boolean {
    return this.#used === 0 || this.#used + amount <= this.#limit;
  }

  #serve(): void {
    for (let next = this.#queue[0]; next !== undefined && this.#fits(next.amount); next = this.#queue[0]) {
      this.#queue.shift();
      this.#used += next.amount;
      next.grant();
    }
  }
}
