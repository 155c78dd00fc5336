/**
 * How much may be on its way through one of several connections. A connection that loses packets takes long for what it has
 * got, while others have nothing to do. So each gets only what it answers soon, as LEDBAT decides it by the delay
 * (RFC 6817, section 2.4.2).
 */

const MIN_BYTES = 64 * 1024;
/** TCP has sent so much after three round trips. */
const FIRST_BYTES = 128 * 1024;
/** A request that takes two round trips and no longer than this was not waiting for others: there may be more of them … */
const SOON_MS = 100;
/** … and one that takes longer than this was: there may be fewer. */
const LATE_MS = 300;

export class LaneRoom {
  readonly #roundTripMs: () => number;
  #limit = FIRST_BYTES;

  /** @param roundTripMs the shortest of the connection */
  constructor(roundTripMs: () => number) {
    this.#roundTripMs = roundTripMs;
  }

  /** The most bytes on their way at present. */
  get limit(): number {
    return this.#limit;
  }

  /**
   * A request of so many bytes was answered after that time.
   *
   * @param inFlight the bytes that were on their way until then: room that nobody has used says nothing about the connection
   */
  note(bytes: number, elapsedMs: number, inFlight: number): void {
    const extraMs = elapsedMs - 2 * this.#roundTripMs();
    if (extraMs <= SOON_MS) this.#limit = Math.max(this.#limit, Math.min(this.#limit + bytes, 2 * inFlight));
    else if (extraMs > LATE_MS) this.#limit = Math.max(MIN_BYTES, this.#limit - bytes);
  }
}
