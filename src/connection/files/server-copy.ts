/** Copying a file on the server, without its bytes travelling where the server can do that. */
import type { Buffer } from 'node:buffer';
import { SftpError, TransferError } from '../../errors.js';
import { explain, likelyCause } from '../../session/quirks/likely-cause.js';
import type { RefusedRequest } from '../../session/quirks/obstacles.js';
import { OPEN_AS } from '../../session/quirks/open-flags.js';
import { isGivenTwice } from '../../session/quirks/repeated-handle.js';
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { failure, refusalOf, unlessRefused } from '../../session/status-error.js';
import { CALL_OPTIONS, type CallOptions, type OptionTable } from '../../shared/option-checks.js';
import { decodePath, quote } from '../../shared/remote-path.js';
import { marked, unmarked } from '../../transfer/caller-error.js';
import { explainFailure, isRefusal, NotReplaceable, withNameOf } from '../../transfer/copy-failure.js';
import { copyFile } from '../../transfer/copy-file.js';
import type { LineUse } from '../../transfer/engine/copy-content.js';
import { hasCode, type Owner, type Place, unlessCode } from '../../transfer/file-system.js';
import { InPlace } from '../../transfer/overwriting.js';
import { keepOwner, type Replaced, replacedBy } from '../../transfer/ownership.js';
import { makeEmpty } from '../../transfer/remote/opened-file.js';
import { openForWriting, RemoteFileSystem } from '../../transfer/remote/remote.js';
import { drop } from '../../transfer/resume/partial-file.js';
import { existingFile, notReplaceable, temporaryPath } from '../../transfer/resume/temporary-file.js';
import { specialSource } from '../../transfer/special-file.js';
import type { FileAttributes } from '../../wire/attributes.js';
import { resolveAtomic } from '../transfer-options.js';
import { checkNotSame, type FileOnServer, mayBeSame } from './same-file.js';

/** Options of {@link Connection.copy}. */
export interface CopyOptions extends CallOptions {
  /** Called as the copy proceeds: never backwards, and the last time with `transferred === total`. */
  readonly callback?: ((transferred: number, total: number) => void) | undefined;
  /**
   * Gathers the bytes under a temporary name, and renames when all is there. A target that may be another name of the
   * source, as its attributes are the same, is copied so in any case. `'preferred'` writes in place what allows no temporary
   * name or no renaming, as `onInPlace` tells. Default: true.
   */
  readonly atomic?: boolean | 'preferred' | undefined;
  /** Called with the path of the target where that was written in place. If the copy has failed, a part may be there. */
  readonly onInPlace?: ((path: string) => void) | undefined;
}

export const COPY_OPTIONS: OptionTable<CopyOptions> = {
  ...CALL_OPTIONS,
  callback: 'checked',
  atomic: 'atomic',
  onInPlace: 'function',
};

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
  const { signal, callback, onInPlace } = options;
  const fileSystem = new RemoteFileSystem(client);
  await checkDifferent(client, from, to, signal);
  const places = [from, to].map((path) => ({ client, path })) as [FileOnServer, FileOnServer];
  // A file that is emptied when it is opened for writing must not be the source.
  const { atomic: isAtomic, mayOverwriteInPlace } = resolveAtomic(options.atomic ?? true);
  const atomic = isAtomic || (await mayBeSame(places, signal));
  let isInPlace = false;
  const note = () => {
    isInPlace = true;
  };
  const check = () => checkNotSame(places, signal);
  const inPlace = mayOverwriteInPlace ? new InPlace({ note, signal, check }) : undefined;
  const copy: Copy = {
    client,
    source: { fileSystem, path: from },
    target: { fileSystem, path: to },
    options: { signal, callback, atomic, inPlace },
  };
  const { source, target } = copy;
  const confirm = (path: Buffer) => client.stat(path, { signal });
  const onProgress = callback && marked(callback);
  try {
    if (client.supports('copyData') && (await copyOrOverwrite(copy))) return;
    await unmarked(copyFile(source, target, { ...line, signal, atomic, inPlace, confirm, onProgress }));
  } finally {
    if (isInPlace) onInPlace?.(decodePath(to));
  }
}

interface Copy {
  readonly client: SftpClient;
  readonly source: Place;
  readonly target: Place;
  readonly options: CopyByServerOptions;
}

interface CopyByServerOptions extends Pick<CopyOptions, 'signal' | 'callback'> {
  readonly atomic: boolean;
  readonly inPlace: InPlace | undefined;
}

/** As {@link copyByServer}, and in place where that is allowed and nothing else is. */
async function copyOrOverwrite(copy: Copy): Promise<boolean> {
  const { inPlace, callback } = copy.options;
  try {
    return await copyByServer(copy);
  } catch (error) {
    if (!(error instanceof NotReplaceable) || inPlace === undefined) throw error;
    // What has been told is not told again.
    const onlyEnd = (bytes: number, total: number) => void (bytes === total && callback?.(bytes, total));
    const again = { ...copy, options: { ...copy.options, callback: onlyEnd, atomic: false } };
    return inPlace.write(() => copyByServer(again), error);
  }
}

/** Where the server has no REALPATH that remains open. */
async function checkDifferent(
  client: SftpClient,
  from: Buffer,
  to: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const real = (path: Buffer) => unlessRefused(client.realpath(path, { signal }), path);
  const [one, other] = await Promise.all([real(from), real(to)]);
  if (plain(one) !== plain(other)) return;
  throw new SftpError('EINVAL', `copy: ${quote(from)} and ${quote(to)} are the same file`);
}

function plain(path: Buffer): string {
  return path.toString('latin1').replace(/\/(\.?\/)+/g, '/');
}

