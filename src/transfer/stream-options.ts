/** What the streams of files have in common: how much memory they take, and their arguments. */
import { checkCount } from '../arguments.js';
import { checkBytesPerSecond } from '../speed.js';
import { FIRST_BYTES, lineCapacity } from './line-capacity.js';
import { Throttle } from './throttle.js';
import { Window } from './window.js';

/** What one stream may have on the way over a long line: its consumer may leave all of it lying here. */
const MAX_STREAM_BYTES = 16 * 1024 * 1024;

/** @throws TypeError | RangeError where it is given and no number of bytes above 0 */
export function checkHighWaterMark(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (checkCount('highWaterMark', value) === 0) throw new RangeError('highWaterMark 0 lets nothing through');
  return Number(value);
}

/** What a stream may have on the way where nobody says how much. */
export function streamBytes(roundTripMs: number): number {
  return Math.min(MAX_STREAM_BYTES, lineCapacity(roundTripMs));
}

/**
 * A window of one stream's own. Bytes that wait for a slow consumer must not stop the other transfers of the
 * connection, which the consumer may be waiting for.
 */
export function windowOf(maxBytes: number): Window {
  return new Window({ max: maxBytes, initial: Math.min(maxBytes, FIRST_BYTES) });
}

/** The stream's own limit within that of the connection. Throws where it is none. */
export function throttleOf(bytesPerSecond: number | undefined, connections: Throttle | undefined): Throttle {
  checkBytesPerSecond(bytesPerSecond);
  return new Throttle({ bytesPerSecond, within: connections === undefined ? [] : [connections] });
}

/** The bytes from `start` to `end`, both included as in Node. */
export interface StreamRange {
  readonly start: number | undefined;
  /** Infinite where there is no `end`. */
  readonly length: number;
}

/** @throws TypeError | RangeError where it is no range */
export function checkRange(start: unknown, end: unknown, defaultStart: number): StreamRange {
  const first = start === undefined ? defaultStart : checkCount('start', start);
  if (end === undefined || end === Number.POSITIVE_INFINITY) {
    return { start: first, length: Number.POSITIVE_INFINITY };
  }
  const last = checkCount('end', end);
  if (last < first) throw new RangeError(`start ${first} is behind end ${last}`);
  return { start: first, length: last - first + 1 };
}

/** Streams are destroyed with errors only; a signal may have any reason. */
export function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(`aborted: ${String(reason)}`, { cause: reason });
}

/** Calls back outside of the promise, as what a listener throws is not the promise's failure. */
export function callBack(promise: Promise<void>, callback: (error?: Error | null) => void): void {
  promise.then(
    () => process.nextTick(callback),
    (error) => process.nextTick(callback, asError(error)),
  );
}
