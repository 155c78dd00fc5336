/** Changing owner, size and times. */
import type { Buffer } from 'node:buffer';
import { checkCount, checkUint32, kindOf } from '../arguments.js';
import { OPEN_FLAGS, type OperationOptions, type SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { hasCode } from '../transfer/file-system.js';
import type { AttributeValues } from '../wire/attributes.js';

/** A moment: seconds since 1970, or a `Date`. */
export type Timestamp = number | Date;

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
  const kept = uid === undefined || gid === undefined ? await client.stat(path, options) : undefined;
  const both = { uid: uid ?? kept?.uid, gid: gid ?? kept?.gid };
  if (both.uid === undefined || both.gid === undefined) {
    throw failure('ENOTSUP', 'chown', path, 'the server does not tell the owner; give both uid and gid');
  }
  await client.setstat(path, both, options);
}

/** @returns the size as the server then tells it */
export async function truncateFile(
  client: SftpClient,
  path: Buffer,
  size: number,
  options: OperationOptions,
): Promise<number> {
  checkCount('size', size);
  await client.setstat(path, { size }, options);
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
  await client.setstat(path, times == null ? now() : checkTimes(times), options);
}

/** As touch(1): the times of what is there, or a new and empty file. */
export async function touchFile(client: SftpClient, path: Buffer, options: OperationOptions): Promise<void> {
  try {
    await client.setstat(path, now(), options);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    // Not EXCL: somebody else may have made it meanwhile, which serves as well.
    await client.close(await client.open(path, OPEN_FLAGS.WRITE | OPEN_FLAGS.CREAT, options));
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