/** False where the server turns out not to do what it announced. */
async function copyByServer(copy: Copy): Promise<boolean> {
  const { client, source, target, options } = copy;
  const { signal, atomic } = options;
  const look = { client, path: source.path, options: { signal } };
  const info = await explain(client.stat(source.path, { signal }), 'stat', look);
  checkSource(source.path, info);
  const existing = await existingFile(source, target, signal);
  if (existing?.type === 'symlink' && !atomic) await checkBehind(source, target, signal);
  const path = atomic ? temporaryPath(target) : target.path;
  const replaced = atomic && existing?.type === 'file' ? replacedBy(existing) : undefined;
  try {
    await copyContent(copy, { path, replaced, isNew: existing === undefined }, info.size ?? 0);
    if (atomic) {
      const replacing = target.fileSystem.replace(path, target.path, { signal });
      await replacing.catch((error) => refuse(error, existing === undefined, options));
    }
    return true;
  } catch (error) {
    if (atomic) await drop(target, path, { signal });
    if (hasCode(error, 'ENOTSUP')) return false;
    throw withNameOf(target, path, error);
  }
}

/** Where the target may be written in place, a refusal is told from other failures. */
function refuse(error: unknown, isNew: boolean, { inPlace, atomic }: CopyByServerOptions): never {
  // What is not supported may be the copying itself, and the bytes travel then.
  const isRefused = inPlace !== undefined && atomic && isRefusal(error) && !hasCode(error, 'ENOTSUP');
  throw isRefused ? new NotReplaceable(error, { isNew }) : error;
}

/** The opening of a FIFO would block the server. */
function checkSource(path: Buffer, { type }: FileAttributes): void {
  if (type === 'directory') throw failure('EISDIR', 'copy', path, 'it is a directory; copy takes a file');
  if (type === 'file' || type === 'unknown') return;
  throw failure('EINVAL', 'copy', path, specialSource({ type, isLocal: false }));
}

/** What is not replaced is written to, and that is what a link leads to. */
async function checkBehind(source: Place, target: Place, signal: AbortSignal | undefined): Promise<void> {
  const info = await unlessCode(target.fileSystem.stat(target.path, { signal }), 'ENOENT');
  if (info === undefined || info.type === 'file' || info.type === 'unknown') return;
  throw notReplaceable(info, source, target);
}

interface Destination {
  readonly path: Buffer;
  /** Nothing was in the target's place. */
  readonly isNew: boolean;
  readonly replaced: Replaced | undefined;
}

/** As for every other copy: a private file must not become everybody's. */
async function keepAttributes(
  copy: Copy,
  handle: RemoteHandle,
  { path, replaced }: Destination,
): Promise<void> {
  const { client, target, options } = copy;
  const { signal } = options;
  if (replaced === undefined) return;
  const file = {
    owner: async () => {
      const { uid, gid } = await client.fstat(handle, { signal });
      return uid === undefined || gid === undefined ? undefined : { uid, gid };
    },
    giveTo: (owner: Owner) => refusalOf(client.fsetstat(handle, owner, { signal })),
  };
  const { mode } = await keepOwner(file, { ...target, path }, replaced, { signal });
  if (mode !== undefined) await unlessRefused(client.fsetstat(handle, { mode }, { signal }));
}

async function copyContent(copy: Copy, destination: Destination, size: number): Promise<void> {
  const { client, source, options } = copy;
  const { path: to, replaced, isNew } = destination;
  const { signal, callback, atomic } = options;
  const look = (path: Buffer): RefusedRequest => ({ client, path, options: { signal } });
  const from = await explain(client.open(source.path, OPEN_AS.read, { signal }), 'stat', look(source.path));
  let done = 0;
  try {
    const mode = replaced?.mode === undefined ? undefined : replaced.mode | 0o600;
    const opening = openForWriting(client, to, atomic ? OPEN_AS.created : OPEN_AS.empty, { signal, mode });
    const explained = explain(opening, atomic ? 'openNew' : 'create', look(to));
    const target = await explained.catch((error) => refuse(error, isNew, options));
    if (!atomic) options.inPlace?.note(copy.target);
    const copyData = async (offset: number, length: number) => {
      const part = { handle: from, offset, length };
      try {
        await client.copyData(part, { handle: target, offset }, { signal });
      } catch (error) {
        const cause = withNameOf(copy.target, to, await likelyCause(error, 'write', look(to)));
        throw await explainFailure(cause, copy, offset, signal);
      }
    };
    try {
      if (!atomic) await makeEmpty(client, target, { signal });
      for (; done + CHUNK_LENGTH < size; done += CHUNK_LENGTH) {
        await copyData(done, CHUNK_LENGTH);
        callback?.(done + CHUNK_LENGTH, size);
      }
      // The rest, however long it is by now: sizes may be wrong or missing.
      await copyData(done, 0);
      await keepAttributes(copy, target, destination);
    } finally {
      await client.close(target);
    }
  } finally {
    await client.close(from).catch((error) => {
      if (isGivenTwice(error)) throw error;
    });
  }
  const copied = (await client.stat(to, { signal })).size ?? size;
  if (size !== 0 && copied !== size) throw changed(source.path, to, copied, size);
  callback?.(copied, copied);
}

function changed(from: Buffer, to: Buffer, bytesDone: number, size: number): TransferError {
  const text = `copy ${quote(from)}: ${bytesDone} bytes were copied of a file of ${size}; it has changed meanwhile`;
  const [source, destination] = [decodePath(from), decodePath(to)];
  const place = { side: 'remote', path: destination } as const;
  return new TransferError(text, { code: 'SIZE_MISMATCH', source, destination, bytesDone, ...place });
}
