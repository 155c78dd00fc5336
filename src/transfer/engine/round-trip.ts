/**
 * The shortest round trip of a network. A queue that we keep filled ourselves looks like a longer one, so that the
 * shortest of all counts; where it may have become longer, it is measured anew with hardly anything in flight (as
 * ProbeRTT in draft-ietf-ccwg-bbr, section 4.3.4).
 */

/** What was sent, how long it took to be acknowledged, and when that was. */
export interface RoundTripSample {
  readonly units: number;
  readonly elapsedMs: number;
  readonly now: number;
}

/** So often it is asked whether everything has taken much longer since … */
const CHECK_INTERVAL_MS = 10_000;
/** … than the shortest, by more than our own queue explains. */
const STALE_MS = 300;

/** A measurement under way: of what is sent after its start, until that is as much as `units`. */
interface Probe {
  readonly startedAt: number;
  units: number;
  shortestMs: number;
}

export class RoundTrip {
  readonly #probeUnits: number;
  #shortestMs = Number.POSITIVE_INFINITY;
  #probe: Probe | undefined;
  #lateMs = Number.POSITIVE_INFINITY;
  #nextCheckAt: number | undefined;

  /** @param probeUnits how much is acknowledged until a probe ends */
  constructor(probeUnits: number) {
    this.#probeUnits = probeUnits;
  }

  /** In milliseconds; infinite before the first sample. */
  get ms(): number {
    return this.#shortestMs;
  }

  /** Whether it is being measured anew: half of what the network holds is the most to have in flight meanwhile. */
  get isProbing(): boolean {
    return this.#probe !== undefined;
  }

  probe(now: number): void {
    this.#probe ??= { startedAt: now, units: 0, shortestMs: Number.POSITIVE_INFINITY };
  }

  note(sample: RoundTripSample): void {
    this.#shortestMs = Math.min(this.#shortestMs, sample.elapsedMs);
    if (this.#probe === undefined) this.#check(sample);
    else this.#noteProbed(this.#probe, sample);
  }

  #check({ now, elapsedMs }: RoundTripSample): void {
    this.#nextCheckAt ??= now + CHECK_INTERVAL_MS;
    this.#lateMs = Math.min(this.#lateMs, elapsedMs);
    if (now < this.#nextCheckAt) return;
    if (this.#lateMs > this.#shortestMs + STALE_MS) this.probe(now);
    this.#lateMs = Number.POSITIVE_INFINITY;
    this.#nextCheckAt = now + CHECK_INTERVAL_MS;
  }

  #noteProbed(probe: Probe, { units, elapsedMs, now }: RoundTripSample): void {
    if (now - elapsedMs <= probe.startedAt) return;
    probe.shortestMs = Math.min(probe.shortestMs, elapsedMs);
    probe.units += units;
    if (probe.units < this.#probeUnits) return;
    this.#shortestMs = probe.shortestMs;
    this.#probe = undefined;
  }
}
