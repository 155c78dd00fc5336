/** What the streams of files have in common: how much memory they take, and their arguments. */
import type { Readable, Writable } from 'node:stream';
import { checkCount } from '../../shared/arguments.js';
import { FIRST_BYTES } from '../engine/pace.js';
import { checkBytesPerSecond } from '../engine/speed.js';
import { Throttle } from '../engine/throttle.js';
import { Window } from '../engine/window.js';

/** The most that one stream has in flight: its consumer may leave all of it lying here. */
const MAX_STREAM_BYTES = 16 * 1024 * 1024;
/** A network of a gigabyte per second carries so much in each millisecond of its round trip … */
const BYTES_PER_MS = 1024 * 1024;
/** … and even a short one keeps a disk, a cipher and a server busy with this. */
const MIN_STREAM_BYTES = 4 * 1024 * 1024;

/** @throws TypeError | RangeError where it is given and no number of bytes above 0 */
export function checkHighWaterMark(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (checkCount('highWaterMark', value) === 0) throw new RangeError('highWaterMark must be greater than 0');
  return Number(value);
}

/** What a stream may have in flight where nobody says how much. */
export function streamBytes(roundTripMs: number): number {
  return Math.min(MAX_STREAM_BYTES, Math.max(MIN_STREAM_BYTES, roundTripMs * BYTES_PER_MS));
}

/**
 * A window of one stream's own. Bytes that wait for a slow consumer must not stop the other transfers of the
 * connection, which the consumer may be waiting for.
 *
 * @param width over how many connections the stream goes
 */
export function windowOf(maxBytes: number, width?: () => number): Window {
  return new Window({ max: maxBytes, initial: FIRST_BYTES, width });
}

/** The stream's own limit within that of the connection. Throws where it is none. */
export function throttleOf(bytesPerSecond: number | undefined, connections: Throttle | undefined): Throttle {
  checkBytesPerSecond(bytesPerSecond);
  return new Throttle({ bytesPerSecond, within: connections === undefined ? [] : [connections] });
}

/** The bytes from `start` to `end`, both included as in Node. */
export interface StreamRange {
  readonly start: number;
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

/** As Node's file streams; outside of the promise, as what a listener throws is not its failure. */
export function tellOpen(stream: Readable | Writable): void {
  process.nextTick(() => {
    if (!stream.destroyed) for (const event of ['open', 'ready']) stream.emit(event);
  });
}
