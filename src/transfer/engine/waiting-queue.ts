/** Those who wait for an amount of something, by rank and in the order of asking; one that aborts leaves. */
import { onAbort } from '../../shared/abort.js';

interface Entry {
  readonly amount: number;
  readonly rank: number;
  grant(): void;
}

export class WaitingQueue {
  readonly #entries: Entry[] = [];
  readonly #onLeave: () => void;

  /** @param onLeave is called when somebody has left, as those behind may have what they need */
  constructor(onLeave: () => void) {
    this.#onLeave = onLeave;
  }

  /** How much the first one waits for; `undefined` where nobody waits. */
  get wanted(): number | undefined {
    return this.#entries[0]?.amount;
  }

  /**
   * Resolves when its turn has come; rejects with the signal's reason.
   *
   * @param rank those with a lower one go first
   */
  wait(amount: number, signal: AbortSignal | undefined, rank = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = {
        amount,
        rank,
        grant: () => {
          callOff();
          resolve();
        },
      };
      const callOff = onAbort(signal, (reason) => {
        this.#entries.splice(this.#entries.indexOf(entry), 1);
        reject(reason);
        this.#onLeave();
      });
      this.#entries.splice(this.#placeOf(rank), 0, entry);
    });
  }

  /** It is the turn of the first one. */
  grant(): void {
    this.#entries.shift()?.grant();
  }

  /** Behind everybody of the same rank. */
  #placeOf(rank: number): number {
    let place = this.#entries.length;
    while (place > 0 && (this.#entries[place - 1]?.rank ?? 0) > rank) place -= 1;
    return place;
  }
}
