/** A server as a {@link FileSystem}. */
import { Buffer } from 'node:buffer';
import { type SftpError, SftpStatusError } from '../../errors.js';
import { readEntries } from '../../session/directory-reader.js';
import type { Lanes } from '../../session/lanes.js';
import type { Limits } from '../../session/limits.js';
import { lstatWithType, opensAsDirectory, statWithType } from '../../session/quirks/file-type.js';
import { explain, likelyCause } from '../../session/quirks/likely-cause.js';
import { orMissing } from '../../session/quirks/missing-file.js';
import type { RefusedRequest } from '../../session/quirks/obstacles.js';
import { OPEN_AS } from '../../session/quirks/open-flags.js';
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { SPREAD_LENGTH, type Spread } from '../../session/spread.js';
import { failure, refusalOf, unlessRefused } from '../../session/status-error.js';
import { untilAborted } from '../../shared/abort.js';
import {
  baseName,
  childPath,
  decodePath,
  directoryName,
  type PathKey,
  pathKey,
} from '../../shared/remote-path.js';
import type { FileAttributes } from '../../wire/attributes.js';
import type {
  Cancellable,
  DirectoryEntry,
  FileChanges,
  FileInfo,
  FileSystem,
  ListOptions,
  OpenTargetOptions,
  Owner,
  ReopenedFile,
  SourceFile,
  TargetFile,
} from '../file-system.js';
import { hasCode, isMissing, unlessCode } from '../file-system.js';
import { objectionTo } from '../local/local-names.js';
import { UNKNOWN_INFO } from '../memory.js';
import { isReservedFor } from '../ownership.js';
import { readTemporaryName, temporaryPath } from '../resume/temporary-file.js';
import { specialSource, specialTarget } from '../special-file.js';
import { spreadFor } from './file-lanes.js';
import { type ChosenLane, LaneChoice, LONG_ROUND_TRIP_MS } from './lane-choice.js';
import { checkKept, makeEmpty, openExisting } from './opened-file.js';
import { PackedListing } from './packed-listing.js';
import { type RefusalOptions, refusesTimes } from './refused-times.js';
import { isSame, RemoteReopened } from './remote-reopened.js';
import { RemoteSource } from './remote-source.js';
import { attributesOf, outOfRange, proceeding, RemoteTarget, settling } from './remote-target.js';
import { type ChosenClient, SpreadChoice } from './spread-choice.js';

/** Without word from the server: what the most modest ones bear. */
const MAX_OPEN_FILES = 24;
/** Some handles are left for others. */
const SPARE_HANDLES = 8;
const MAX_FILES = 512;
/** Over a short network: with more nothing is faster, and what is known of each file is garbage for a while. */
const MAX_FILES_NEARBY = 128;
/** Directories whose group is remembered. */
const MAX_OWNERS = 1000;

export class RemoteFileSystem implements FileSystem {
  readonly takesBlocks = true;
  readonly #client: SftpClient;
  readonly #lanes: Lanes | undefined;
  readonly #choice: LaneChoice;
  /** What the listings take together that are read or copied at the time. */
  readonly #listings = { bytes: 0 };
  /** As the server told last; every request asks for this. */
  #limits: Limits | undefined;
  #chunkLength = { read: 0, write: 0 };
  /** Of our new files: of the first one, and in directories that give theirs to another group. */
  readonly #owners = new Map<PathKey | '', Promise<Owner | undefined>>();

  readonly #spread: Spread | undefined;
  readonly #spreadChoice: SpreadChoice | undefined;

  /**
   * @param lanes where more sessions come from, for what is worth them
   * @param spread further connections that content is to go through too
   */
  constructor(client: SftpClient, lanes?: Lanes, spread?: Spread) {
    this.#client = client;
    this.#lanes = lanes;
    this.#choice = new LaneChoice(client, lanes);
    this.#spread = spread;
    this.#spreadChoice = spread && new SpreadChoice(client, spread);
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
    const { limits, roundTripMs } = this.#client;
    if (limits.maxOpenHandles === undefined) return MAX_OPEN_FILES;
    const most = roundTripMs < LONG_ROUND_TRIP_MS ? MAX_FILES_NEARBY : MAX_FILES;
    return Math.max(1, Math.min(most, limits.maxOpenHandles - SPARE_HANDLES));
  }

