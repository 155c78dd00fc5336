/**
 * How far a window opens: at first it grows by whatever comes back, which doubles it with each turn of the line, as
 * long as that brings more through in the same time (as TCP's slow start does, RFC 5681, section 3.1). Where it does
 * not, it steps back, and tries to double again now and then, as lines and servers change. So a short line is not
 * filled with megabytes that only wait in buffers, and a long one gets as much as it holds.
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
  /** Until it has turned out for the first time that more brings nothing. */
  #isOpening = true;
  /** The window that has brought the best so far, while a larger one is tried. */
  #before: number | undefined;
  /** That has brought nothing in one turn, which may be chance. */
  #isInDoubt = false;
  #bestRate = 0;
  #rate = 0;
  #turnsUntilTry = 0;
  /** The turn under way: the time in which as much comes back as was out when the window was first full. */
  #startedAt: number;
  #limitAtStart: number;
  #turn: number;
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
    this.#limitAtStart = this.#limit;
    this.#turn = this.#limit;
    this.#startedAt = now();
  }

  get limit(): number {
    return this.#limit;
  }

  /** Units that came back per millisecond in the last full turn; 0 before the first. */
  get rate(): number {
    return this.#rate;
  }

  /** After a time of rest there is nothing to compare with. */
  start(): void {
    this.#startedAt = this.#now();
    this.#limitAtStart = this.#limit;
    this.#turn = this.#limit;
    this.#units = 0;
    this.#wasFull = false;
  }

  /** Somebody wanted more than there was: `out` units are out, which hardly ever are quite as many as may be. */
  noteFull(out: number): void {
    if (!this.#wasFull) this.#turn = Math.min(this.#limit, Math.max(out, 1));
    this.#wasFull = true;
  }

  /** So much has come back. */
  count(units: number): void {
    this.#units += units;
    // Where nobody had to wait, a larger window would have changed nothing.
    if (this.#isOpening && this.#wasFull && !this.#isInDoubt) this.#grow(units);
    if (this.#units < this.#turn) return;
    this.#rate = this.#units / Math.max(this.#now() - this.#startedAt, 0.001);
    if (this.#wasFull) this.#decide(this.#rate);
    this.start();
  }

  #grow(units: number): void {
    this.#limit = Math.min(this.#max, Math.max(this.#limit, this.#ceiling()), this.#limit + units);
  }

  #decide(rate: number): void {
    if (this.#limitAtStart < this.#modest) {
      this.#limit = Math.max(this.#limit, this.#modest);
      return;
    }
    const hasGained = rate > this.#bestRate * GAIN;
    if (this.#before === undefined) {
      this.#turnsUntilTry -= 1;
      if (!this.#isOpening && this.#turnsUntilTry > 0) return;
    } else if (!hasGained) {
      if (this.#isInDoubt) this.#stepBack(this.#before);
      else this.#isInDoubt = true;
      return;
    }
    this.#isInDoubt = false;
    this.#bestRate = rate;
    this.#before = this.#limitAtStart;
    if (!this.#isOpening) this.#grow(this.#limit);
  }

  #stepBack(limit: number): void {
    this.#limit = limit;
    this.#before = undefined;
    this.#isInDoubt = false;
    this.#isOpening = false;
    this.#turnsUntilTry = TURNS_BETWEEN_TRIES;
  }
}
