/** Lets so many requests at a time to the server, for servers that cannot handle more; the others wait in order. */

interface Waiting {
  /** Whether nobody waits for its answer any more. */
  readonly isAbandoned: boolean;
}

export class Gate<T extends Waiting> {
  readonly #max: number;
  #inFlight = 0;
  readonly #waiting: T[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Whether the call may be sent now; if not, {@link leave} gives it back later. */
  enter(call: T): boolean {
    if (this.#inFlight < this.#max) {
      this.#inFlight += 1;
      return true;
    }
    this.#waiting.push(call);
    return false;
  }

  /** A call that was let through has been answered; the next one, if one waits, takes its place. */
  leave(): T | undefined {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (!next.isAbandoned) return next;
    }
    this.#inFlight -= 1;
    return undefined;
  }

  /** Takes back the calls that are waiting. */
  clear(): readonly T[] {
    return this.#waiting.splice(0);
  }
}
