/**
 * Whether two paths may lead to one file: by hard links, on a server that ignores case, or over two connections to one
 * server. SFTP tells no inode numbers, but one file has the same attributes under all of its names.
 */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import type { SftpClient } from '../../session/sftp-client.js';
import { refusalOf, unlessRefused } from '../../session/status-error.js';
import { quote } from '../../shared/remote-path.js';
import { settling } from '../../transfer/remote/remote-target.js';

export interface FileOnServer {
  readonly client: SftpClient;
  readonly path: Buffer;
}

const COMPARED = ['type', 'size', 'mtime', 'mode', 'uid', 'gid'] as const;

/** False only where they certainly are two, or one of them is missing. */
export async function mayBeSame(
  files: readonly [FileOnServer, FileOnServer],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const looking = files.map(({ client, path }) => unlessRefused(client.stat(path, settling({ signal }))));
  const [one, other] = await Promise.all(looking);
  return one !== undefined && other !== undefined && COMPARED.every((key) => one[key] === other[key]);
}

/** @throws SftpError (`EINVAL`) the target is the source under another name: to write to it would empty the source */
export async function checkNotSame(
  files: readonly [source: FileOnServer, target: FileOnServer],
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!(await mayBeSame(files, signal)) || !(await changesWith(files, signal))) return;
  const [source, target] = files;
  throw new SftpError(
    'EINVAL',
    `${quote(target.path)} is the file ${quote(source.path)} under another name, and cannot be replaced by renaming`,
  );
}

/** Whether a new time of the target, which is overwritten in any case, is one of the source too. */
async function changesWith(
  [source, target]: readonly [source: FileOnServer, target: FileOnServer],
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const options = settling({ signal });
  const { atime = 0, mtime = 0 } = await target.client.stat(target.path, options);
  const setTime = (time: number) =>
    refusalOf(target.client.setstat(target.path, { atime, mtime: time }, options));
  // Who cannot try does not know.
  if (await setTime(mtime ^ 1)) return true;
  const isSame = (await source.client.stat(source.path, options)).mtime !== mtime;
  if (isSame) await setTime(mtime);
  return isSame;
}
