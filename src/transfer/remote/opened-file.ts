/**
 * What a server has opened, looked at before anybody relies on it: not every server empties a file that is to be
 * emptied, or leaves alone what is to stay.
 */
import type { Buffer } from 'node:buffer';
import { OPEN_AS } from '../../session/quirks/open-flags.js';
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { failure, unlessRefused } from '../../session/status-error.js';
import type { Cancellable } from '../file-system.js';
import { hasCode } from '../file-system.js';

/** Opens an existing file to write into it; for writing alone if it may not be read. */
export async function openExisting(
  client: SftpClient,
  path: Buffer,
  options: Cancellable & { readonly onlyIfFree?: boolean },
): Promise<RemoteHandle> {
  try {
    return await client.open(path, OPEN_AS.readWrite, options);
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM')) throw error;
    return client.open(path, OPEN_AS.writeOnly, options).catch(() => Promise.reject(error));
  }
}

/** Empties what should be empty and is not; false if that cannot be told, so that the caller must compare the end. */
export async function makeEmpty(
  client: SftpClient,
  handle: RemoteHandle,
  options: Cancellable,
): Promise<boolean> {
  if (((await sizeOf(client, handle, options)) ?? 0) === 0) return true;
  await unlessRefused(client.fsetstat(handle, { size: 0 }, options));
  return (await sizeOf(client, handle, options)) === 0;
}

/**
 * Makes sure that the first `bytes` are still there.
 *
 * @returns how long the file is, where the server tells
 * @throws SftpStatusError where it was emptied: what is written behind the end would lie behind zeros.
 */
export async function checkKept(
  client: SftpClient,
  { handle, path, bytes }: { readonly handle: RemoteHandle; readonly path: Buffer; readonly bytes: number },
  options: Cancellable,
): Promise<number | undefined> {
  const size = await sizeOf(client, handle, options);
  if (bytes === 0 || (size !== undefined && size >= bytes)) return size;
  // A size may be wrong or missing, but the last byte is there or is not.
  const reading = client.read(handle, bytes - 1, 1, options);
  const last = await unlessRefused(reading, size === undefined ? undefined : null);
  if (last !== null) return undefined;
  const what = `the server has emptied the file while opening it, and the ${bytes} bytes that it held are lost`;
  throw failure('FAILURE', 'open', path, what);
}

async function sizeOf(
  client: SftpClient,
  handle: RemoteHandle,
  options: Cancellable,
): Promise<number | undefined> {
  const attributes = await unlessRefused(client.fstat(handle, options));
  return attributes?.size;
}
