/** One of many workers takes a file. */
import type { Connection } from '../connection.js';
import { SftpError } from '../errors.js';
import { CALL_OPTIONS, type CallOptions, checkOptions, type OptionTable } from '../shared/option-checks.js';
import { quote, type RemotePath } from '../shared/remote-path.js';
import { hasCode, unlessCode } from '../transfer/file-system.js';

/** Options of {@link claim}. */
export interface ClaimOptions extends CallOptions {
  /**
   * Nobody else ever uses this `to`, as it has the id of the job in it. A claim that is repeated after a lost connection is
   * then known again. Default: false.
   */
  readonly isOwn?: boolean | undefined;
}

const OPTIONS: OptionTable<ClaimOptions> = { ...CALL_OPTIONS, isOwn: 'boolean' };

/**
 * Renames a file on the server, so that exactly one of many claimants gets it: `true` for that one, `false` for the others.
 * What is already at `to` is never replaced.
 *
 * @throws SftpError (`EEXIST`) there is something at `to`; SftpStatusError where the server refuses to rename
 *
 * @example
 * if (await claim(sftp, '/inbox/a.csv', `/claimed/${job.id}.csv`, { isOwn: true })) await handle(`/claimed/${job.id}.csv`);
 */
export async function claim(
  connection: Connection,
  path: RemotePath,
  to: RemotePath,
  options: ClaimOptions = {},
): Promise<boolean> {
  checkOptions(options, OPTIONS, { of: 'claim' });
  const { signal, isOwn = false } = options;
  const isThere = async (at: RemotePath) =>
    (await unlessCode(connection.lstat(at, { signal }), 'ENOENT')) !== undefined;
  try {
    await connection.rename(path, to, { signal });
    return true;
  } catch (error) {
    if (!hasCode(error, 'ENOENT', 'EEXIST', 'FAILURE', 'EACCES', 'EPERM')) throw error;
    const isLeft = await isThere(path);
    const isTaken = await isThere(to);
    if (!isLeft) return isOwn && isTaken;
    if (isTaken) throw taken(path, to, error);
    throw error;
  }
}

function taken(path: RemotePath, to: RemotePath, cause: unknown): SftpError {
  return new SftpError('EEXIST', `Cannot claim ${quote(path)}: ${quote(to)} is there already`, { cause });
}
