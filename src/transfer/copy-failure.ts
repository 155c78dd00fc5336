/** What the caller is told when a copy has failed. */

import type { Buffer } from 'node:buffer';
import { readable } from '../errors/readable-error.js';
import {
  ConnectionLostError,
  ProtocolError,
  SftpError,
  SftpStatusError,
  type Side,
  TimeoutError,
  TransferError,
} from '../errors.js';
import { quote } from '../shared/remote-path.js';
import { isLost } from '../shared/retry.js';
import { CallerError } from './caller-error.js';
import { hasCode, type SourcePlace, type TargetPlace } from './file-system.js';

/** The failure of reading or writing, with the two paths and how far the copy has come. */
export async function explainFailure(
  error: unknown,
  copy: CopiedPlaces,
  bytesDone: number,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  // The caller's own wish comes as it is; the end of a session aborts too, and tells how far it has come.
  if ((signal?.aborted && !isLost(error)) || UNEXPLAINED.some((type) => error instanceof type)) return error;
  const { from, to } = texts(copy);
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
  const place = failingPlace(error, copy);
  const { fileSystem, path } = copy.target;
  const likely = place === copy.target ? await fileSystem.likelyCause?.(error, path, { signal }) : error;
  const cause = readable(likely instanceof Error ? likely : error);
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;
  const advice = code === undefined ? undefined : ADVICE[code];
  const hint = advice === undefined ? '' : `; ${advice}`;
  return new TransferError(`Copying ${done} failed: ${cause.message}${hint}`, {
    ...(code === undefined ? {} : { code }),
    cause,
    ...progress,
    ...failedAt(place),
  });
}

/** The failure of a copy, with the place where all of its content has been left. */
export function contentLeft(error: unknown, { fileSystem, path }: TargetPlace): unknown {
  const isOfCopy =
    error instanceof TransferError || (error instanceof ConnectionLostError && error.transfer !== undefined);
  if (isOfCopy) error.message += `; all of the new content is in ${quote(fileSystem.textOf(path))}`;
  return error;
}

export interface CopiedPlaces {
  readonly source: SourcePlace;
  readonly target: TargetPlace;
}

/** Our own errors of a transfer are about a server; those of a disk or a stream are not ours. */
function failingPlace(error: Error, { source, target }: CopiedPlaces): SourcePlace | TargetPlace {
  const isRemote = error instanceof SftpError;
  const [one, other] = [source, target].filter(({ fileSystem }) => fileSystem.isLocal !== isRemote);
  if (one === undefined || other === undefined) return one ?? target;
  return 'path' in error && error.path === one.fileSystem.textOf(one.path) ? one : other;
}

/** The side and the path of a {@link TransferError}. */
export function failedAt({ fileSystem, path }: SourcePlace | TargetPlace): { side: Side; path: string } {
  return { side: fileSystem.isLocal ? 'local' : 'remote', path: fileSystem.textOf(path) };
}

/** What failed under the temporary name of a file is told with the name that the caller gave. */
export function withNameOf<E>(target: TargetPlace, temporary: Buffer, error: E): E {
  if (!(error instanceof Error) || temporary.equals(target.path)) return error;
  const [name, given] = [temporary, target.path].map((path) => target.fileSystem.textOf(path)) as [
    string,
    string,
  ];
  const renamed = (text: string) =>
    text
      .replaceAll(`${quote(name)} to `, '')
      .replaceAll(`'${name}' -> `, '')
      .replaceAll(quote(name), quote(given))
      .replaceAll(name, given);
  // The reason of an abort is the caller's, and may be read-only: it does not name our file.
  const { message, stack = '' } = error;
  if (renamed(message) !== message)
    Object.assign(error, { message: renamed(message), stack: renamed(stack) });
  if ('path' in error && error.path === name) Object.assign(error, { path: given });
  withNameOf(target, temporary, error.cause);
  return error;
}

const UNEXPLAINED = [ProtocolError, TimeoutError, CallerError];

/** There is nobody left to go on with, or nobody who wants to. */
export function isFatal(error: unknown): boolean {
  return [ConnectionLostError, ProtocolError, CallerError].some((type) => error instanceof type);
}

/** It is the file system that says no: what is in the way can be looked at. */
export function isAnswer(error: unknown): boolean {
  if (error instanceof SftpError) return error instanceof SftpStatusError;
  return error instanceof Error && 'code' in error;
}

