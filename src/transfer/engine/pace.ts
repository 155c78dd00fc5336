/**
 * How far a window opens: as far as the network carries in one round trip, and a little more, so that the sender always
 * has something to send. TCP controls congestion; what is in flight beyond what the network holds only waits in buffers,
 * and whatever is asked next waits with it.
 *
 * The rate is measured as in BBR (draft-ietf-ccwg-bbr, section 4.1): what was acknowledged while a request was in flight,
 * and the highest of the last round trips counts, as TCP pauses for every lost packet.
 */
import { RoundTrip } from './round-trip.js';

export interface PaceOptions {
  /** How many units may be in flight at first. */
  readonly initial: number;
  /** The most units that may ever be in flight at once. */
  readonly max: number;
  /** The shortest round trip of anything, in milliseconds: no unit has a shorter one. Default: not known. */
  readonly roundTripMs?: () => number;
  /** Over how many connections it is sent: each has a beginning of its own, and something must be left for it. Default: 1. */
  readonly width?: (() => number) | undefined;
  /** The clock, in milliseconds. */
  readonly now?: () => number;
}

/** What was known when something was sent. */
export interface Mark {
  readonly sentAt: number;
  /** How much had been acknowledged by then, and when the last of that had been sent. */
  readonly acknowledged: number;
  readonly lastSentAt: number;
}

/** At first as much as OpenSSH allows in one request: there are servers that cannot handle several of such a length. */
export const FIRST_BYTES = 255 * 1024;
/** Beyond what the network holds: for the server's own time, a pause of the event loop, a lost packet. */
const SLACK_MS = 150;
const MIN_SLACK = 64 * 1024;
const MAX_SLACK = 2 * 1024 * 1024;
/** So many round trips the window is at least what it was at first. */
const STARTING_ROUNDS = 3;
/** So many round trips the highest rate is remembered, and fewer where that would be long … */
const REMEMBERED_ROUNDS = 10;
const REMEMBERED_MS = 3_000;
/** … but never fewer than these and one before: the window doubles with each as long as the last of them bring more … */
const GROWING_ROUNDS = 3;
/** … by this factor. */
const GROWTH = 1.25;
/**
 * Over a network as long as this every round trip counts. Requests are short from the start: TCP sends 14 KiB in its first
 * round trip and doubles that with each, and what is acknowledged early opens the window before TCP has sent all of it.
 */
const LONG_ROUND_TRIP_MS = 30;
/**
 * Over one as long as this less goes at first, and less goes beyond what the network holds while the window doubles: TCP
 * begins with 14 KiB and takes several round trips for what it is given, and what is asked next waits for all of them.
 */
const VERY_LONG_ROUND_TRIP_MS = 100;
const FIRST_PART = 2 / 3;
const SLACK_PART = 1 / 2;
/** A shortest round trip that exceeds that of anything else by more was taken while requests waited for TCP. */
const ROUND_TRIP_TOLERANCE = 1.25;
const ROUND_TRIP_TOLERANCE_MS = 5;

export class Pace {
  readonly #max: number;
  readonly #lowestMs: () => number;
  readonly #width: () => number;
  readonly #now: () => number;
  readonly #roundTrip = new RoundTrip(MIN_SLACK);
  readonly #initial: number;
  #limit: number;
  #acknowledged = 0;
  #lastSentAt: number;
  #rate = 0;
  /** The highest rate of each of the last round trips, beginning with the present one, and when they were over. */
  #rates = [0];
  #endedAt: number[] = [];
  #isGrowing = true;
  /** A round trip is over when something is acknowledged that was sent after so much had been. */
  #roundEnd = 0;
  #wasFull = false;

  constructor({ initial, max, ...more }: PaceOptions) {
    const { roundTripMs = () => 0, width = () => 1, now = () => performance.now() } = more;
    this.#max = max;
    this.#lowestMs = roundTripMs;
    this.#width = width;
    this.#now = now;
    this.#initial = initial;
    this.#limit = Math.min(this.#isVeryLong ? initial * FIRST_PART : initial, max);
    this.#lastSentAt = now();
  }

  get limit(): number {
    return this.#limit;
  }

