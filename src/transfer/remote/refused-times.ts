/** Servers that let nobody set times: what was mirrored to them has the time of its arrival, which says nothing. */
import type { Buffer } from 'node:buffer';
import { SftpStatusError } from '../../errors.js';
import { OPEN_AS } from '../../session/quirks/open-flags.js';
import type { SftpClient } from '../../session/sftp-client.js';
import { refusalOf } from '../../session/status-error.js';
import type { Cancellable } from '../file-system.js';

export interface RefusalOptions extends Cancellable {
  /** A new file may be made here for a moment; left out if nothing may be changed. */
  readonly newFile?: Buffer | undefined;
}

/** Tried with the times that a file has already; it may be somebody else's, so a new one of ours decides. */
export async function refusesTimes(
  client: SftpClient,
  path: Buffer,
  { signal, newFile }: RefusalOptions,
): Promise<boolean> {
  const { atime, mtime } = await client.stat(path, { signal });
  if (atime === undefined || mtime === undefined) return false;
  const isRefused = (request: Promise<void>) => refusalOf(request).then((error) => error !== undefined);
  if (!(await isRefused(client.setstat(path, { atime, mtime }, { signal })))) return false;
  if (newFile === undefined) return true;
  try {
    const handle = await client.open(newFile, OPEN_AS.created, { signal });
    try {
      const byHandle = client.fsetstat(handle, { atime, mtime }, { signal });
      return (
        (await isRefused(byHandle)) &&
        (await isRefused(client.setstat(newFile, { atime, mtime }, { signal })))
      );
    } finally {
      await client.close(handle).catch(() => {});
      await client.remove(newFile).catch(() => {});
    }
  } catch (error) {
    if (error instanceof SftpStatusError) return true;
    throw error;
  }
}
