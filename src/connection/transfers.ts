/** Files and trees between the local disk and the server. */
import { Buffer } from 'node:buffer';

import { mkdir, opendir } from 'node:fs/promises';
import { untilAborted } from '../abort.js';
import { SftpStatusError } from '../errors.js';
import { checkLocalPath } from '../local-path.js';
import { baseName, quote } from '../remote-path.js';
import type { RemoteHandle, SftpClient } from '../session/sftp-client.js';
import { failure } from '../session/status-error.js';
import { copyFile } from '../transfer/copy-file.js';
import { copyTree, type FileProgress, type TreeReport } from '../transfer/copy-tree.js';
import type { Place } from '../transfer/file-system.js';
import { localFileSystem } from '../transfer/local.js';
import { RemoteFileSystem } from '../transfer/remote.js';
import { Window } from '../transfer/window.js';
import { FileAttributes } from '../wire/attributes.js';
import { makeDirectories } from './directories.js';
import type { Link } from './link.js';
import { type CopyOptions, copyOnServer } from './server-copy.js';

/** Called as bytes arrive: never backwards, and the last time with `transferred === total`. */
export type ProgressCallback = (transferred: number, total: number) => void;

/** The same figures over all files of a tree, and the file that has just moved on. */
export type TreeProgressCallback = (transferred: number, total: number, file: FileProgress) => void;

/** Options that every transfer shares. */
export interface TransferOptions {
  /** Ends the transfer: the promise rejects with the signal's reason, nothing half-written is left where it is atomic. */
  readonly signal?: AbortSignal | undefined;
  /** Gives the copy the modification time of the source. Default: false. */
  readonly preserveMtime?: boolean | undefined;
  /**
   * Gathers the bytes under a temporary name beside the target, and renames when all is there: whoever looks
   * sees the old file or the new one, whole. Default: true for downloads, false for uploads.
   */
  readonly atomic?: boolean | undefined;
}

export interface GetOptions extends TransferOptions {
  readonly callback?: ProgressCallback | undefined;
}

export interface PutOptions extends TransferOptions {
  readonly callback?: ProgressCallback | undefined;
  /** Asks the server for the size of what has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
}

export interface TreeOptions extends TransferOptions {
  readonly callback?: TreeProgressCallback | undefined;
  /** What to do with symbolic links. Default: `follow` for downloads, `skip` for uploads. */
  readonly symlinks?: 'follow' | 'skip' | undefined;
}

export interface PutTreeOptions extends TreeOptions {
  /** Asks the server for the size of each file that has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
}

/** In flight over one connection, both ways together, where the line is long enough to hold it. */
const MAX_BYTES_IN_FLIGHT = 16 * 1024 * 1024;
/** A line of a gigabyte per second holds so much for each millisecond of its round trip … */
const BYTES_PER_MS = 1024 * 1024;
/** … and even a short one keeps a disk, a cipher and a server busy with this. */
const SHORT_LINE_BYTES = 4 * 1024 * 1024;
/** The first request goes alone: some servers bear no more, and a line shows its pace soon enough. */
const FIRST_BYTES_IN_FLIGHT = 256 * 1024;

/** The transfers of one connection, which share its window. */
export class Transfers {
  readonly #client: SftpClient;
  readonly remote: RemoteFileSystem;
  /** For whatever waits for the server alone. */
  readonly window = new Window({
    max: MAX_BYTES_IN_FLIGHT,
    initial: FIRST_BYTES_IN_FLIGHT,
    ceiling: () => Math.max(SHORT_LINE_BYTES, this.#client.roundTripMs * BYTES_PER_MS),
  });

  constructor({ client, lanes }: Pick<Link, 'client' | 'lanes'>) {
    this.#client = client;
    this.remote = new RemoteFileSystem(client, lanes);
  }

  async get(remotePath: Buffer, localPath: string | undefined, options: GetOptions): Promise<void> {
    const target = localPath === undefined ? localNameFor(remotePath) : localBytes(localPath);
    await copyFile(this.#at(remotePath), local(target), {
      window: this.window,
      signal: options.signal,
      atomic: options.atomic ?? true,
      preserveMtime: options.preserveMtime,
      onProgress: options.callback,
    });
  }

  async put(localPath: string, remotePath: Buffer, options: PutOptions): Promise<FileAttributes> {
    const { confirm = true } = options;
    const { confirmation } = await copyFile(local(localBytes(localPath)), this.#at(remotePath), {
      window: this.window,
      signal: options.signal,
      atomic: options.atomic ?? false,
      confirm: confirm ? (file) => this.#client.stat(file, { signal: options.signal }) : undefined,
      preserveMtime: options.preserveMtime,
      onProgress: options.callback,
    });
    return confirmation ?? new FileAttributes({});
  }

  /** `keptNames` are the directories below `localPath` that make up the target; no link among them is followed. */
  async getTree(
    remotePath: Buffer,
    localPath: string,
    options: TreeOptions & { readonly recurse: boolean; readonly keptNames: readonly Buffer[] },
  ): Promise<TreeReport> {
    const { signal, preserveMtime, callback, recurse, keptNames } = options;
    let target = localBytes(localPath);
    await this.#checkListable(remotePath, signal);
    await mkdir(target, { recursive: true });
    for (const name of keptNames) {
      target = localFileSystem.join(target, name);
      await localFileSystem.ensureDirectory(target, { signal });
    }
    return copyTree(this.#at(remotePath), local(target), {
      window: this.window,
      signal,
      atomic: options.atomic ?? true,
      preserveMtime,
      symlinks: options.symlinks ?? 'follow',
      recurse,
      onProgress: callback,
    });
  }

  async putTree(
    localPath: string,
    remotePath: Buffer,
    options: PutTreeOptions & { readonly recurse: boolean },
  ): Promise<TreeReport> {
    const { signal, preserveMtime, callback, recurse, confirm = true } = options;
    // Without a local directory nothing is made on the server.
    await opendir(localPath).then((directory) => directory.close());
    if (recurse) await makeDirectories(this.#client, remotePath, undefined, { signal });
    else await this.#checkDirectory(remotePath, signal);
    return copyTree(local(localBytes(localPath)), this.#at(remotePath), {
      window: this.window,
      signal,
      atomic: options.atomic ?? false,
      confirm: confirm ? (file) => this.#client.stat(file, { signal }) : undefined,
      preserveMtime,
      symlinks: options.symlinks ?? 'skip',
      recurse,
      onProgress: callback,
    });
  }

  copy(from: Buffer, to: Buffer, options: CopyOptions): Promise<void> {
    return copyOnServer(this.#client, this.window, from, to, options);
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
    await untilAborted(this.#client.close(handle), signal).catch(() => {});
  }

  #at(remotePath: Buffer): Place {
    return { fileSystem: this.remote, path: remotePath };
  }
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
