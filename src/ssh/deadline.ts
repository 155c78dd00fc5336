import { timerDelay } from '../shared/timer-delay.js';

/** A deadline that stands still while somebody is being asked: people take their time, and that is no fault of the server. */
export class Deadline {
  readonly #onExpire: () => void;
  #leftMs: number;
  #startedMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #questions = 0;
  #over = false;

  constructor(timeoutMs: number, onExpire: () => void = () => {}) {
    this.#onExpire = onExpire;
    this.#leftMs = timeoutMs;
    this.#start();
  }

  /** What is left of it, in ms. */
  get leftMs(): number {
    const running = this.#questions === 0 && !this.#over;
    return Math.max(0, this.#leftMs - (running ? performance.now() - this.#startedMs : 0));
  }

  /** Waits for an answer, during which no time is counted. */
  async whileAsking<Answer>(ask: () => Answer | Promise<Answer>): Promise<Answer> {
    this.#stop();
    this.#questions++;
    try {
      return await ask();
    } finally {
      this.#questions--;
      this.#start();
    }
  }

  cancel(): void {
    this.#stop();
    this.#over = true;
  }

  #start(): void {
    if (this.#over || this.#questions > 0) return;
    this.#startedMs = performance.now();
    this.#timer = setTimeout(this.#onExpire, timerDelay(this.#leftMs));
  }

  #stop(): void {
    this.#leftMs = this.leftMs;
    clearTimeout(this.#timer);
  }
}
