/** Copying a file on the server, without its bytes travelling where the server can do that. */
import type { Buffer } from 'node:buffer';
import { SftpError, SftpStatusError, TransferError } from '../errors.js';
import { decodePath, quote } from '../remote-path.js';
import { OPEN_FLAGS, type SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { marked, unmarked } from '../transfer/caller-error.js';
import type { LineUse } from '../transfer/copy-content.js';
import { copyFile } from '../transfer/copy-file.js';
import { hasCode, type Place } from '../transfer/file-system.js';
import { RemoteFileSystem } from '../transfer/remote.js';
import { existingFile, releaseTemporary, temporaryPath } from '../transfer/temporary-file.js';

/** Options of {@link Connection.copy}. */
export interface CopyOptions {
  /** Ends the copy with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called as the copy proceeds: never backwards, and the last time with `transferred === total`. */
  readonly callback?: ((transferred: number, total: number) => void) | undefined;
  /** Gathers the bytes under a temporary name, and renames when all is there. Default: true. */
  readonly atomic?: boolean | undefined;
}

/**
 * What is asked for at a time. OpenSSH does nothing else for a session while it copies, so that a large file at
 * once would look like a dead line.
 */
const CHUNK_LENGTH = 32 * 1024 * 1024;

export async function copyOnServer(
  client: SftpClient,
  line: LineUse,
  from: Buffer,
  to: Buffer,
  options: CopyOptions,
): Promise<void> {
  const { signal, callback } = options;
  const fileSystem = new RemoteFileSystem(client);
  // A file that is emptied when it is opened for writing must not be the one that is to be read.
  const areApart = await checkDifferent(client, from, to, signal);
  const atomic = !areApart || (options.atomic ?? true);
  const copy: Copy = {
    client,
    source: { fileSystem, path: from },
    target: { fileSystem, path: to },
    options: { ...options, atomic },
  };
  if (client.supports('copyData') && (await copyByServer(copy))) return;
  const { source, target } = copy;
  const confirm = (path: Buffer) => client.stat(path, { signal });
  const onProgress = callback && marked(callback);
  await unmarked(copyFile(source, target, { ...line, signal, atomic, confirm, onProgress }));
}

interface Copy {
  readonly client: SftpClient;
  readonly source: Place;
  readonly target: Place;
  readonly options: CopyOptions;
}

/** False where that remains open, as the server has no REALPATH: one of the paths may lead over a link. */
async function checkDifferent(
  client: SftpClient,
  from: Buffer,
  to: Buffer,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  let isKnown = true;
  const real = (path: Buffer) =>
    client.realpath(path, { signal }).catch((error) => {
      if (!(error instanceof SftpStatusError)) throw error;
      if (error.code === 'ENOTSUP') isKnown = false;
      return path;
    });
  const [one, other] = await Promise.all([real(from), real(to)]);
  if (plain(one) !== plain(other)) return isKnown;
  throw new SftpError('EINVAL', `copy: ${quote(from)} and ${quote(to)} are the same file`);
}

function plain(path: Buffer): string {
  return path.toString('latin1').replace(/\/(\.?\/)+/g, '/');
}

/** False where the server turns out not to do what it announced. */
async function copyByServer(copy: Copy): Promise<boolean> {
  const { client, source, target, options } = copy;
  const { signal, atomic = true } = options;
  const info = await client.stat(source.path, { signal });
  if (info.isDirectory())
    throw failure('EISDIR', 'copy', source.path, 'it is a directory; copy takes a file');
  await existingFile(source, target, signal);
  const path = atomic ? temporaryPath(target) : target.path;
  try {
    await copyContent(copy, path, info.size ?? 0);
    if (atomic) await target.fileSystem.replace(path, target.path);
    return true;
  } catch (error) {
    if (atomic) await client.remove(path).catch(() => {});
    if (hasCode(error, 'ENOTSUP')) return false;
    throw error;
  } finally {
    if (atomic) releaseTemporary(target, path);
  }
}

async function copyContent({ client, source, options }: Copy, to: Buffer, size: number): Promise<void> {
  const { signal, callback, atomic = true } = options;
  const { READ, WRITE, CREAT, EXCL, TRUNC } = OPEN_FLAGS;
  const from = await client.open(source.path, READ, { signal });
  let done = 0;
  try {
    const target = await client.open(to, WRITE | CREAT | (atomic ? EXCL : TRUNC), { signal });
    try {
      for (; done + CHUNK_LENGTH < size; done += CHUNK_LENGTH) {
        const part = { handle: from, offset: done, length: CHUNK_LENGTH };
        await client.copyData(part, { handle: target, offset: done }, { signal });
        callback?.(done + CHUNK_LENGTH, size);
      }
      // The rest, however long it is by now: sizes may be wrong or missing.
      const rest = { handle: from, offset: done, length: 0 };
      await client.copyData(rest, { handle: target, offset: done }, { signal });
    } finally {
      await client.close(target);
    }
  } finally {
    await client.close(from).catch(() => {});
  }
  const copied = (await client.stat(to, { signal })).size ?? size;
  if (size !== 0 && copied !== size) throw changed(source.path, to, copied, size);
  callback?.(copied, copied);
}

function changed(from: Buffer, to: Buffer, bytesDone: number, size: number): TransferError {
  const text = `copy ${quote(from)}: ${bytesDone} bytes were copied of a file of ${size}; it has changed meanwhile`;
  const [source, destination] = [decodePath(from), decodePath(to)];
  return new TransferError(text, { code: 'SIZE_MISMATCH', source, destination, bytesDone });
}
