/** Files and trees between the local disk and the server. */
import { Buffer } from 'node:buffer';
import { mkdir, opendir } from 'node:fs/promises';
import { checkChoice } from '../arguments.js';
import { SftpStatusError, TransferError, UnsupportedError } from '../errors.js';
import { checkLocalPath } from '../local-path.js';
import { baseName, quote } from '../remote-path.js';
import type { RemoteHandle, SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { resolveSpeed, type Speed, type SpeedOptions } from '../speed.js';
import { unmarked } from '../transfer/caller-error.js';
import type { LineUse } from '../transfer/copy-content.js';
import { type CopiedFile, copyFile } from '../transfer/copy-file.js';
import { copyTree } from '../transfer/copy-tree.js';
import type { Place } from '../transfer/file-system.js';
import { Leftovers } from '../transfer/leftovers.js';
import { FIRST_BYTES, lineCapacity } from '../transfer/line-capacity.js';
import { localFileSystem } from '../transfer/local.js';
import { measured } from '../transfer/progress.js';
import { RemoteFileSystem } from '../transfer/remote.js';
import { Throttle } from '../transfer/throttle.js';
import type { FileProgress } from '../transfer/tree-progress.js';
import type { TreeReport } from '../transfer/tree-report.js';
import { Window } from '../transfer/window.js';
import { FileAttributes } from '../wire/attributes.js';
import { extensions } from '../wire/extensions.js';
import { makeDirectories } from './directories.js';
import type { Link } from './link.js';
import { persist } from './persistence.js';
import { type CopyOptions, copyOnServer } from './server-copy.js';
import {
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

/** In flight over one connection, both ways together, where the line is long enough to hold it. */
const MAX_BYTES_IN_FLIGHT = 32 * 1024 * 1024;
/** OpenSSH's own client has so much on the way from the start, whatever the server: 64 requests of 32 KiB. */
const MODEST_BYTES_IN_FLIGHT = 2 * 1024 * 1024;

type Remote<Options> = Options & { readonly recurse: boolean };

/** The transfers of one connection, which share its window. */
export class Transfers {
  readonly #link: Link;
  readonly #client: SftpClient;
  readonly remote: RemoteFileSystem;
  /** For whatever waits for the server alone. */
  readonly window = new Window({
    max: MAX_BYTES_IN_FLIGHT,
    initial: FIRST_BYTES,
    modest: MODEST_BYTES_IN_FLIGHT,
    ceiling: () => lineCapacity(this.#client.roundTripMs),
  });
  /** What all of them together keep to. */
  readonly throttle: Throttle;
  readonly #localLeftovers = new Leftovers(localFileSystem);
  readonly #remoteLeftovers: Leftovers;

  constructor(link: Link) {
    this.#link = link;
    this.#client = link.client;
    this.throttle = new Throttle(link.speed);
    this.remote = new RemoteFileSystem(link.client, link.lanes);
    this.#remoteLeftovers = new Leftovers(this.remote);
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

  #defaults(atomic: boolean): TransferDefaults {
    const { retry, speed } = this.#link;
    return { atomic, retry, speed };
  }

  async get(remotePath: Buffer, localPath: string | undefined, options: GetOptions): Promise<void> {
    const target = local(localPath === undefined ? localNameFor(remotePath) : localBytes(localPath));
    const transfer = resolveTransfer(options, this.#defaults(true));
    await this.#copyFile(this.#at(remotePath), target, { ...options, ...transfer }, this.#localLeftovers);
  }

  async put(localPath: string, remotePath: Buffer, options: PutOptions): Promise<FileAttributes> {
    const { confirm = true, signal } = options;
    const transfer = resolveTransfer(options, this.#defaults(false));
    this.#checkFsync(transfer);
    const source = local(localBytes(localPath));
    const leftovers = this.#remoteLeftovers;
    const look = (file: Buffer) => this.#client.stat(file, { signal });
    const { confirmation, kept } = await this.#copyFile(
      source,
      this.#at(remotePath),
      { ...options, ...transfer, look: confirm ? look : undefined },
      leftovers,
    );
    if (kept !== undefined && confirm) return look(remotePath);
    return confirmation ?? new FileAttributes({});
  }

  /** `keptNames` are the directories below `localPath` that make up the target; no link among them is followed. */
  async getTree(
    remotePath: Buffer,
    localPath: string,
    options: Remote<TreeOptions> & { readonly keptNames: readonly Buffer[] },
  ): Promise<TreeReport> {
    const { signal, keptNames } = options;
    const transfer = resolveTransfer(options, this.#defaults(true));
    let target = localBytes(localPath);
    const prepare = async () => {
      await this.#checkListable(remotePath, signal);
      target = localBytes(localPath);
      await mkdir(target, { recursive: true });
      for (const name of keptNames) {
        target = localFileSystem.join(target, name);
        await localFileSystem.ensureDirectory(target, { signal });
      }
      return { source: this.#at(remotePath), target: local(target) };
    };
    return this.#copyTree(prepare, 'follow', { ...options, ...transfer }, this.#localLeftovers);
  }

  async putTree(localPath: string, remotePath: Buffer, options: Remote<PutTreeOptions>): Promise<TreeReport> {
    const { signal, recurse, confirm = true } = options;
    const transfer = resolveTransfer(options, this.#defaults(false));
    this.#checkFsync(transfer);
    const prepare = async () => {
      // Without a local directory nothing is made on the server.
      await opendir(localPath).then((directory) => directory.close());
      const isNew = recurse && (await makeDirectories(this.#client, remotePath, undefined, { signal }));
      if (!recurse) await this.#checkDirectory(remotePath, signal);
      return { source: local(localBytes(localPath)), target: this.#at(remotePath), isNew };
    };
    const look = confirm ? (file: Buffer) => this.#client.stat(file, { signal }) : undefined;
    return this.#copyTree(prepare, 'skip', { ...options, ...transfer, look }, this.#remoteLeftovers);
  }

  async #copyFile<Confirmation extends { readonly size: number | undefined }>(
    source: Place,
    target: Place,
    options: Copying<ProgressCallback, Confirmation>,
    leftovers: Leftovers,
  ): Promise<CopiedFile<Confirmation>> {
    const { signal, resumes, atomic, callback } = options;
    const line = this.#lineUse(options.speed);
    const tell = measured<object>(callback);
    const { directory } = target.fileSystem.split(target.path);
    const tidying = atomic && !resumes ? leftovers.tidy(directory, { signal }).catch(() => {}) : undefined;
    const copying = persist(this.#link, { ...options, target: target.fileSystem }, async (journal) =>
      copyFile(source, target, {
        ...shared(options, line),
        resume: resumes ? leftovers : undefined,
        journal,
        onProgress: (transferred, total) => {
          journal?.noteAdvance();
          tell?.(transferred, total, {});
        },
      }),
    );
    const copied = await unmarked(copying);
    await tidying;
    if (copied.kept === 'EXISTS') throw exists(source, target);
    return copied;
  }

  async #copyTree(
    prepare: () => Promise<{ readonly source: Place; readonly target: Place; readonly isNew?: boolean }>,
    symlinks: 'follow' | 'skip',
    options: Remote<TreeOptions> & Copying<TreeProgressCallback, FileAttributes>,
    leftovers: Leftovers,
  ): Promise<TreeReport> {
    const { filter, continueOnError, recurse, resumes, callback } = options;
    checkChoice(options.symlinks ?? symlinks, ['follow', 'skip', 'copy'], 'symlinks');
    const onProgress = measured<FileProgress>(callback);
    const line = this.#lineUse(options.speed);
    const copying = persist(this.#link, { ...options, target: leftovers.fileSystem }, async (journal) => {
      const { source, target, isNew } = await prepare();
      return copyTree(source, target, {
        ...shared(options, line),
        symlinks: options.symlinks ?? symlinks,
        resume: resumes ? leftovers : undefined,
        ...{
          isNew,
          journal,
          leftovers: resumes ? undefined : leftovers,
          recurse,
          filter,
          continueOnError,
          onProgress,
        },
      });
    });
    return unmarked(copying);
  }

  /** Before anything is written. */
  #checkFsync({ fsync }: ResolvedTransfer): void {
    if (!fsync || this.#client.supports('fsync')) return;
    const extension = extensions.fsync.name;
    throw new UnsupportedError(`The server does not support ${extension}: fsync cannot be promised`, {
      extension,
    });
  }

  copy(from: Buffer, to: Buffer, options: CopyOptions): Promise<void> {
    return copyOnServer(this.#client, this.lineUse({}), from, to, options);
  }

  /** Before anything is made, on our side or there. */
  async #checkDirectory(remotePath: Buffer, signal: AbortSignal | undefined): Promise<void> {
    const { type } = await this.remote.stat(remotePath, { signal });
    if (type !== 'directory' && type !== 'unknown')
      throw failure('ENOTDIR', 'opendir', remotePath, 'it is not a directory');
  }

  /** Whether it can be listed, before anything is made on our side. */
  async #checkListable(remotePath: Buffer, signal: AbortSignal | undefined): Promise<void> {
    let handle: RemoteHandle;
    try {
      handle = await this.#client.opendir(remotePath, { signal });
    } catch (error) {
      // Servers do not say of a file that it is one.
      if (error instanceof SftpStatusError) await this.#checkDirectory(remotePath, signal);
      throw error;
    }
    // What is asked next comes after it, and nobody needs its answer.
    this.#client.close(handle).catch(() => {});
  }

  #at(remotePath: Buffer): Place {
    return { fileSystem: this.remote, path: remotePath };
  }
}

/** The options of a transfer, checked, and how what arrives is confirmed. */
interface Copying<Callback, Confirmation> extends ResolvedTransfer {
  readonly signal?: AbortSignal | undefined;
  readonly callback?: Callback | undefined;
  readonly look?: ((path: Buffer) => Promise<Confirmation>) | undefined;
}

/** What a file and a tree take alike. */
function shared<Confirmation>(options: Copying<unknown, Confirmation>, line: LineUse) {
  const { signal, atomic, preserveMtime, preserveMode, fsync, overwrite, look: confirm } = options;
  return { ...line, signal, atomic, preserveMtime, preserveMode, fsync, overwrite, confirm };
}

function exists(source: Place, target: Place): TransferError {
  const [from, to] = [source, target].map(({ fileSystem, path }) => fileSystem.textOf(path));
  const text = `${quote(to ?? '')} exists already, and overwrite is off: nothing was copied`;
  return new TransferError(text, { code: 'EEXIST', source: from ?? '', destination: to ?? '', bytesDone: 0 });
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
  const components = remotePath.toString('latin1').split('/');
  const names = components.filter((name) => name !== '' && name !== '.');
  return names.map((text) => {
    const name = Buffer.from(text, 'latin1');
    const objection = localFileSystem.objectionTo(name);
    if (objection === undefined) return name;
    throw new RangeError(`${quote(remotePath)} cannot be kept below ${quote(localDirectory)}: ${objection}`);
  });
}

function local(path: Buffer): Place {
  return { fileSystem: localFileSystem, path };
}

function localBytes(localPath: string): Buffer {
  return Buffer.from(checkLocalPath(localPath));
}
