/**
 * So many bytes per second: a bucket that fills steadily, and from which bytes are taken before they are asked for or
 * sent. It never holds more than a quarter of a second's worth, so that after a rest nothing rushes.
 */
import { FirstOf } from '../../shared/abort.js';
import { timerDelay } from '../../shared/timer-delay.js';
import { WaitingQueue } from './waiting-queue.js';

/** What tells the time, and wakes. */
export interface ThrottleClock {
  /** In milliseconds. */
  now(): number;
  /** Calls back once, after so many milliseconds; the result calls that off. */
  wake(callback: () => void, delayMs: number): () => void;
}

export interface ThrottleOptions {
  /** Default: no limit of its own. */
  readonly bytesPerSecond?: number | undefined;
  /** Further limits that hold for whatever passes this one. */
  readonly within?: readonly Throttle[] | undefined;
  readonly clock?: ThrottleClock | undefined;
  /** Nobody waits longer than until this aborts; asked each time. */
  readonly ended?: (() => AbortSignal) | undefined;
}

/** What may pass at once, in parts of a second. */
const BURST_SECONDS = 1 / 4;
/** Smaller requests would be mostly headers, however slow the line is to be. */
const MIN_CHUNK_LENGTH = 4096;

const systemClock: ThrottleClock = {
  now: () => performance.now(),
  wake: (callback, delayMs) => {
    const timer = setTimeout(callback, timerDelay(delayMs));
    return () => clearTimeout(timer);
  },
};

export class Throttle {
  readonly #within: readonly Throttle[];
  readonly #clock: ThrottleClock;
  readonly #ended: ThrottleOptions['ended'];
  readonly #queue = new WaitingQueue(() => this.#serve());
  #bytesPerSecond: number;
  /** What may pass now; below zero after a chunk that was larger than the bucket. */
  #level: number;
  #filledAt: number;
  #callOff: (() => void) | undefined;

  constructor({
    bytesPerSecond = Number.POSITIVE_INFINITY,
    within = [],
    clock,
    ended,
  }: ThrottleOptions = {}) {
    this.#within = within;
    this.#ended = ended;
    this.#clock = clock ?? systemClock;
    this.#bytesPerSecond = bytesPerSecond;
    this.#level = this.#capacity;
    this.#filledAt = this.#clock.now();
  }

  /** May be changed at any time, also for those who wait; infinite: no limit of its own. */
  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  set bytesPerSecond(bytesPerSecond: number) {
    this.#fill();
    const isChange = Math.max(this.#bytesPerSecond, bytesPerSecond) < Number.POSITIVE_INFINITY;
    this.#bytesPerSecond = bytesPerSecond;
    this.#level = isChange ? Math.min(this.#level, this.#capacity) : this.#capacity;
    this.#serve();
  }

  /** Whether anybody has to wait at all, here or further out. */
  get isLimited(): boolean {
    if (this.#bytesPerSecond < Number.POSITIVE_INFINITY) return true;
    for (const outer of this.#within) if (outer.isLimited) return true;
    return false;
  }

  /** The most bytes to ask for at once: small enough that progress shows, and that others have their turn. */
  get chunkLength(): number {
    return Math.min(this.#capacity, ...this.#within.map(({ chunkLength }) => chunkLength));
  }

  /**
   * Resolves when `bytes` may pass, in the order of asking. Rejects with the signal's reason, and takes nothing
   * here then.
   */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    using first = new FirstOf(signal, ...this.#endings());
    first.signal.throwIfAborted();
    await this.#takeOwn(bytes, first.signal);
    for (const outer of this.#within) await outer.take(bytes, signal);
  }

  #endings(): AbortSignal[] {
    const own = this.#ended === undefined ? [] : [this.#ended()];
    return [...own, ...this.#within.flatMap((outer) => outer.#endings())];
  }

  /** What was taken and has turned out not to pass. */
  giveBack(bytes: number): void {
    this.#fill();
    this.#level = Math.min(this.#capacity, this.#level + bytes);
    this.#serve();
    for (const outer of this.#within) outer.giveBack(bytes);
  }

  get #capacity(): number {
    return Math.max(MIN_CHUNK_LENGTH, Math.floor(this.#bytesPerSecond * BURST_SECONDS));
  }

  #takeOwn(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const taken = this.#queue.wait(bytes, signal);
    this.#serve();
    return taken;
  }

  #serve(): void {
    this.#fill();
    this.#callOff?.();
    this.#callOff = undefined;
    for (let bytes = this.#queue.wanted; bytes !== undefined; bytes = this.#queue.wanted) {
      const missing = Math.min(bytes, this.#capacity) - this.#level;
      if (missing > 0) {
        const delayMs = Math.ceil((missing / this.#bytesPerSecond) * 1000);
        this.#callOff = this.#clock.wake(() => this.#serve(), Math.max(1, delayMs));
        return;
      }
      if (this.#bytesPerSecond < Number.POSITIVE_INFINITY) this.#level -= bytes;
      this.#queue.grant();
    }
  }

  #fill(): void {
    const now = this.#clock.now();
    const seconds = (now - this.#filledAt) / 1000;
    this.#filledAt = now;
    if (seconds > 0) this.#level = Math.min(this.#capacity, this.#level + seconds * this.#bytesPerSecond);
  }
}
