/** What a path names, where the server's attributes do not tell: then it shows in what can be done with it. */
import type { RemotePath } from '../../shared/remote-path.js';
import { FileAttributes, type FileType } from '../../wire/attributes.js';
import type { OperationOptions, SftpClient } from '../sftp-client.js';
import { refusalOf } from '../status-error.js';
import { orMissing } from './missing-file.js';

/** Attributes of what a path names, links followed; of unknown type only where nobody may look. */
export async function statWithType(
  client: SftpClient,
  path: RemotePath,
  options: OperationOptions = {},
): Promise<FileAttributes> {
  const asking = client.stat(path, options);
  const attributes = await orMissing(client, path, asking, { ...options, followsLinks: true });
  if (attributes.type !== 'unknown') return attributes;
  return new FileAttributes(attributes, { type: await typeByOpening(client, path, options) });
}

/** Of a link the link's own. */
export async function lstatWithType(
  client: SftpClient,
  path: RemotePath,
  options: OperationOptions = {},
): Promise<FileAttributes> {
  const attributes = await orMissing(client, path, client.lstat(path, options), options);
  if (attributes.type !== 'unknown') return attributes;
  const isLink = (await refusalOf(client.readlink(path, options))) === undefined;
  const type = isLink ? 'symlink' : await typeByOpening(client, path, options);
  return new FileAttributes(attributes, { type });
}

/** Whether a path can be opened as a directory. */
export async function opensAsDirectory(
  client: SftpClient,
  path: RemotePath,
  options: OperationOptions = {},
): Promise<boolean> {
  return (await typeByOpening(client, path, options)) === 'directory';
}

/** What is there and is no directory is taken for a file: nothing else can be found out without harm. */
async function typeByOpening(
  client: SftpClient,
  path: RemotePath,
  options: OperationOptions,
): Promise<FileType> {
  const opening = client.opendir(path, options);
  const failure = await refusalOf(opening.then((handle) => client.close(handle, options)));
  if (failure === undefined) return 'directory';
  return failure.code === 'EACCES' ? 'unknown' : 'file';
}
