/**
 * The only concurrency algorithm: a budget of units (bytes in flight, open files), handed out by rank and
 * in the order of asking. How many these are, is the matter of its {@link Pace}; never more than a maximum.
 */
import { type Mark, Pace, type PaceOptions } from './pace.js';
import { WaitingQueue } from './waiting-queue.js';

export interface WindowOptions extends Omit<PaceOptions, 'initial'> {
  /** How many units at first; from there on the pace decides. Default: always `max`. */
  readonly initial?: number;
}

export class Window {
  readonly max: number;
  readonly #pace: Pace | undefined;
  #used = 0;
  readonly #queue = new WaitingQueue(() => this.#serve());

  constructor({ max, initial, ...rest }: WindowOptions) {
    this.max = max;
    if (initial !== undefined) this.#pace = new Pace({ max, initial, ...rest });
  }

  /** Units that have been given back with a mark so far; 0 where nobody counts them. */
  get moved(): number {
    return this.#pace?.acknowledged ?? 0;
  }

  /** Units that are out. */
  get used(): number {
    return this.#used;
  }

  /** Units that may be out at present. */
  get limit(): number {
    return this.#pace?.limit ?? this.max;
  }

  /** Units that a connection carries in a millisecond; 0 before that is known, and infinite where nobody measures it. */
  get rate(): number {
    return this.#pace?.connectionRate ?? Number.POSITIVE_INFINITY;
  }

  /** Whether the length of requests is to go by the rate. */
  get isRateKnown(): boolean {
    return this.#pace?.isRateKnown ?? false;
  }

  /** Takes `amount` units if they are free and nobody waits. */
  tryAcquire(amount: number): boolean {
    if (this.#queue.wanted !== undefined || !this.#fits(amount)) {
      this.#pace?.noteFull();
      return false;
    }
    this.#take(amount);
    return true;
  }

  /** To be asked for with the units, and given back with them: tells when they were taken. */
  mark(): Mark | undefined {
    return this.#pace?.mark();
  }

  /**
   * Resolves when `amount` units are free, and takes them. More than the whole window is granted when nothing
   * else is out. Rejects with the signal's reason, and takes nothing then.
   *
   * @param rank of those who wait, the ones with a lower rank go first
   */
  async acquire(amount: number, signal?: AbortSignal, rank?: number): Promise<void> {
    signal?.throwIfAborted();
    if (this.tryAcquire(amount)) return;
    await this.#queue.wait(amount, signal, rank);
  }

  /** Gives units back; without the mark they tell nothing about the network, as where they were taken in vain. */
  release(amount: number, mark?: Mark): void {
    this.#used -= amount;
    if (mark !== undefined) this.#pace?.count(amount, mark);
    this.#serve();
  }

  /** Takes `amount` units as {@link acquire} does, and gives them back when the work has ended, however it ends. */
  async use<T>(
    amount: number,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    rank?: number,
  ): Promise<T> {
    await this.acquire(amount, signal, rank);
    try {
      return await work();
    } finally {
      this.release(amount);
    }
  }

  #take(amount: number): void {
    if (this.#used === 0) this.#pace?.start();
    this.#used += amount;
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
      this.#take(amount);
      this.#queue.grant();
    }
    if (this.#queue.wanted !== undefined) this.#pace?.noteFull();
  }
}
