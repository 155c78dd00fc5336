/** Those who wait for an amount of something, in the order of asking; one that aborts leaves. */
import { onAbort } from '../../shared/abort.js';

interface Entry {
  readonly amount: number;
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

  /** Resolves when its turn has come; rejects with the signal's reason. */
  wait(amount: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = {
        amount,
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
      this.#entries.push(entry);
    });
  }

  /** It is the turn of the first one. */
  grant(): void {
    this.#entries.shift()?.grant();
  }
}
