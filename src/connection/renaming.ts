/** Renaming, with or without replacing what exists under the new name. */
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { SftpError } from '../errors.js';
import { explain } from '../session/quirks/likely-cause.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { CALL_OPTIONS, type CallOptions, type OptionTable } from '../shared/option-checks.js';
import { quote } from '../shared/remote-path.js';
import { unlessCode } from '../transfer/file-system.js';

/** Options of {@link Connection.rename}. */
export interface RenameOptions extends CallOptions {
  /** Replaces what exists under the new name. Default: false. */
  readonly overwrite?: boolean | undefined;
}

export const RENAME_OPTIONS: OptionTable<RenameOptions> = { ...CALL_OPTIONS, overwrite: 'boolean' };

/** One server deletes a file that is renamed onto itself; it must only exist. */
export async function renamePath(
  client: SftpClient,
  from: Buffer,
  to: Buffer,
  { overwrite = false, ...options }: RenameOptions,
): Promise<void> {
  if (from.equals(to)) {
    await explain(client.lstat(from, options), 'stat', { client, path: from, options });
  } else if (overwrite && client.supports('posixRename')) {
    await renameAs('posixRename', client, from, to, options);
  } else if (overwrite) {
    await replaceInSteps(client, from, to, options);
  } else {
    await renameAs('rename', client, from, to, options);
  }
}

export async function renameAs(
  how: 'rename' | 'posixRename',
  client: SftpClient,
  from: Buffer,
  to: Buffer,
  options: OperationOptions,
): Promise<void> {
  await explain(client[how](from, to, options), how, { client, path: from, newPath: to, options });
}

/**
 * For servers that only rename to a free name: what is there steps aside, and comes back should the other not get its
 * place. A directory is never moved away.
 */
async function replaceInSteps(
  client: SftpClient,
  from: Buffer,
  to: Buffer,
  options: OperationOptions,
): Promise<void> {
  await explain(client.lstat(from, options), 'stat', { client, path: from, options });
  const there = await unlessCode(client.lstat(to, options), 'ENOENT');
  if (there === undefined || there.isDirectory()) return renameAs('rename', client, from, to, options);
  const aside = Buffer.concat([to, Buffer.from(`.${randomBytes(4).toString('hex')}.old`)]);
  await renameAs('rename', client, to, aside, options);
  try {
    await renameAs('rename', client, from, to, UNSTOPPED);
  } catch (error) {
    await client.rename(aside, to, UNSTOPPED).catch(() => {
      throw new SftpError('FAILURE', `${quote(to)} could not be replaced, and is now ${quote(aside)}`, {
        cause: error,
      });
    });
    throw error;
  }
  await client.remove(aside, UNSTOPPED);
}

/** Half of it would be worse than an abort that comes late. */
const UNSTOPPED: OperationOptions = { whenAborted: 'proceed' };
