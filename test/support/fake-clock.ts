/** Time that passes only when a test says so. */
import type { ThrottleClock } from '../../src/transfer/engine/throttle.js';

export class FakeClock implements ThrottleClock {
  #nowMs = 0;
  readonly #timers = new Set<{ readonly dueMs: number; readonly callback: () => void }>();

  now(): number {
    return this.#nowMs;
  }

  wake(callback: () => void, delayMs: number): () => void {
    const timer = { dueMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many wait to be woken. */
  get waiting(): number {
    return this.#timers.size;
  }

  /** Lets so many milliseconds pass, and everything that follows from each of them. */
  async pass(milliseconds: number): Promise<void> {
    await settled();
    for (let left = milliseconds; left > 0; left -= 1) {
      this.#nowMs += 1;
      for (const timer of [...this.#timers]) {
        if (timer.dueMs > this.#nowMs) continue;
        this.#timers.delete(timer);
        timer.callback();
        await settled();
      }
    }
  }
}

/** All that can run without time passing has run then. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
