/** Where an atomic copy gathers its bytes, until it takes the place of the target. */
import { Buffer } from 'node:buffer';
import { createHash, randomBytes } from 'node:crypto';
import { TransferError } from '../errors.js';
import { quote } from '../remote-path.js';
import { type FileInfo, isMissing, type Place, type SourcePlace } from './file-system.js';

/**
 * A name in the target's directory, as a rename within one directory is atomic. It has the same short length
 * for every target, and the hash tells to which target it belongs, should it ever be left behind.
 */
export function temporaryPath({ fileSystem, path }: Place): Buffer {
  const { directory, name } = fileSystem.split(path);
  const owner = createHash('sha256').update(name).digest('hex').slice(0, 12);
  return fileSystem.join(directory, Buffer.from(`.tsftp-${owner}-${randomBytes(6).toString('hex')}.part`));
}

/**
 * The regular file that is to be replaced, or `undefined` where there is none. A link is replaced itself:
 * nothing is written through it.
 *
 * @throws TransferError where something else is in the way: a directory (`EISDIR`), a device, a FIFO (`EEXIST`).
 */
export async function existingFile(
  source: SourcePlace,
  { fileSystem, path }: Place,
  signal: AbortSignal | undefined,
): Promise<FileInfo | undefined> {
  let info: FileInfo;
  try {
    info = await fileSystem.lstat(path, { signal });
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
  if (info.type === 'symlink') return undefined;
  if (info.type === 'file' || info.type === 'unknown') return info;
  const isDirectory = info.type === 'directory';
  const advice = isDirectory
    ? 'it is a directory; give the name of the file in it too'
    : `it is not a regular file but a ${info.type}; write to it with a stream`;
  throw new TransferError(`Cannot write to ${quote(fileSystem.textOf(path))}: ${advice}`, {
    code: isDirectory ? 'EISDIR' : 'EEXIST',
    source: source.fileSystem.textOf(source.path),
    destination: fileSystem.textOf(path),
    bytesDone: 0,
  });
}