  /** How much has been acknowledged so far. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  /** Units per millisecond, the highest of late; 0 before the first acknowledgement. */
  get rate(): number {
    return this.#rate;
  }

  /** The part of it that goes through one of the connections. */
  get connectionRate(): number {
    return this.#rate / this.#width();
  }

  /** Whether requests had better be short: over a short network the first may be as long as the server takes. */
  get isRateKnown(): boolean {
    return !this.#isStarting || this.#isLong;
  }

  /** Something is sent while nothing is in flight: the time until now says nothing. */
  start(): void {
    this.#lastSentAt = this.#now();
  }

  /** To be kept with what is sent now, and given to {@link count}. */
  mark(): Mark {
    return { sentAt: this.#now(), acknowledged: this.#acknowledged, lastSentAt: this.#lastSentAt };
  }

  /** Somebody wanted to send more than the window allows. */
  noteFull(): void {
    this.#wasFull = true;
  }

  /** So much of what was sent at that mark has been acknowledged. */
  count(units: number, { sentAt, acknowledged, lastSentAt }: Mark): void {
    const now = this.#now();
    const elapsedMs = Math.max(now - sentAt, 0.001);
    this.#acknowledged += units;
    this.#lastSentAt = sentAt;
    this.#roundTrip.note({ units, elapsedMs, now });
    // What comes in one burst after a pause was sent over a longer time.
    const rate = (this.#acknowledged - acknowledged) / Math.max(elapsedMs, sentAt - lastSentAt);
    this.#rates[0] = Math.max(this.#rates[0] ?? 0, rate);
    this.#rate = Math.max(this.#rate, rate);
    if (acknowledged >= this.#roundEnd) this.#endRound(now);
    this.#limit = Math.min(this.#max, this.#target());
  }

  #endRound(now: number): void {
    this.#roundEnd = this.#acknowledged;
    // Where nobody had to wait, it has shown what was wanted, not what the network carries.
    if (!this.#wasFull) return;
    this.#wasFull = false;
    const isRemembered = (endedAt: number, index: number) =>
      index <= GROWING_ROUNDS || (index < REMEMBERED_ROUNDS && now - endedAt < REMEMBERED_MS);
    this.#endedAt = [now, ...this.#endedAt].filter(isRemembered);
    this.#rates = [0, ...this.#rates.slice(0, this.#endedAt.length)];
    this.#rate = Math.max(...this.#rates);
    const before = this.#rates.slice(1 + GROWING_ROUNDS);
    const wasGrowing = this.#isGrowing;
    this.#isGrowing = before.length === 0 || this.#rate >= GROWTH * Math.max(...before);
    if (wasGrowing && !this.#isGrowing && this.#isRoundTripDoubtful) this.#roundTrip.probe(now);
  }

  get #isRoundTripDoubtful(): boolean {
    return this.#roundTrip.ms > ROUND_TRIP_TOLERANCE * this.#lowestMs() + ROUND_TRIP_TOLERANCE_MS;
  }

  /** While TCP is only starting too, the rate says little about the network. */
  get #isStarting(): boolean {
    return this.#rates.length <= STARTING_ROUNDS;
  }

  get #isLong(): boolean {
    return this.#lowestMs() >= LONG_ROUND_TRIP_MS;
  }

  get #isVeryLong(): boolean {
    return this.#lowestMs() >= VERY_LONG_ROUND_TRIP_MS;
  }

  #target(): number {
    const held = this.#rate * this.#roundTrip.ms;
    if (this.#roundTrip.isProbing) return Math.max(MIN_SLACK, held / 2);
    const width = this.#width();
    const slack = Math.max(width * MIN_SLACK, Math.min(this.#rate * SLACK_MS, this.#mostSlack(held)));
    const target = (this.#isGrowing ? 2 * held : held) + slack;
    return this.#isStarting || width > 1 ? Math.max(width * this.#initial, target) : target;
  }

  #mostSlack(held: number): number {
    if (!this.#isGrowing || !this.#isLong) return Math.max(MAX_SLACK, held / 4);
    // TCP doubles its window in a round trip at most: more would overflow the queue sooner, and wait.
    return this.#isVeryLong ? held * SLACK_PART : held;
  }
}
