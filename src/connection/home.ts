/** Where users are at home. */
import { Buffer } from 'node:buffer';
import { UnsupportedError } from '../errors.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { decodePath, joinPath } from '../shared/remote-path.js';
import { extensions } from '../wire/extensions.js';

/**
 * The absolute form of a path that begins with `~` or `~user`. Without the extension, a session's first directory
 * is taken for the home of its own user, as servers have it.
 */
export async function expandHome(
  client: SftpClient,
  path: Buffer,
  options: OperationOptions,
): Promise<Buffer> {
  if (client.supports('expandPath')) return client.expandPath(path, options);
  const [, user = '', rest = ''] = /^~([^/]*)\/*(.*)$/s.exec(path.toString('latin1')) ?? [];
  const home = await findHome(client, decodePath(Buffer.from(user, 'latin1')), options);
  return rest === '' ? home : client.realpath(joinPath(home, Buffer.from(rest, 'latin1')), options);
}

/** `username` is empty for the one who is logged in. */
export async function findHome(
  client: SftpClient,
  username: string,
  options: OperationOptions,
): Promise<Buffer> {
  // Rather than home-directory: OpenSSH fails there for the empty name, and up to 9.2 it tells everybody's own home.
  if (client.supports('expandPath')) return client.expandPath(Buffer.from(`~${username}`), options);
  if (username === '') return client.realpath('.', options);
  if (client.supports('homeDirectory')) return client.homeDirectory(username, options);
  const { name } = extensions.homeDirectory;
  throw new UnsupportedError(
    `The server cannot expand the home directories of other users: it has no ${name}`,
    {
      extension: name,
    },
  );
}
