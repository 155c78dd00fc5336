/** Figures of a transfer under way, as its callback gets them and as people read them. */
import { marked } from './caller-error.js';

export interface TransferSpeed {
  /** Bytes per second over the last seconds. */
  readonly rate: number;
  /** An estimate of the milliseconds that are left; `undefined` as long as there is nothing to base it on. */
  readonly remaining: number | undefined;
  /** Milliseconds since the first figures. */
  readonly elapsed: number;
}

/** As far as the rate looks back, and how often it takes a sample. */
const MEMORY_MS = 5_000;
const SAMPLE_MS = 100;

/** The rate over the last seconds. */
export class Speedometer {
  readonly #now: () => number;
  readonly #samples: { readonly atMs: number; readonly bytes: number }[] = [];
  #startMs: number | undefined;

  /** @param now the clock, in milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** What the first call tells was there before, and does not count as moved. */
  note(bytes: number, total: number): TransferSpeed {
    const nowMs = this.#now();
    this.#startMs ??= nowMs;
    const last = this.#samples.at(-1);
    if (last === undefined || nowMs - last.atMs >= SAMPLE_MS) this.#samples.push({ atMs: nowMs, bytes });
    while ((this.#samples[1]?.atMs ?? nowMs) < nowMs - MEMORY_MS) this.#samples.shift();
    const [first = { atMs: nowMs, bytes }] = this.#samples;
    const spanMs = nowMs - first.atMs;
    const rate = spanMs > 0 ? Math.max(0, ((bytes - first.bytes) * 1000) / spanMs) : 0;
    const left = Math.max(0, total - bytes);
    const remaining = left === 0 ? 0 : rate > 0 ? Math.round((left * 1000) / rate) : undefined;
    return { rate: Math.round(rate), remaining, elapsed: Math.round(nowMs - this.#startMs) };
  }
}

/**
 * Adds the speed to the figures, marks what the callback throws, and keeps them from going backwards where another attempt begins anew.
 *
 * @param now the clock, in milliseconds
 */
export function measured<Detail extends object>(
  callback: ((transferred: number, total: number, detail: Detail & TransferSpeed) => void) | undefined,
  now?: () => number,
): ((transferred: number, total: number, detail: Detail) => void) | undefined {
  if (callback === undefined) return undefined;
  const tell = marked(callback);
  const speedometer = new Speedometer(now);
  let most = 0;
  return (transferred, total, detail) => {
    most = Math.max(most, transferred);
    const whole = Math.max(most, total);
    tell(most, whole, { ...detail, ...speedometer.note(most, whole) });
  };
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** `1536` as `1.5 KiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `95000` as `1:35`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (value: number): string => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
