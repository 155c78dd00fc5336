/**
 * How far a window opens: it doubles as long as that brings more through in the same time, steps back where it
 * does not, and tries again now and then, as lines and servers change. So a short line is not filled with
 * megabytes that only wait in buffers, and a long one gets as much as it holds.
 */
export interface PaceOptions {
  /** How many units may be out at first. */
  readonly initial: number;
  /** The most units that may ever be out at once. */
  readonly max: number;
  /** As far it opens after the first turn, without a look at what that brings. Default: `initial`. */
  readonly modest?: number;
  /** How far it may open at present, where that changes. */
  readonly ceiling?: () => number;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

/** What counts as more. */
const GAIN = 1.05;
/** Full turns until the next try. */
const TURNS_BETWEEN_TRIES = 16;

export class Pace {
  readonly #max: number;
  readonly #modest: number;
  readonly #ceiling: () => number;
  readonly #now: () => number;
  #limit: number;
  /** What the window was before it was doubled to see what that brings. */
  #before: number | undefined;
  #bestRate = 0;
  #turnsUntilTry = 0;
  /** The turn under way: the time in which a whole window comes back. */
  #startedAt: number;
  #units = 0;
  #wasFull = false;

  constructor({
    initial,
    max,
    modest = initial,
    ceiling = () => max,
    now = () => performance.now(),
  }: PaceOptions) {
    this.#max = max;
    this.#modest = Math.min(modest, max);
    this.#ceiling = ceiling;
    this.#now = now;
    this.#limit = Math.min(initial, max);
    this.#startedAt = now();
  }

  get limit(): number {
    return this.#limit;
  }

  /** After a time of rest there is nothing to compare with. */
  start(): void {
    this.#startedAt = this.#now();
    this.#units = 0;
    this.#wasFull = false;
  }

  /** Somebody wanted more than there was. */
  noteFull(): void {
    this.#wasFull = true;
  }

  /** So much has come back. */
  count(units: number): void {
    this.#units += units;
    if (this.#units < this.#limit) return;
    // Where nobody had to wait, a larger window would have changed nothing.
    if (this.#wasFull) this.#decide(this.#units / Math.max(this.#now() - this.#startedAt, 0.001));
    this.start();
  }

  #decide(rate: number): void {
    if (this.#limit < this.#modest) {
      this.#limit = this.#modest;
      return;
    }
    const hasGained = rate > this.#bestRate * GAIN;
    if (this.#before !== undefined && !hasGained) {
      this.#limit = this.#before;
      this.#before = undefined;
      this.#turnsUntilTry = TURNS_BETWEEN_TRIES;
      return;
    }
    this.#turnsUntilTry -= 1;
    if (!hasGained && this.#turnsUntilTry > 0) return;
    this.#bestRate = rate;
    this.#before = this.#limit;
    this.#limit = Math.min(this.#max, Math.max(this.#limit, this.#ceiling()), this.#limit * 2);
  }
}
