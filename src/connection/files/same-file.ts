/**
 * Whether two paths may lead to one file: by hard links, on a server that ignores case, or over two connections to one
 * server. SFTP tells no inode numbers, but one file has the same attributes under all of its names.
 */
import type { Buffer } from 'node:buffer';
import { SftpStatusError } from '../../errors.js';
import type { SftpClient } from '../../session/sftp-client.js';
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
  const looking = files.map(({ client, path }) =>
    client.stat(path, settling({ signal })).catch((error) => {
      if (error instanceof SftpStatusError) return undefined;
      throw error;
    }),
  );
  const [one, other] = await Promise.all(looking);
  return one !== undefined && other !== undefined && COMPARED.every((key) => one[key] === other[key]);
}
