/** Files and trees between the local disk and the server. */
import { Buffer } from 'node:buffer';
import { mkdir, opendir } from 'node:fs/promises';
import { SftpStatusError, TransferError, UnsupportedError } from '../errors.js';
import type { Lanes } from '../session/lanes.js';
import { explain } from '../session/quirks/likely-cause.js';
import type { RemoteHandle, SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { checkChoice } from '../shared/arguments.js';
import { asTextPath, checkLocalPath } from '../shared/local-path.js';
import type { CallOptions } from '../shared/option-checks.js';
import { baseName, namesOf, pathOfKey, quote } from '../shared/remote-path.js';
import { marked, unmarked } from '../transfer/caller-error.js';
import { failedAt } from '../transfer/copy-failure.js';
import { type Atomic, type CopiedFile, copyFile } from '../transfer/copy-file.js';
import type { LineUse } from '../transfer/engine/copy-content.js';
import { FIRST_BYTES } from '../transfer/engine/pace.js';
import { resolveSpeed, type Speed, type SpeedOptions } from '../transfer/engine/speed.js';
import { Throttle } from '../transfer/engine/throttle.js';
import { Window } from '../transfer/engine/window.js';
import type { FileSystem, Place } from '../transfer/file-system.js';
import { checkLinks } from '../transfer/local/foreign-links.js';
import { localFileSystem } from '../transfer/local/local.js';
import { LocalTree } from '../transfer/local/local-tree.js';
import { InPlace } from '../transfer/overwriting.js';
import { measured } from '../transfer/progress.js';
import { RemoteFileSystem } from '../transfer/remote/remote.js';
import type { Journal } from '../transfer/resume/journal.js';
import { Leftovers } from '../transfer/resume/leftovers.js';
import { copyTree } from '../transfer/tree/copy-tree.js';
import type { FileProgress } from '../transfer/tree/tree-progress.js';
import type { TreeReport } from '../transfer/tree/tree-report.js';
import { FileAttributes } from '../wire/attributes.js';
import { extensions } from '../wire/extensions.js';
import { logTransfer, type Transferred } from './call-log.js';
import { makeDirectories } from './directories.js';
import { type CopyOptions, copyOnServer } from './files/server-copy.js';
import { CallSpread } from './reconnect/further-connections.js';
import type { Link } from './reconnect/link.js';
import { persist } from './reconnect/persistence.js';
import {
  type FileStepOptions,
  type GetOptions,
  type ProgressCallback,
  type PutOptions,
  type PutTreeOptions,
  type ResolvedTransfer,
  resolveTransfer,
  type TransferDefaults,
  type TreeOptions,
  type TreeProgressCallback,
} from './transfer-options.js';

/** The most in flight over one connection, both ways together, where the network holds as much. */
const MAX_BYTES_IN_FLIGHT = 32 * 1024 * 1024;

/** Copies from one file of a server to another, where it does not tell how many it keeps open. */
const MAX_COPIES_UNTOLD = 4;

type Remote<Options> = Options & { readonly recurse: boolean };

function lineWindow({ client, further }: Link): Window {
  return new Window({
    max: MAX_BYTES_IN_FLIGHT,
    initial: FIRST_BYTES,
    roundTripMs: () => client.roundTripMs,
    width: () => 1 + (further?.count ?? 0),
  });
}

/** How they reach the server. */
interface Way {
  readonly client: SftpClient;
  /** Further sessions, for what is worth them. */
  readonly lanes: Lanes | undefined;
  /** Further connections. */
  readonly spread?: CallSpread | undefined;
}

/** The transfers of one connection, which share its window. */
export class Transfers {
  readonly #link: Link;
  readonly client: SftpClient;
  readonly remote: RemoteFileSystem;
  /** For whatever waits for the server alone. */
  readonly window: Window;
  /** What all of them together keep to. */
  readonly throttle: Throttle;
  readonly #copies: Window;
  readonly #localLeftovers: Leftovers;
  readonly #remoteLeftovers: Leftovers;

  readonly #spread: CallSpread | undefined;

  /** @param base those with which they share everything but what `way` says */
  constructor(link: Link, base?: Transfers, way: Way = link) {
    this.#link = link;
    this.#spread = way.spread;
    this.client = way.client;
    this.remote = new RemoteFileSystem(way.client, way.lanes, way.spread);
    this.window = base?.window ?? lineWindow(link);
    this.throttle = base?.throttle ?? new Throttle({ ...link.speed, ended: () => link.session.ended });
    this.#copies = base === undefined ? new Window({ max: MAX_COPIES_UNTOLD }) : base.#copies;
    this.#localLeftovers = base === undefined ? new Leftovers() : base.#localLeftovers;
    this.#remoteLeftovers = base === undefined ? new Leftovers() : base.#remoteLeftovers;
  }

  /**
   * For a call with these options: with `concurrency: 1` it has one request in flight at a time, with `connections` it goes
   * through further ones while {@link spreading} runs.
   */
  forCall(options: SpeedOptions & Pick<CallOptions, 'timeout'>): Transfers {
    const { speed, further, lanes } = this.#link;
    // Where the connection says so, its session sees to that.
    const isOneByOne = options.concurrency === 1 && speed.concurrency !== 1;
    const client = this.#link.client.forCall({ timeoutMs: options.timeout, isOneByOne });
    if (isOneByOne) return new Transfers(this.#link, this, { client, lanes: undefined });
    const { connections: wanted = 1 } = resolveSpeed(options, speed);
    const isSpread = wanted !== 1 && further !== undefined;
    if (!isSpread && options.timeout === undefined) return this;
    const roundTripMs = () => client.roundTripMs;
    const spread = isSpread ? new CallSpread({ connections: further, wanted, roundTripMs }) : undefined;
    return new Transfers(this.#link, this, { client, lanes, spread });
  }

  get link(): Link {
    return this.#link;
  }

  /** Over how many connections it goes at present. */
  get width(): number {
    return 1 + (this.#spread?.clients.length ?? 0);
  }

  /** Opens the further connections of this call, as far as it is to have any, while `work` runs. */
  spreading<T>(
    { signal, window = this.window }: { readonly signal?: AbortSignal | undefined; readonly window?: Window },
    work: () => Promise<T>,
  ): Promise<T> {
    return this.#spread?.during({ signal, moved: () => window.moved }, work) ?? work();
  }

  /**
   * How a call may use the line, by its own options and the connection's.
   *
   * @param within further limits that it is subject to, as those of a second connection
   */
  lineUse(options: SpeedOptions, within: readonly Throttle[] = []): LineUse {
    return this.#lineUse(resolveSpeed(options, this.#link.speed), within);
  }

  #lineUse({ bytesPerSecond, concurrency, channels }: Speed, within: readonly Throttle[] = []): LineUse {
    const throttle = new Throttle({ bytesPerSecond, within: [this.throttle, ...within] });
    return { window: this.window, throttle, concurrency, channels };
  }

  #defaults(atomic: Atomic): TransferDefaults {
    const { retry, speed } = this.#link;
    return { atomic, retry, speed };
  }

  async get(remotePath: Buffer, localPath: string | undefined, options: GetOptions): Promise<void> {
    const target = local(localPath === undefined ? localNameFor(remotePath) : localBytes(localPath));
    const transfer = resolveTransfer(options, this.#defaults(true));
    checkLinks(target.path.toString(), { purpose: transfer.atomic ? 'replace' : 'write' });
    await this.#copyFile(this.#at(remotePath), target, { ...options, ...transfer }, this.#localLeftovers);
  }

  async put(localPath: string, remotePath: Buffer, options: PutOptions): Promise<FileAttributes> {
    const { confirm = true, signal } = options;
    const transfer = resolveTransfer(options, this.#defaults('existing'));
    this.#checkFsync(transfer);
    const source = local(localBytes(localPath));
    checkLinks(localPath, { purpose: 'read' });
    const leftovers = this.#remoteLeftovers;
    const look = (file: Buffer) => this.client.stat(file, { signal });
    const { confirmation, kept } = await this.#copyFile(
      source,
      this.#at(remotePath),
      { ...options, ...transfer, look: confirm ? look : undefined },
      leftovers,
    );
    if (kept !== undefined && confirm) return look(remotePath);
    return confirmation ?? new FileAttributes({});
  }

  /** One file of a mirror that is carried out step by step, from either side to the other. */
  async copyStep(source: Place, target: Place, step: FileStepOptions): Promise<void> {
    const { owner, signal, callback, beforeRename } = step;
    const overwrite = step.overwrite ? 'always' : 'never';
    const isUp = source.fileSystem.isLocal;
    const { resume, fsync } = step;
    const shared = { signal, callback, overwrite, fsync, preserveMtime: true, atomic: true } as const;
    const options = resume ? { ...shared, resume, owner } : shared;
    const transfer = resolveTransfer(options, this.#defaults(true));
    const look = isUp ? (file: Buffer) => this.client.stat(file, { signal }) : undefined;
    const leftovers = isUp ? this.#remoteLeftovers : this.#localLeftovers;
    // What a killed attempt has left is younger than what is remembered of the directory.
    if (step.mayBeRepeated) leftovers.forget(target);
    await this.#copyFile(source, target, { ...options, ...transfer, look, beforeRename }, leftovers);
  }

  /** Removes what an owner has left of a file that is complete by now. */
  discardStep(target: Place, owner: string, signal: AbortSignal | undefined): Promise<void> {
    const leftovers = target.fileSystem.isLocal ? this.#localLeftovers : this.#remoteLeftovers;
    return leftovers.discard(target, owner, { signal });
  }

  /** `keptNames` are the directories below `localPath` that make up the target; no link among them is followed. */
  async getTree(
    remotePath: Buffer,
    localPath: string,
    options: Remote<TreeOptions> & { readonly keptNames: readonly Buffer[] },
  ): Promise<TreeReport> {
    const { signal, keptNames } = options;
    const transfer = resolveTransfer(options, this.#defaults(true));
    const root = localBytes(localPath);
    checkLinks(localPath, { purpose: 'read' });
    const tree = new LocalTree(root);
    const prepare = async () => {
      await this.#checkListable(remotePath, signal);
      await mkdir(asTextPath(root), { recursive: true });
      let path = root;
      for (const name of keptNames) {
        path = tree.join(path, name);
        await tree.ensureDirectory(path, { signal });
      }
      return { source: this.#at(remotePath), target: { fileSystem: tree, path } };
    };
    const names = {
      call: options.recurse ? 'getR' : 'getD',
      from: quote(remotePath),
      to: quote(localPath),
    };
    const copying = { ...options, ...transfer, target: tree, names };
    return this.#copyTree(prepare, 'follow', copying, this.#localLeftovers).finally(() => tree.close());
  }

  async putTree(localPath: string, remotePath: Buffer, options: Remote<PutTreeOptions>): Promise<TreeReport> {
    const { signal, recurse, confirm = true } = options;
    const transfer = resolveTransfer(options, this.#defaults('existing'));
    this.#checkFsync(transfer);
    const path = localBytes(localPath);
    checkLinks(localPath, { purpose: 'read' });
    // Where links are followed, they lead wherever they lead.
    const tree = options.symlinks === 'follow' ? undefined : new LocalTree(path);
    const prepare = async () => {
      // Without a local directory nothing is made on the server.
      await opendir(localPath).then((directory) => directory.close());
      const isNew = recurse && (await makeDirectories(this.client, remotePath, undefined, { signal }));
      if (!recurse) await this.#checkDirectory(remotePath, signal);
      return { source: { fileSystem: tree ?? localFileSystem, path }, target: this.#at(remotePath), isNew };
    };
    const look = confirm ? (file: Buffer) => this.client.stat(file, { signal }) : undefined;
    const names = { call: recurse ? 'putR' : 'putD', from: quote(localPath), to: quote(remotePath) };
    const copying = { ...options, ...transfer, look, target: this.remote, names };
    return this.#copyTree(prepare, 'skip', copying, this.#remoteLeftovers).finally(() => tree?.close());
  }

  /** Notes a transfer in the log. */
  noteTransfer(transferred: Transferred): void {
    logTransfer(this.#link.log, transferred);
  }

  async #copyFile<Confirmation extends { readonly size: number | undefined }>(
    source: Place,
    target: Place,
    options: Copying<ProgressCallback, Confirmation>,
    leftovers: Leftovers,
  ): Promise<CopiedFile<Confirmation>> {
    const { signal, resumes, atomic, callback, onInPlace } = options;
    const line = this.#lineUse(options.speed);
    const tell = measured<object>(callback);
    let isInPlace = false;
    const note = () => {
      isInPlace = true;
    };
    const startedAt = performance.now();
    const { directory } = target.fileSystem.split(target.path);
    const tidy = () => leftovers.tidy({ ...target, path: directory }, { signal }).catch(() => {});
    const tidying = atomic === true && !resumes ? tidy() : undefined;
    const persistence = { ...options, target: target.fileSystem };
    const attempt = async (journal: Journal | undefined, signal: AbortSignal) =>
      copyFile(source, target, {
        ...shared({ ...options, signal }, line),
        inPlace: options.mayOverwriteInPlace ? new InPlace({ note, signal }) : undefined,
        followLink: options.beforeRename === undefined,
        beforeRename: options.beforeRename,
        resume: resumes ? leftovers : undefined,
        journal,
        carefulLength: journal?.carefulLength,
        onProgress: tell && ((transferred, total) => tell(transferred, total, {})),
      });
    const copying = this.spreading({ signal }, () => persist(this.#link, persistence, attempt));
    const copied = await unmarked(copying).finally(() => {
      if (isInPlace) onInPlace?.(target.fileSystem.textOf(target.path));
    });
    if (copied.kept === undefined) {
      const call = target.fileSystem.isLocal ? 'get' : 'put';
      const names = { call, from: nameOf(source), to: nameOf(target) };
      this.noteTransfer({ ...names, bytes: copied.bytes, startedAt });
    }
    await tidying;
    // A new file is written in place, and nothing like it has been left beside it.
    if (atomic === 'existing' && copied.hasReplaced) await tidy();
    if (atomic) await leftovers.tidyBehind({ ...target, path: directory }, { signal, resumes });
    if (copied.kept === 'EXISTS') throw exists(source, target);
    return copied;
  }

  async #copyTree(
    prepare: () => Promise<{ readonly source: Place; readonly target: Place; readonly isNew?: boolean }>,
    symlinks: 'follow' | 'skip',
    options: Remote<Omit<TreeOptions, 'atomic'>> &
      Copying<TreeProgressCallback, FileAttributes> & {
        readonly target: FileSystem;
        readonly names: Pick<Transferred, 'call' | 'from' | 'to'>;
      },
    leftovers: Leftovers,
  ): Promise<TreeReport> {
    const { filter, continueOnError, recurse, resumes, callback, onFile } = options;
    checkChoice(options.symlinks ?? symlinks, ['follow', 'skip', 'copy'], 'symlinks');
    const onProgress = measured<FileProgress>(callback);
    const tellFile = onFile && marked(onFile);
    const line = this.#lineUse(options.speed);
    const attempt = async (journal: Journal | undefined, signal: AbortSignal) => {
      const { source, target, isNew } = await prepare();
      return copyTree(source, target, {
        ...shared({ ...options, signal }, line),
        symlinks: options.symlinks ?? symlinks,
        resume: resumes ? leftovers : undefined,
        ...{
          isNew,
          mayOverwriteInPlace: options.mayOverwriteInPlace,
          journal,
          leftovers,
          recurse,
          filter,
          continueOnError,
          onProgress,
          onFile: tellFile,
        },
      });
    };
    const startedAt = performance.now();
    const copying = this.spreading(options, () => persist(this.#link, options, attempt));
    const report = await unmarked(copying);
    this.noteTransfer({ ...options.names, files: report.files, bytes: report.bytes, startedAt });
    return report;
  }

  /** As {@link Link.during}. */
  during<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#link.during(signal, work);
  }

  /** Before anything is written. */
  #checkFsync({ fsync }: ResolvedTransfer): void {
    if (!fsync || this.client.supports('fsync')) return;
    const extension = extensions.fsync.name;
    throw new UnsupportedError(`The server does not support ${extension}: fsync cannot be promised`, {
      extension,
    });
  }

  copy(from: Buffer, to: Buffer, options: CopyOptions): Promise<void> {
    return this.withTwoHandles(options.signal, () =>
      copyOnServer(this.client, this.lineUse({}), from, to, options),
    );
  }

  /**
   * For what holds a handle of this connection while it waits for another one: where nobody knows how many there are,
   * so many at once might hold them all.
   */
  async withTwoHandles<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (this.client.limits.maxOpenHandles !== undefined) return work();
    return this.#copies.use(1, signal, work);
  }

  /** Before anything is made, on our side or there. */
  async #checkDirectory(remotePath: Buffer, signal: AbortSignal | undefined): Promise<void> {
    const look = { client: this.client, path: remotePath, options: { signal } };
    const { type } = await explain(this.remote.stat(remotePath, { signal }), 'stat', look);
    if (type !== 'directory' && type !== 'unknown')
      throw failure('ENOTDIR', 'opendir', remotePath, 'it is not a directory');
  }

  /** Whether it can be listed, before anything is made on our side. */
  async #checkListable(remotePath: Buffer, signal: AbortSignal | undefined): Promise<void> {
    let handle: RemoteHandle;
    try {
      handle = await this.client.opendir(remotePath, { signal });
    } catch (error) {
      // Servers do not say of a file that it is one.
      if (error instanceof SftpStatusError) await this.#checkDirectory(remotePath, signal);
      throw error;
    }
    // What is asked next comes after it, and nobody needs its answer.
    this.client.close(handle).catch(() => {});
  }

  #at(remotePath: Buffer): Place {
    return { fileSystem: this.remote, path: remotePath };
  }
}

/** The options of a transfer, checked, and how what arrives is confirmed. */
interface Copying<Callback, Confirmation> extends ResolvedTransfer {
  readonly signal?: AbortSignal | undefined;
  readonly callback?: Callback | undefined;
  readonly onInPlace?: ((path: string) => void) | undefined;
  readonly look?: ((path: Buffer) => Promise<Confirmation>) | undefined;
  /** A last look before the file gets its name. */
  readonly beforeRename?: (() => Promise<void>) | undefined;
}

/** What a file and a tree take alike. */
function shared<Confirmation>(options: Copying<unknown, Confirmation>, line: LineUse) {
  return {
    ...line,
    signal: options.signal,
    atomic: options.atomic,
    preserveMtime: options.preserveMtime,
    preserveMode: options.preserveMode,
    mode: options.mode,
    fsync: options.fsync,
    allowGrowth: options.allowGrowth,
    overwrite: options.overwrite,
    owner: options.owner,
    confirm: options.look,
  };
}

function exists(source: Place, target: Place): TransferError {
  const [from, to] = [failedAt(source), failedAt(target)];
  const text = `${quote(to.path)} already exists and overwrite is false: nothing was copied`;
  const details = { source: from.path, destination: to.path, bytesDone: 0, ...to };
  return new TransferError(text, { code: 'EEXIST', ...details });
}

/** The last component of a remote path as a name in the local current directory. */
function localNameFor(remotePath: Buffer): Buffer {
  const name = baseName(remotePath);
  const objection = localFileSystem.objectionTo(name);
  if (objection !== undefined) {
    throw new TypeError(`${quote(remotePath)} gives no local name, as ${objection}: pass localpath`);
  }
  return name;
}

/**
 * The directories of a remote path that are kept below a local one: an absolute path loses its root, and `.`
 * stands for the local directory itself.
 *
 * @throws RangeError where the path climbs out with `..`.
 */
export function namesToKeep(remotePath: Buffer, localDirectory: string): readonly Buffer[] {
  return namesOf(remotePath).map((key) => {
    const name = pathOfKey(key);
    const objection = localFileSystem.objectionTo(name);
    if (objection === undefined) return name;
    throw new RangeError(`${quote(remotePath)} cannot be kept below ${quote(localDirectory)}: ${objection}`);
  });
}

function nameOf({ fileSystem, path }: Place): string {
  return quote(fileSystem.textOf(path));
}

function local(path: Buffer): Place {
  return { fileSystem: localFileSystem, path };
}

function localBytes(localPath: string): Buffer {
  return Buffer.from(checkLocalPath(localPath));
}