  textOf(path: Buffer): string {
    return decodePath(path);
  }

  join(directory: Buffer, name: Buffer): Buffer {
    return childPath(directory, name);
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

  get repeatedHandles(): number {
    return this.#client.repeatedHandles;
  }

  get isReachable(): boolean {
    return !this.#client.isOver;
  }

  async stat(path: Buffer, options: Cancellable): Promise<FileInfo> {
    return infoOf(await statWithType(this.#client, path, settling(options)));
  }

  async lstat(path: Buffer, options: Cancellable): Promise<FileInfo> {
    return infoOf(await lstatWithType(this.#client, path, settling(options)));
  }

  async *list(path: Buffer, options: ListOptions): AsyncGenerator<readonly DirectoryEntry[]> {
    const listing = new PackedListing(path, this.#listings);
    try {
      const reading = readEntries(this.#client, path, listing.begin, { ...options, ...settling(options) });
      await explain(reading, 'opendir', this.#lookAt(path, options));
      yield* listing.drain();
    } finally {
      listing.end();
    }
  }

  /**
   * STAT goes before OPEN: there are servers that do not bear it the other way round. And its answer is waited
   * for: the opening of a FIFO would block a server, for this call and for all later ones.
   */
  async openSource(
    path: Buffer,
    { signal, known }: Cancellable & { readonly known?: FileInfo | undefined },
  ): Promise<SourceFile> {
    const client = this.#client;
    const look = this.#lookAt(path, { signal });
    const info = known ?? (await explain(this.#infoOrUnknown(path, signal), 'stat', look));
    if (!isReadable(info)) throw notARegularFile(path, info);
    const open = (chosen: SftpClient) => chosen.open(path, OPEN_AS.read, settling({ signal }));
    if (this.#spread === undefined) {
      return new RemoteSource(client, await explain(open(client), 'stat', look), info);
    }
    return this.#through(info.size ?? 0, signal, async ({ client, leave }) => {
      const handle = await explain(open(client), 'stat', { ...look, client });
      const again = (other: SftpClient) => openSame(other, () => open(other), { path, info, signal });
      const spread = spreadFor(this.#spread, info.size);
      return new RemoteSource(client, handle, info, { main: this.#client, spread, open: again, leave });
    });
  }

  /** Through one of the connections; where that ends and the transfer does not, through the first. */
  async #through<T>(
    size: number,
    signal: AbortSignal | undefined,
    work: (chosen: ChosenClient & { readonly isAgain: boolean }) => Promise<T>,
  ): Promise<T> {
    const first = { client: this.#client, leave: () => {} };
    const chosen = (await this.#spreadChoice?.choose(size, signal)) ?? first;
    try {
      return await work({ ...chosen, isAgain: false });
    } catch (error) {
      chosen.leave();
      if (chosen.client === this.#client || !chosen.client.isOver) throw error;
      return work({ ...first, isAgain: true });
    }
  }

  async openTarget(path: Buffer, options: OpenTargetOptions): Promise<TargetFile> {
    const { size = SPREAD_LENGTH, exclusive } = options;
    if (this.#spread === undefined || size >= SPREAD_LENGTH) return this.#openTarget(path, options);
    return this.#through(size, options.signal, ({ isAgain, ...chosen }) => {
      // The lost connection may have made it already.
      const isOurs = isAgain && readTemporaryName(baseName(path)) !== undefined;
      return this.#openTarget(path, { ...options, exclusive: exclusive && !isOurs }, chosen);
    });
  }

  async #openTarget(path: Buffer, options: OpenTargetOptions, chosen?: ChosenClient): Promise<TargetFile> {
    const { signal, size, channels, exclusive = false, mayExist = false } = options;
    const choice: ChosenLane | Promise<ChosenLane> = chosen ?? this.#choice.choose(size ?? 0, options);
    const { client, leave, room } = choice instanceof Promise ? await choice : choice;
    try {
      const { handle, mayBeLonger } = await this.#openHandle(client, path, options);
      const owner = (expected: Owner) => this.#ownerOf({ client, handle, path, expected }, signal);
      return new RemoteTarget({
        client,
        handle,
        path,
        size,
        channels,
        mayBeLonger,
        lanes: chosen === undefined ? this.#lanes : undefined,
        main: this.#client,
        spread: spreadFor(this.#spread, size),
        owner,
        room,
        onClose: leave,
      });
    } catch (error) {
      leave();
      // What can be expected is not looked into.
      if (mayExist) throw error;
      throw await likelyCause(error, exclusive ? 'openNew' : 'create', this.#lookAt(path, options));
    }
  }

  /** The server's user owns all that we make. Its group may be that of the directory. */
  async #ownerOf({ path, expected, ...file }: NewFile, signal: AbortSignal | undefined) {
    const usual = await untilAborted(this.#askOwner('', file), signal);
    if (usual === undefined || usual.gid === expected.gid) return usual;
    return untilAborted(this.#askOwner(pathKey(directoryName(path)), file), signal);
  }

  #askOwner(key: PathKey | '', { client, handle }: Pick<NewFile, 'client' | 'handle'>) {
    const known = this.#owners.get(key);
    if (known !== undefined) return known;
    const asking = client.fstat(handle).then(
      ({ uid, gid }) => (uid === undefined || gid === undefined ? undefined : { uid, gid }),
      (error) => {
        this.#owners.delete(key);
        if (error instanceof SftpStatusError) return undefined;
        throw error;
      },
    );
    if (this.#owners.size >= MAX_OWNERS) this.#owners.clear();
    this.#owners.set(key, asking);
    return asking;
  }

  async #openHandle(client: SftpClient, path: Buffer, options: OpenTargetOptions): Promise<OpenedTarget> {
    const { isFree = false, exclusive = false, mayExist: mayFail = false, keep } = options;
    if (keep !== undefined) return { handle: await openToGoOn(client, path, keep, options) };
    if (!exclusive && !isFree) return this.#openWarily(client, path, options);
    const flags = exclusive ? OPEN_AS.created : OPEN_AS.empty;
    return { handle: await openForWriting(client, path, flags, { ...options, mayFail }) };
  }

  /**
   * The opening of a FIFO would block a server, so what may be there is looked at. That takes no time where nothing
   * is there: an opening that takes nothing but a new file goes with the question.
   */
  async #openWarily(client: SftpClient, path: Buffer, options: OpenTargetOptions): Promise<OpenedTarget> {
    const looking = unlessRefused(this.stat(path, options), UNKNOWN_INFO);
    looking.catch(() => {});
    try {
      return { handle: await openForWriting(client, path, OPEN_AS.created, { ...options, mayFail: true }) };
    } catch (error) {
      if (!(error instanceof SftpStatusError)) throw error;
      const info = await looking;
      if (info.type !== 'directory' && !isReadable(info)) throw specialFileInTheWay(path, info);
      const handle = await openForWriting(client, path, OPEN_AS.empty, options);
      return { handle, mayBeLonger: !(await makeEmpty(client, handle, settling(options))) };
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

  /** SFTP opens through links, so that it is looked at before and after: nothing is done to it so far. */
  async reopen(path: Buffer, { signal }: Cancellable): Promise<ReopenedFile | undefined> {
    const client = this.#client;
    // What an aborted copy has left is still put in order.
    const options = proceeding({ signal });
    const lstat = async (file: Buffer) => infoOf(await lstatWithType(client, file, options));
    try {
      const known = await lstat(path);
      if (known.type !== 'file') return undefined;
      const handle = await client.open(path, OPEN_AS.readWrite, options);
      const info = { ...infoOf(await client.fstat(handle, options)), type: known.type };
      const [lanes, spread] = [this.#lanes, this.#spread];
      if (isSame(known, info)) return new RemoteReopened({ client, handle, info, lanes, spread, lstat });
      await client.close(handle, options);
      return undefined;
    } catch (error) {
      if (error instanceof SftpStatusError) return undefined;
      throw error;
    }
  }

  /** One is made to be looked at: nobody else tells who we are there, and what time it is. */
  async newFile(directory: Buffer, { signal }: Cancellable): Promise<FileInfo> {
    const path = temporaryPath({ fileSystem: this, path: this.join(directory, Buffer.from('new')) });
    const handle = await this.#client.open(path, OPEN_AS.created, {
      ...settling({ signal }),
      isUnused: true,
    });
    try {
      return infoOf(await this.#client.fstat(handle));
    } finally {
      await Promise.allSettled([this.#client.close(handle), this.#client.remove(path)]);
    }
  }

  /** Servers say no more than "failure" of a directory that exists, so it is looked at. */
  async ensureDirectory(path: Buffer, options: Cancellable): Promise<boolean> {
    try {
      await this.#client.mkdir(path, {}, settling(options));
      return true;
    } catch (error) {
      if (!(error instanceof SftpStatusError)) throw error;
      // A link to a directory is in the way too, as on the local disk: nothing of a tree is written through it.
      const info = await this.lstat(path, options).catch(() => UNKNOWN_INFO);
      if (info.type === 'directory') return false;
      if (info.type !== 'unknown') throw inTheWay(path, info, error);
      if (await opensAsDirectory(this.#client, path, settling(options))) return false;
      throw await likelyCause(error, 'mkdir', this.#lookAt(path, options));
    }
  }

  isReservedFor(uid: number, directory: Buffer, options: Cancellable): Promise<boolean> {
    // Who may not look cannot tell.
    return unlessRefused(isReservedFor(this, { uid, directory }, options), false);
  }

  /** Where the server does not tell, a path is known by itself; loops of links end at the greatest depth then. */
  realPath(path: Buffer, options: Cancellable): Promise<Buffer> {
    return unlessRefused(this.#client.realpath(path, settling(options)), path);
  }

  /**
   * With `posix-rename@openssh.com` there is no moment without the file. Without it, the old file steps aside
   * first, as a plain rename must not replace it, and comes back should the new one not get its place.
   */
  async replace(from: Buffer, to: Buffer, options: Cancellable): Promise<void> {
    const whatever = proceeding(options);
    const look = { ...this.#lookAt(from, options), newPath: to };
    if (this.#client.supports('posixRename')) {
      return explain(this.#client.posixRename(from, to, whatever), 'posixRename', look);
    }
    const aside = Buffer.concat([from, Buffer.from('.old')]);
    const renaming = this.#rename(to, aside, options).then(() => true);
    const isThere = (await unlessCode(renaming, 'ENOENT')) ?? false;
    try {
      await this.#client.rename(from, to, whatever);
    } catch (error) {
      const cause = await likelyCause(error, 'rename', look);
      if (isThere) await this.#client.rename(aside, to, whatever).catch(() => {});
      throw cause;
    }
    if (isThere) await this.#client.remove(aside, whatever).catch(() => {});
  }

  rename(from: Buffer, to: Buffer, options: Cancellable): Promise<void> {
    const look = { ...this.#lookAt(from, options), newPath: to };
    return explain(this.#rename(from, to, options), 'rename', look);
  }

  likelyCause(error: unknown, path: Buffer, options: Cancellable): Promise<unknown> {
    return likelyCause(error, 'write', this.#lookAt(path, options));
  }

  #lookAt(path: Buffer, { signal }: Cancellable): RefusedRequest {
    return { client: this.#client, path, options: { signal } };
  }

  #rename(from: Buffer, to: Buffer, options: Cancellable): Promise<void> {
    return orMissing(this.#client, from, this.#client.rename(from, to, proceeding(options)));
  }

  refusesTimes(path: Buffer, options: RefusalOptions): Promise<boolean> {
    return refusesTimes(this.#client, path, options);
  }

  /** At best effort, as for files. */
  async setAttributes(
    path: Buffer,
    changes: FileChanges,
    options: Cancellable,
  ): Promise<SftpError | undefined> {
    const refusal = await refusalOf(this.#client.setstat(path, attributesOf(changes), settling(options)));
    return refusal ?? outOfRange(path, changes);
  }

  removeFile(path: Buffer, options: Cancellable): Promise<void> {
    return orMissing(this.#client, path, this.#client.remove(path, proceeding(options)));
  }

  removeDirectory(path: Buffer, options: Cancellable): Promise<void> {
    return this.#client.rmdir(path, settling(options));
  }

  readLink(path: Buffer, options: Cancellable): Promise<Buffer> {
    return this.#client.readlink(path, settling(options));
  }

  /** In the order of OpenSSH, which most servers have taken over. */
  makeLink(target: Buffer, path: Buffer, options: Cancellable): Promise<void> {
    return this.#client.symlink(target, path, settling(options));
  }
}

/** A file that is open for writing, and whose the one is that it is to replace. */
interface NewFile {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  readonly path: Buffer;
  readonly expected: Owner;
}

interface OpenedTarget {
  readonly handle: RemoteHandle;
  /** The server tells that something of the old content is left. */
  readonly mayBeLonger?: boolean;
}

/** Servers that refuse an OPEN for the permissions that it brings. */
const withoutModes = new WeakSet<SftpClient>();

/** Where permissions are refused in OPEN the content counts, and they follow alone. */
export async function openForWriting(
  client: SftpClient,
  path: Buffer,
  flags: number,
  { signal, mode, isModeGiven, mayFail }: OpenTargetOptions & { readonly mayFail?: boolean },
): Promise<RemoteHandle> {
  const isUnused = readTemporaryName(baseName(path)) !== undefined;
  const options = { ...settling({ signal }), mayFail, isUnused };
  if (mode === undefined) return client.open(path, flags, options);
  const setMode = async (handle: RemoteHandle) => {
    await unlessRefused(client.fsetstat(handle, { mode }, settling({ signal })));
    return handle;
  };
  const openWithout = async (flags: number) => setMode(await client.open(path, flags, options));
  if (withoutModes.has(client)) return openWithout(flags);
  try {
    const handle = await client.open(path, flags, { ...options, attributes: { mode } });
    // The permissions of OPEN are for a file that it makes.
    return isModeGiven && flags !== OPEN_AS.created ? await setMode(handle) : handle;
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM', 'ENOTSUP')) throw error;
    // ProFTPD has made the file by then, which nobody else can have done where the name is one of ours.
    const opening = openWithout(isUnused ? OPEN_AS.empty : flags);
    const handle = await opening.catch(() => Promise.reject(error));
    withoutModes.add(client);
    return handle;
  }
}

/** What lies behind the kept bytes is cut off; where it cannot be, it is written over as far as the source goes. */
async function openToGoOn(
  client: SftpClient,
  path: Buffer,
  bytes: number,
  { signal }: Cancellable,
): Promise<RemoteHandle> {
  const options = settling({ signal });
  const handle = await openExisting(client, path, options);
  try {
    const size = await checkKept(client, { handle, path, bytes }, options);
    if (size !== bytes) await unlessRefused(client.fsetstat(handle, { size: bytes }, options));
    return handle;
  } catch (error) {
    await client.close(handle, proceeding({ signal })).catch(() => {});
    throw error;
  }
}

/**
 * Opens a file that is being read through another connection once more.
 *
 * @throws SftpStatusError (`SOURCE_CHANGED`) by now there is another one, as far as its size and time tell
 */
async function openSame(
  client: SftpClient,
  open: () => Promise<RemoteHandle>,
  { path, info, signal }: { readonly path: Buffer; readonly info: FileInfo } & Cancellable,
): Promise<RemoteHandle> {
  const handle = await open();
  const found = await client.fstat(handle, settling({ signal })).catch(() => undefined);
  if (found !== undefined && found.size === info.size && found.mtime === info.mtime) return handle;
  await client.close(handle).catch(() => {});
  throw failure('SOURCE_CHANGED', 'open', path, 'another file has this name by now');
}

function infoOf(attributes: FileAttributes): FileInfo {
  const { type, size, mode, atime, mtime, uid, gid } = attributes;
  return { type, size, mode: mode === undefined ? undefined : mode & 0o7777, atime, mtime, uid, gid };
}

/** Servers that do not tell the type are believed to mean a file. */
function isReadable({ type }: FileInfo): boolean {
  return type === 'file' || type === 'unknown';
}

function notARegularFile(path: Buffer, { type }: FileInfo): SftpStatusError {
  const isDirectory = type === 'directory';
  const what = isDirectory
    ? 'it is a directory; getD and getR copy directories'
    : specialSource({ type, isLocal: false });
  return failure(isDirectory ? 'EISDIR' : 'EINVAL', 'open', path, what);
}

function inTheWay(path: Buffer, { type }: FileInfo, cause: unknown): SftpStatusError {
  return failure('ENOTDIR', 'mkdir', path, `a ${type} is in the way of the directory`, cause);
}

function specialFileInTheWay(path: Buffer, { type }: FileInfo): SftpStatusError {
  return failure('EEXIST', 'open', path, specialTarget({ type, isLocal: false }, true));
}
