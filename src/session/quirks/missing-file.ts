/** Servers that say no more than "failure" where nothing is: the directory above tells whether there is something. */
import { Buffer } from 'node:buffer';
import { SftpStatusError } from '../../errors.js';
import { baseName, directoryName, encodePath, type RemotePath } from '../../shared/remote-path.js';
import { type EntrySink, readEntries } from '../directory-reader.js';
import type { OperationOptions, SftpClient } from '../sftp-client.js';
import { failure } from '../status-error.js';

/**
 * Waits for a request about `path`, and makes of a mere failure that nothing is there (`ENOENT`) what it means, where
 * a second look shows it.
 *
 * @param options `followsLinks` where the request is about what a link leads to
 */
export async function orMissing<T>(
  client: SftpClient,
  path: RemotePath,
  request: Promise<T>,
  options: OperationOptions & { readonly followsLinks?: boolean } = {},
): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (!isMereFailure(error)) throw error;
    const bytes = encodePath(path);
    const isThere = await isListed(client, bytes, options).catch(() => true);
    // A link that led to something would not have failed.
    if (isThere && !(options.followsLinks && (await isLink(client, bytes, options)))) throw error;
    throw failure('ENOENT', error.operation, bytes, 'no such file or directory', error);
  }
}

function isMereFailure(error: unknown): error is SftpStatusError {
  return error instanceof SftpStatusError && error.code === 'FAILURE';
}

/** Whether the directory above has the name; where it cannot be listed, it may not be there itself. */
async function isListed(
  client: SftpClient,
  path: Buffer,
  { signal, timeout }: OperationOptions,
): Promise<boolean> {
  const [directory, name] = [directoryName(path), baseName(path)];
  const isPlain = name.length > 0 && !['.', '..'].includes(name.toString('latin1'));
  if (!isPlain || directory.equals(path)) return true;
  let isFound = false;
  try {
    const take: EntrySink = ({ filename }) => {
      isFound ||= Buffer.compare(filename, name) === 0;
      return 0;
    };
    await readEntries(client, directory, () => take, { signal, timeout });
    return isFound;
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    return error.code === 'FAILURE'
      ? isListed(client, directory, { signal, timeout })
      : error.code !== 'ENOENT';
  }
}

export async function isLink(
  client: SftpClient,
  path: Buffer,
  { signal, timeout }: OperationOptions,
): Promise<boolean> {
  return client.readlink(path, { signal, timeout }).then(
    () => true,
    () => false,
  );
}
