/** Whether files are still being written: those that look after look are as they were are not. */
import { isUnchanged, type Level, type Pair } from './level.js';

/** Times are whole seconds: a write within the second of the last one leaves the time as it was. */
const CLOCK_STEP_MS = 1000;

/** For how long a file must be seen unchanged, so that nothing was written to it for `stableForMs`. */
function watchedForMs(stableForMs: number): number {
  return stableForMs === 0 ? 0 : Math.max(stableForMs, CLOCK_STEP_MS) + CLOCK_STEP_MS;
}

export class Stability {
  readonly #neededMs: number;
  readonly #now: () => number;
  #lastLookMs: number;

  /** @param now milliseconds, from anywhere */
  constructor(stableForMs: number, now: () => number) {
    this.#neededMs = watchedForMs(stableForMs);
    this.#now = now;
    this.#lastLookMs = now();
  }

  /** A look is complete, which began at once after the last one or the sleep behind it. */
  noteLook(): void {
    this.#lastLookMs = this.#now();
  }

  /** Notes since when an entry of the last look has been as it is. */
  note(before: Level, now: Level, pair: Pair & { readonly now: number }): void {
    const lastMs = pair.before === undefined ? undefined : before.sinceMs[pair.before];
    const isKnown = pair.before !== undefined && lastMs !== undefined && !Number.isNaN(lastMs);
    const isSame = isKnown && isUnchanged(before.listedAt(pair.before), now.listedAt(pair.now));
    now.sinceMs[pair.now] = isSame ? lastMs : this.#lastLookMs;
  }

  isStable({ sinceMs }: Level, place: number): boolean {
    return this.#lastLookMs - (sinceMs[place] ?? Number.NaN) >= this.#neededMs;
  }

  /** Milliseconds until the next of them may become stable. */
  nextInMs(levels: Iterable<Level>): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { sinceMs } of levels) {
      for (const since of sinceMs) {
        const leftMs = since + this.#neededMs - this.#lastLookMs;
        if (leftMs > 0 && leftMs < nextMs) nextMs = leftMs;
      }
    }
    return nextMs;
  }
}
