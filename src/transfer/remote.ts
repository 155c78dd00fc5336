/** A server as a {@link FileSystem}. */
import { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { SftpStatusError } from '../errors.js';
import { baseName, decodePath, directoryName, isAbsolute, joinPath } from '../remote-path.js';
import { readDirectory } from '../session/directory-reader.js';
import { lstatWithType, opensAsDirectory, statWithType } from '../session/file-type.js';
import type { Lanes } from '../session/lanes.js';
import type { Limits } from '../session/limits.js';
import { OPEN_FLAGS, type RemoteHandle, type SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import type { FileAttributes } from '../wire/attributes.js';
import type {
  Cancellable,
  DirectoryEntry,
  FileChanges,
  FileInfo,
  FileSystem,
  ListOptions,
  OpenTargetOptions,
  SourceFile,
  TargetFile,
} from './file-system.js';
import { hasCode, isMissing } from './file-system.js';
import { LaneChoice } from './lane-choice.js';
import { objectionTo } from './local-names.js';
import { UNKNOWN_INFO } from './memory.js';
import { RemoteSource } from './remote-source.js';
import { attributesOf, RemoteTarget } from './remote-target.js';

/** Without word from the server: what the most modest ones bear. */
const MAX_OPEN_FILES = 24;
/** Some handles are left for others. */
const SPARE_HANDLES = 8;
const MAX_FILES = 512;

export class RemoteFileSystem implements FileSystem {
  readonly takesBlocks = true;
  readonly #client: SftpClient;
  readonly #lanes: Lanes | undefined;
  readonly #choice: LaneChoice;
  /** As the server told last; every request asks for this. */
  #limits: Limits | undefined;
  #chunkLength = { read: 0, write: 0 };

  /** @param lanes where more sessions come from, for what is worth them */
  constructor(client: SftpClient, lanes?: Lanes) {
    this.#client = client;
    this.#lanes = lanes;
    this.#choice = new LaneChoice(client, lanes);
  }

  get chunkLength(): { readonly read: number; readonly write: number } {
    const { limits } = this.#client;
    if (limits !== this.#limits) {
      this.#limits = limits;
      this.#chunkLength = { read: limits.maxReadLength, write: limits.maxWriteLength };
    }
    return this.#chunkLength;
  }

  get maxOpenFiles(): number {
    const { maxOpenHandles } = this.#client.limits;
    if (maxOpenHandles === undefined) return MAX_OPEN_FILES;
    return Math.max(1, Math.min(MAX_FILES, maxOpenHandles - SPARE_HANDLES));
  }

  textOf(path: Buffer): string {
    return decodePath(path);
  }

  /** What looks like an absolute path, as `C:\\x`, is a name like others here. */
  join(directory: Buffer, name: Buffer): Buffer {
    return joinPath(directory, isAbsolute(name) ? Buffer.concat([Buffer.from('./'), name]) : name);
  }

  split(path: Buffer): { readonly directory: Buffer; readonly name: Buffer } {
    return { directory: directoryName(path), name: baseName(path) };
  }

  objectionTo(name: Buffer): string | undefined {
    return objectionTo(name, 'linux');
  }

  identityOf(name: Buffer): string {
    return name.toString('latin1');
  }

  permitted(mode: number): number {
    return mode & 0o777;
  }

  readonly isLocal = false;

  get isReachable(): boolean {
    return !this.#client.isOver;
  }

  async stat(path: Buffer, options: Cancellable): Promise<FileInfo> {
    return infoOf(await statWithType(this.#client, path, options));
  }

  async lstat(path: Buffer, options: Cancellable): Promise<FileInfo> {
    return infoOf(await lstatWithType(this.#client, path, options));
  }

  async *list(path: Buffer, options: ListOptions): AsyncGenerator<readonly DirectoryEntry[]> {
    const entries = await readDirectory(this.#client, path, options);
    yield entries.map((entry) => ({ name: Buffer.from(entry.filenameBytes), info: infoOf(entry) }));
  }

  /**
   * STAT goes before OPEN: there are servers that do not bear it the other way round. And its answer is waited
   * for: the opening of a FIFO would block a server, for this call and for all later ones.
   */
  async openSource(
    path: Buffer,
    { signal, known }: Cancellable & { readonly known?: FileInfo | undefined },
  ): Promise<SourceFile> {
    const info = known ?? (await this.#infoOrUnknown(path, signal));
    if (!isReadable(info)) throw notARegularFile(path, info);
    return new RemoteSource(this.#client, await this.#client.open(path, OPEN_FLAGS.READ, { signal }), info);
  }

  async openTarget(path: Buffer, options: OpenTargetOptions): Promise<TargetFile> {
    const { signal, size, channels, keep } = options;
    const choice = this.#choice.choose(size ?? 0, options);
    const { client, leave } = choice instanceof Promise ? await choice : choice;
    try {
      const handle = await this.#openHandle(client, path, options);
      if (keep !== undefined) await cut(client, handle, keep, signal);
      return new RemoteTarget({ client, handle, path, size, channels, lanes: this.#lanes, onClose: leave });
    } catch (error) {
      leave();
      if (!hasCode(error, 'FAILURE', 'EISDIR')) throw error;
      const { type } = await this.#infoOrUnknown(path, signal);
      throw type === 'directory' ? directoryInTheWay(path, error) : error;
    }
  }

  #openHandle(client: SftpClient, path: Buffer, options: OpenTargetOptions): Promise<RemoteHandle> {
    const { isFree = false, exclusive = false, keep } = options;
    const { TRUNC, EXCL } = OPEN_FLAGS;
    if (exclusive) return openForWriting(client, path, EXCL, options);
    if (keep !== undefined) return openForWriting(client, path, 0, options);
    return isFree ? openForWriting(client, path, TRUNC, options) : this.#openWarily(client, path, options);
  }

  /**
   * The opening of a FIFO would block a server, so what may be there is looked at. That takes no time where nothing
   * is there: an opening that takes nothing but a new file goes with the question.
   */
  async #openWarily(client: SftpClient, path: Buffer, options: OpenTargetOptions): Promise<RemoteHandle> {
    const { TRUNC, EXCL } = OPEN_FLAGS;
    const looking = this.stat(path, options).catch((error) => {
      if (error instanceof SftpStatusError) return UNKNOWN_INFO;
      throw error;
    });
    looking.catch(() => {});
    try {
      return await openForWriting(client, path, EXCL | TRUNC, options);
    } catch (error) {
      if (!(error instanceof SftpStatusError)) throw error;
      const info = await looking;
      if (info.type !== 'directory' && !isReadable(info)) throw specialFileInTheWay(path, info);
      return openForWriting(client, path, TRUNC, options);
    }
  }

  /** There are servers that let a file be read and not be looked at. */
  async #infoOrUnknown(path: Buffer, signal: AbortSignal | undefined): Promise<FileInfo> {
    try {
      return await this.stat(path, { signal });
    } catch (error) {
      if (error instanceof SftpStatusError && !isMissing(error)) return UNKNOWN_INFO;
      throw error;
    }
  }

  /** Servers say no more than "failure" of a directory that is there, so it is looked at. */
  async ensureDirectory(path: Buffer, options: Cancellable): Promise<boolean> {
    try {
      await this.#client.mkdir(path, {}, options);
      return true;
    } catch (error) {
      if (!(error instanceof SftpStatusError)) throw error;
      const info = await this.stat(path, options).catch(() => UNKNOWN_INFO);
      if (info.type === 'directory') return false;
      if (info.type !== 'unknown') throw inTheWay(path, info, error);
      if (await opensAsDirectory(this.#client, path, options)) return false;
      throw error;
    }
  }

  /** Without REALPATH a path is known by itself; loops of links are then left at the greatest depth. */
  realPath(path: Buffer, options: Cancellable): Promise<Buffer> {
    return this.#client.realpath(path, options).catch((error) => {
      if (hasCode(error, 'ENOTSUP')) return path;
      throw error;
    });
  }

  /**
   * With `posix-rename@openssh.com` there is no moment without the file. Without it, the old file steps aside
   * first, as a plain rename must not replace it, and comes back should the new one not get its place.
   */
  async replace(from: Buffer, to: Buffer): Promise<void> {
    if (this.#client.supports('posixRename')) return this.#client.posixRename(from, to);
    const aside = Buffer.concat([from, Buffer.from('.old')]);
    const isThere = await this.#client.rename(to, aside).then(
      () => true,
      (error) => {
        if (hasCode(error, 'ENOENT')) return false;
        throw error;
      },
    );
    try {
      await this.#client.rename(from, to);
    } catch (error) {
      if (isThere) await this.#client.rename(aside, to).catch(() => {});
      throw error;
    }
    if (isThere) await this.#client.remove(aside).catch(() => {});
  }

  rename(from: Buffer, to: Buffer): Promise<void> {
    return this.#client.rename(from, to);
  }

  truncate(path: Buffer, size: number): Promise<void> {
    return this.#client.setstat(path, { size });
  }

  /** At best effort, as for files. */
  async setAttributes(path: Buffer, changes: FileChanges, options: Cancellable): Promise<void> {
    await this.#client.setstat(path, attributesOf(changes), options).catch((error) => {
      if (!(error instanceof SftpStatusError)) throw error;
    });
  }

  removeFile(path: Buffer, { signal }: Cancellable): Promise<void> {
    return untilAborted(this.#client.remove(path), signal);
  }

  removeDirectory(path: Buffer, options: Cancellable): Promise<void> {
    return this.#client.rmdir(path, options);
  }

  readLink(path: Buffer, options: Cancellable): Promise<Buffer> {
    return this.#client.readlink(path, options);
  }

  /** In the order of OpenSSH, which most servers have taken over. */
  makeLink(target: Buffer, path: Buffer, options: Cancellable): Promise<void> {
    return this.#client.symlink(target, path, options);
  }
}

function openForWriting(
  client: SftpClient,
  path: Buffer,
  extra: number,
  { signal, mode }: OpenTargetOptions,
): Promise<RemoteHandle> {
  const { WRITE, CREAT } = OPEN_FLAGS;
  const attributes = mode === undefined ? {} : { mode };
  return client.open(path, WRITE | CREAT | extra, { signal, attributes });
}

/** What cannot be cut is written over, as far as the source goes. */
async function cut(
  client: SftpClient,
  handle: RemoteHandle,
  size: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  await client.fsetstat(handle, { size }, { signal }).catch((error) => {
    if (!(error instanceof SftpStatusError)) throw error;
  });
}

function infoOf(attributes: FileAttributes): FileInfo {
  const { type, size, mode, atime, mtime } = attributes;
  return { type, size, mode: mode === undefined ? undefined : mode & 0o7777, atime, mtime };
}

/** Servers that do not tell the type are believed to mean a file. */
function isReadable({ type }: FileInfo): boolean {
  return type === 'file' || type === 'unknown';
}

function notARegularFile(path: Buffer, { type }: FileInfo): SftpStatusError {
  const isDirectory = type === 'directory';
  const what = isDirectory
    ? 'it is a directory; getD and getR copy directories'
    : `it is not a regular file but a ${type}`;
  return failure(isDirectory ? 'EISDIR' : 'EINVAL', 'open', path, what);
}

function inTheWay(path: Buffer, { type }: FileInfo, cause: unknown): SftpStatusError {
  return failure('ENOTDIR', 'mkdir', path, `a ${type} is in the way of the directory`, cause);
}

function directoryInTheWay(path: Buffer, cause: unknown): SftpStatusError {
  return failure('EISDIR', 'open', path, 'it is a directory; give the name of the file in it too', cause);
}

function specialFileInTheWay(path: Buffer, { type }: FileInfo): SftpStatusError {
  const what = `it is not a regular file but a ${type}; write to it with a stream`;
  return failure('EEXIST', 'open', path, what);
}
