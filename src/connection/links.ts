/** Symbolic links. */
import type { Buffer } from 'node:buffer';
import { explain } from '../session/quirks/likely-cause.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { failure, unlessRefused } from '../session/status-error.js';
import { checkChoice } from '../shared/arguments.js';
import { CALL_OPTIONS, type CallOptions, type OptionTable } from '../shared/option-checks.js';
import {
  childPath,
  decodePath,
  directoryName,
  isAbsolute,
  joinPath,
  namesOf,
  relativePathOf,
} from '../shared/remote-path.js';

/** Options of {@link Connection.symlink}. */
export interface SymlinkOptions extends CallOptions {
  /**
   * The order of the two paths on the wire. OpenSSH's has been the other one than the draft's from its
   * beginning, and most servers do as OpenSSH does. Default: `openssh`.
   */
  readonly order?: 'openssh' | 'draft' | undefined;
}

export const SYMLINK_OPTIONS: OptionTable<SymlinkOptions> = {
  ...CALL_OPTIONS,
  order: 'checked',
};

/** Makes `link` a link whose text is `target`. */
export async function makeLink(
  client: SftpClient,
  target: Buffer,
  link: Buffer,
  { signal, order = 'openssh' }: SymlinkOptions,
): Promise<void> {
  checkChoice(order, ['openssh', 'draft'], 'order');
  if (order === 'openssh') await client.symlink(target, link, { signal });
  else await client.symlink(link, target, { signal });
}

/** The absolute path to which a link leads; what is there may be a link again, or nothing. */
export async function readLink(client: SftpClient, path: Buffer, options: OperationOptions): Promise<Buffer> {
  const [target, directory] = await Promise.all([
    explain(client.readlink(path, options), 'stat', { client, path, options }),
    // Of no use where the target is absolute, but asked in the same round trip.
    unlessRefused(client.realpath(directoryName(path), options)),
  ]);
  const base = directory ?? directoryName(path);
  if (isAbsolute(target, base)) return target;
  if (!isAbsolute(base, base)) {
    const what = `its target ${decodePath(target)} is relative, and the server does not tell where the link lies`;
    throw failure('ENOTSUP', 'readlink', path, what);
  }
  // Without REALPATH the base may hold links, from which only the server can tell what is above.
  return directory === undefined ? joinPath(base, target) : append(base, target);
}

/**
 * `..` at the beginning leads up from a directory that is free of links, so that it can be taken literally. One
 * behind a name cannot: that name may be a link.
 */
function append(directory: Buffer, target: Buffer): Buffer {
  const names = namesOf(target);
  let base = directory;
  while (names[0] === '..') {
    names.shift();
    base = directoryName(base);
  }
  return names.length === 0 ? base : childPath(base, relativePathOf(names));
}
