/** Changing owner, size and times. */
import type { Buffer } from 'node:buffer';
import { explain, likelyCause } from '../session/quirks/likely-cause.js';
import { orMissing } from '../session/quirks/missing-file.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { checkCount, checkUint32, kindOf } from '../shared/arguments.js';
import { CALL_OPTIONS, type CallOptions, type OptionTable } from '../shared/option-checks.js';
import { hasCode } from '../transfer/file-system.js';
import type { AttributeValues } from '../wire/attributes.js';
import { openFile } from './files/file-opening.js';
import { parseOpenMode } from './files/open-mode.js';

/** A moment: seconds since 1970, or a `Date`. */
export type Timestamp = number | Date;

/** Options of {@link Connection.chown}. */
export interface ChownOptions extends CallOptions {
  /** The number of the new owner. Default: it stays. */
  readonly uid?: number | undefined;
  /** The number of the new group. Default: it stays. */
  readonly gid?: number | undefined;
}

export const CHOWN_OPTIONS: OptionTable<ChownOptions> = { ...CALL_OPTIONS, uid: 'checked', gid: 'checked' };

/** The wire has one flag for both ids, so the one that is not given is asked for. */
export async function changeOwner(
  client: SftpClient,
  path: Buffer,
  owner: { readonly uid: number | null | undefined; readonly gid: number | null | undefined },
  options: OperationOptions,
): Promise<void> {
  const uid = owner.uid == null ? undefined : checkUint32('uid', owner.uid);
  const gid = owner.gid == null ? undefined : checkUint32('gid', owner.gid);
  if (uid === undefined && gid === undefined) return;
  const look = { client, path, options };
  const kept =
    uid === undefined || gid === undefined
      ? await explain(client.stat(path, options), 'stat', look)
      : undefined;
  const both = { uid: uid ?? kept?.uid, gid: gid ?? kept?.gid };
  if (both.uid === undefined || both.gid === undefined) {
    throw failure('ENOTSUP', 'chown', path, 'the server does not report the owner; give both uid and gid');
  }
  await explain(client.setstat(path, both, options), 'setstat', look);
}

/** @returns the size as the server then tells it */
export async function truncateFile(
  client: SftpClient,
  path: Buffer,
  size: number,
  options: OperationOptions,
): Promise<number> {
  checkCount('size', size);
  await explain(client.setstat(path, { size }, options), 'truncate', { client, path, options });
  const confirmed = await client.stat(path, options);
  // A server that tells no sizes has at least not refused this one.
  return confirmed.size ?? size;
}

export async function changeTimes(
  client: SftpClient,
  path: Buffer,
  times: readonly [Timestamp, Timestamp] | null | undefined,
  options: OperationOptions,
): Promise<void> {
  const setting = client.setstat(path, times == null ? now() : checkTimes(times), options);
  await explain(setting, 'setstat', { client, path, options });
}

/** As touch(1): the times of what is there, or a new and empty file. */
export async function touchFile(client: SftpClient, path: Buffer, options: OperationOptions): Promise<void> {
  const look = { client, path, options };
  try {
    await orMissing(client, path, client.setstat(path, now(), options), { ...options, followsLinks: true });
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw await likelyCause(error, 'setstat', look);
    const making = openFile(client, path, parseOpenMode('a'), { ...options, attributes: {} });
    const made = await explain(making, 'create', look);
    await client.close(made.handle);
  }
}

function now(): AttributeValues {
  const seconds = Math.floor(Date.now() / 1000);
  return { atime: seconds, mtime: seconds };
}

function checkTimes(times: readonly [Timestamp, Timestamp]): AttributeValues {
  if (!Array.isArray(times) || times.length !== 2) throw new TypeError('times must be [atime, mtime]');
  return { atime: secondsOf(times[0], 'atime'), mtime: secondsOf(times[1], 'mtime') };
}

/** SFTP's times are whole seconds in unsigned 32 bits, up to the year 2106. */
export function secondsOf(time: unknown, name: string): number {
  if (typeof time !== 'number' && !(time instanceof Date)) {
    throw new TypeError(`${name} must be seconds since 1970 or a Date, not ${kindOf(time)}`);
  }
  const seconds = typeof time === 'number' ? time : time.getTime() / 1000;
  if (!(seconds >= 0 && seconds < 2 ** 32))
    throw new RangeError(`${name} ${seconds} is not between 1970 and 2106`);
  return Math.floor(seconds);
}
