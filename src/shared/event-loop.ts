/** So many small steps take some milliseconds. */
const STEPS = 500;

/**
 * Long work in small steps that may wait for nothing: without a break no timer, no signal and nothing from the network
 * has its turn, so that nothing can abort it and no keepalive message is answered.
 */
export class LongWork {
  #count = 0;

  /** Lets the event loop go round after some hundred steps: a promise only then, as to await nothing takes time too. */
  step(): Promise<void> | undefined {
    this.#count += 1;
    if (this.#count % STEPS === 0) return new Promise((resolve) => setImmediate(resolve));
    return undefined;
  }
}
