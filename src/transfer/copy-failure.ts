/** What the caller is told when a copy has failed. */
import { ConnectionLostError, ProtocolError, TimeoutError, TransferError } from '../errors.js';
import { quote } from '../remote-path.js';
import { CallerError } from './caller-error.js';
import type { SourcePlace, TargetPlace } from './file-system.js';

/** The failure of reading or writing, with the two paths and how far the copy has come. */
export function explainFailure(
  error: unknown,
  source: SourcePlace,
  target: TargetPlace,
  bytesDone: number,
  signal: AbortSignal | undefined,
): unknown {
  // The session's own end and the caller's own wish are known by their own classes.
  if (signal?.aborted || UNEXPLAINED.some((type) => error instanceof type)) return error;
  const { from, to } = texts(source, target);
  const progress = { source: from, destination: to, bytesDone };
  const done = `${quote(from)} to ${quote(to)} after ${bytesDone} bytes`;
  if (error instanceof ConnectionLostError) {
    return new ConnectionLostError(`${error.message}, while copying ${done}`, {
      code: error.code,
      cause: error,
      transfer: progress,
    });
  }
  if (!(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const advice = code === undefined ? undefined : ADVICE[code];
  const hint = advice === undefined ? '' : `; ${advice}`;
  return new TransferError(`Copying ${done} failed: ${error.message}${hint}`, {
    ...(code === undefined ? {} : { code }),
    cause: error,
    ...progress,
  });
}

const UNEXPLAINED = [ProtocolError, TimeoutError, CallerError];

/** There is nobody left to go on with, or nobody who wants to. */
export function isFatal(error: unknown): boolean {
  return [ConnectionLostError, ProtocolError, CallerError].some((type) => error instanceof type);
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space and try again',
  EDQUOT: 'the quota is used up: free some space and try again',
};

/** The source turned out shorter or longer than it was when the copy began. */
export function sourceChanged(
  source: SourcePlace,
  target: TargetPlace,
  bytes: number,
  size: number,
): TransferError {
  const { from, to } = texts(source, target);
  const how = bytes < size ? `ended after ${bytes} of ${size} bytes` : `grew beyond its ${size} bytes`;
  return new TransferError(`${quote(from)} ${how} while it was copied; try again when it rests`, {
    code: 'SOURCE_CHANGED',
    source: from,
    destination: to,
    bytesDone: Math.min(bytes, size),
  });
}

export function sizeMismatch(
  source: SourcePlace,
  target: TargetPlace,
  bytes: number,
  size: number | undefined,
): TransferError {
  const { from, to } = texts(source, target);
  return new TransferError(`${quote(to)} has ${size} bytes on the server, but ${bytes} were written`, {
    code: 'SIZE_MISMATCH',
    source: from,
    destination: to,
    bytesDone: bytes,
  });
}

/** Drop boxes are emptied by programs that do not wait for us. */
export function vanished(
  source: SourcePlace,
  target: TargetPlace,
  bytes: number,
  cause: unknown,
): TransferError {
  const { from, to } = texts(source, target);
  const message =
    `${quote(to)} was written and accepted whole, but was gone when its size was to be confirmed: ` +
    'something on the server has taken it away. Use `confirm: false` where that is as it should be';
  return new TransferError(message, {
    code: 'VANISHED',
    cause,
    source: from,
    destination: to,
    bytesDone: bytes,
  });
}

function texts(source: SourcePlace, target: TargetPlace): { from: string; to: string } {
  return { from: source.fileSystem.textOf(source.path), to: target.fileSystem.textOf(target.path) };
}