/** What a file system says that allows no temporary name or no renaming. It is not what one says that is full. */
const REFUSALS = ['EACCES', 'EPERM', 'EBUSY', 'EXDEV', 'EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'FAILURE'];

export function isRefusal(error: unknown): boolean {
  return hasCode(error, ...REFUSALS);
}

/** A file could not be written under a temporary name and renamed. */
export class NotReplaceable extends Error {
  readonly reason: unknown;
  /** Nothing is in its place. */
  readonly isNew: boolean;
  /** Where all of its content is, if the source does not give that again. */
  readonly written: Buffer | undefined;

  constructor(
    reason: unknown,
    { isNew, written }: { readonly isNew: boolean; readonly written?: Buffer | undefined },
  ) {
    super('The file cannot be replaced');
    this.reason = reason;
    this.isNew = isNew;
    this.written = written;
  }

  /** For the caller, who knows nothing of temporary names. */
  explain(source: SourcePlace, target: TargetPlace): unknown {
    const { reason } = this;
    if (!(reason instanceof Error)) return reason;
    const { from, to } = texts({ source, target });
    const code = 'code' in reason && typeof reason.code === 'string' ? reason.code : undefined;
    const message =
      `${quote(to)} cannot be written under a temporary name in its directory and renamed (${code}); ` +
      'set atomic: false to write it in place';
    return new TransferError(message, {
      ...(code === undefined ? {} : { code }),
      cause: reason,
      source: from,
      destination: to,
      bytesDone: 0,
      ...failedAt(target),
    });
  }
}

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space and try again',
  EDQUOT: 'the quota is used up: free some space and try again',
};

/** The source turned out shorter or longer than it was when the copy began. */
export function sourceChanged(copy: CopiedPlaces, bytes: number, size: number): TransferError {
  const { from, to } = texts(copy);
  const how = bytes < size ? `ended after ${bytes} of ${size} bytes` : `grew beyond its ${size} bytes`;
  return new TransferError(`${quote(from)} ${how} while it was copied; retry once nothing is writing to it`, {
    code: 'SOURCE_CHANGED',
    source: from,
    destination: to,
    bytesDone: Math.min(bytes, size),
    ...failedAt(copy.source),
  });
}

export function sizeMismatch(copy: CopiedPlaces, bytes: number, size: number | undefined): TransferError {
  const { to } = texts(copy);
  const message = `${quote(to)} has ${size} bytes on the server, but ${bytes} were written`;
  return failedAfterwards('SIZE_MISMATCH', message, copy, bytes);
}

/** Drop boxes are emptied by programs that do not wait for us. */
export function vanished(copy: CopiedPlaces, bytes: number, cause: unknown): TransferError {
  const { to } = texts(copy);
  const message =
    `${quote(to)} was uploaded completely, but was gone when its size was verified: ` +
    'another process may have moved or deleted it. Set confirm: false if this is expected';
  return failedAfterwards('VANISHED', message, copy, bytes, cause);
}

/** There are drop boxes into which one may write, and not look. */
export function unconfirmed(
  copy: CopiedPlaces,
  { bytes, isAside }: { readonly bytes: number; readonly isAside: boolean },
  cause: Error,
): TransferError {
  const { to } = texts(copy);
  const state = isAside
    ? `The server accepted all ${bytes} bytes for ${quote(to)}, but would not tell their size, so that they did not take its place`
    : `The upload of ${quote(to)} is complete (${bytes} bytes), but the server would not tell its size`;
  const message = `${state}: ${cause.message}. Set \`confirm: false\` to upload without this check`;
  return failedAfterwards('UNCONFIRMED', message, copy, bytes, cause);
}

/** All bytes were written, and what was asked about them then was not answered as it should be. */
function failedAfterwards(
  code: string,
  message: string,
  copy: CopiedPlaces,
  bytesDone: number,
  cause?: unknown,
): TransferError {
  const { from: source, to: destination } = texts(copy);
  const details = { code, cause, source, destination, bytesDone, ...failedAt(copy.target) };
  return new TransferError(message, details);
}

function texts({ source, target }: CopiedPlaces): { from: string; to: string } {
  return { from: source.fileSystem.textOf(source.path), to: target.fileSystem.textOf(target.path) };
}
