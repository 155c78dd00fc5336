/**
 * The only concurrency algorithm: a budget of units (bytes in flight, open files), handed out in the order of
 * asking. How many these are, is the matter of its {@link Pace}; never more than a maximum.
 */
import { Pace, type PaceOptions } from './pace.js';
import { WaitingQueue } from './waiting-queue.js';

export interface WindowOptions extends Omit<PaceOptions, 'initial'> {
  /** How many units at first. Default: `max`. */
  readonly initial?: number;
}

export class Window {
  readonly max: number;
  readonly #pace: Pace;
  #used = 0;
  readonly #queue = new WaitingQueue(() => this.#serve());

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

  /** Units that came back per millisecond of late; 0 as long as that is not known. */
  get rate(): number {
    return this.#pace.rate;
  }

  /** Takes `amount` units if they are free and nobody waits. */
  tryAcquire(amount: number): boolean {
    if (this.#queue.wanted !== undefined || !this.#fits(amount)) {
      this.#pace.noteFull(this.#used);
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
    await this.#queue.wait(amount, signal);
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
    for (
      let amount = this.#queue.wanted;
      amount !== undefined && this.#fits(amount);
      amount = this.#queue.wanted
    ) {
      this.#used += amount;
      this.#queue.grant();
    }
    if (this.#queue.wanted !== undefined) this.#pace.noteFull(this.#used);
  }
}
