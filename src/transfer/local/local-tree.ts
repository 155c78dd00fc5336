/**
 * The local disk below one directory. Nothing in it is reached through a symbolic link: not by the last name of a path,
 * and not by a directory that somebody exchanges for a link while a tree is being copied.
 */
import { Buffer } from 'node:buffer';
import * as path from 'node:path';
import type {
  Cancellable,
  DirectoryEntry,
  FileChanges,
  FileInfo,
  FileSystem,
  ListOptions,
  OpenSourceOptions,
  OpenTargetOptions,
  ReopenedFile,
  SourceFile,
  TargetFile,
} from '../file-system.js';
import { DirectoryHandles, type HeldPath, hasDirectoryHandles, toldOf } from './directory-handles.js';
import { removeOnExit } from './exit-removal.js';
import { localFileSystem } from './local.js';
import { linkInTheWay, open } from './local-opening.js';

export class LocalTree implements FileSystem, Disposable {
  readonly chunkLength = localFileSystem.chunkLength;
  readonly takesBlocks = true;
  readonly maxOpenFiles = localFileSystem.maxOpenFiles;
  readonly isLocal = true;
  readonly isReachable = true;

  readonly textOf = localFileSystem.textOf;
  readonly join = localFileSystem.join;
  readonly split = localFileSystem.split;
  readonly objectionTo = localFileSystem.objectionTo;
  readonly identityOf = localFileSystem.identityOf;
  readonly permitted = localFileSystem.permitted;
  readonly removeOnExit = removeOnExit;

  readonly #root: Buffer;
  readonly #handles: DirectoryHandles | undefined;

  /** @param root opened when it is first used, and the same directory from then on, whatever its path leads to */
  constructor(root: Buffer) {
    this.#root = root;
    this.#handles = hasDirectoryHandles() ? new DirectoryHandles(root, open) : undefined;
  }

  /** Files that are open stay open. */
  close(): void {
    this.#handles?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  stat(file: Buffer, options: Cancellable): Promise<FileInfo> {
    return this.#at(file, (there) => localFileSystem.stat(there, options));
  }

  lstat(file: Buffer, options: Cancellable): Promise<FileInfo> {
    return this.#at(file, (there) => localFileSystem.lstat(there, options));
  }

  async *list(directory: Buffer, options: ListOptions): AsyncGenerator<readonly DirectoryEntry[]> {
    const held = await this.#hold(directory, true);
    try {
      yield* localFileSystem.list(held.path, options);
    } catch (error) {
      throw toldOf(error, held.path, directory);
    } finally {
      held.release();
    }
  }

  openSource(file: Buffer, options: OpenSourceOptions): Promise<SourceFile> {
    return this.#at(file, (there) => localFileSystem.openSource(there, { ...options, refuseLink: true }));
  }

  openTarget(file: Buffer, options: OpenTargetOptions): Promise<TargetFile> {
    return this.#at(file, (there) => localFileSystem.openTarget(there, { ...options, refuseLink: true }));
  }

  async reopen(file: Buffer, options: Cancellable): Promise<ReopenedFile | undefined> {
    const reopened = await this.#at(file, (there) => localFileSystem.reopen(there, options));
    if (reopened === undefined) return undefined;
    const isThere = reopened.isAt.bind(reopened);
    const isAt = (path: Buffer) => this.#at(path, isThere);
    return Object.assign(reopened, { isAt });
  }

  newFile(directory: Buffer, options: Cancellable): Promise<FileInfo> {
    return localFileSystem.newFile(directory, options);
  }

  ensureDirectory(directory: Buffer, options: Cancellable): Promise<boolean> {
    return this.#at(directory, (there) => localFileSystem.ensureDirectory(there, options));
  }

  /** By the whole path, as it is the directories above that let others exchange this one. */
  isReservedFor(uid: number, directory: Buffer, options: Cancellable): Promise<boolean> {
    return localFileSystem.isReservedFor(uid, directory, options);
  }

  realPath(file: Buffer, options: Cancellable): Promise<Buffer> {
    return localFileSystem.realPath(file, options);
  }

  replace(from: Buffer, to: Buffer): Promise<void> {
    return this.#atBoth(from, to, (there, other) => localFileSystem.replace(there, other, {}));
  }

  rename(from: Buffer, to: Buffer): Promise<void> {
    return this.#atBoth(from, to, (there, other) => localFileSystem.rename(there, other, {}));
  }

  setAttributes(file: Buffer, changes: FileChanges, options: Cancellable): Promise<Error | undefined> {
    return this.#at(file, async (there) => {
      const refusal = await localFileSystem.setAttributes(there, changes, options);
      return refusal && toldOf(refusal, there, file);
    });
  }

  removeFile(file: Buffer, options: Cancellable): Promise<void> {
    return this.#at(file, (there) => localFileSystem.removeFile(there, options));
  }

  async removeDirectory(directory: Buffer, options: Cancellable): Promise<void> {
    await this.#at(directory, (there) => localFileSystem.removeDirectory(there, options));
    this.#handles?.forget(this.#keyOf(directory));
  }

  readLink(link: Buffer, options: Cancellable): Promise<Buffer> {
    return this.#at(link, (there) => localFileSystem.readLink(there, options));
  }

  makeLink(target: Buffer, link: Buffer, options: Cancellable): Promise<void> {
    return this.#at(link, (there) => localFileSystem.makeLink(target, there, options));
  }

  async #at<T>(file: Buffer, work: (there: Buffer) => Promise<T>): Promise<T> {
    const holding = this.#hold(file);
    const held = holding instanceof Promise ? await holding : holding;
    try {
      return await work(held.path);
    } catch (error) {
      throw toldOf(error, held.path, file);
    } finally {
      held.release();
    }
  }

  #atBoth(from: Buffer, to: Buffer, work: (there: Buffer, other: Buffer) => Promise<void>): Promise<void> {
    return this.#at(from, (there) => this.#at(to, (other) => work(there, other)));
  }

  /** @param entered whether it names a directory that will be entered */
  #hold(file: Buffer, entered = false): HeldPath | Promise<HeldPath> {
    const key = this.#keyOf(file);
    if (this.#handles === undefined) return this.#check(file, entered ? key : parentOf(key));
    return this.#handles.hold(entered && key !== '' ? `${key}/.` : key);
  }

  /** The names below the root, in latin1, with a slash between them. */
  #keyOf(file: Buffer): string {
    if (path.sep === '/') {
      const below = file.toString('latin1', this.#root.length);
      const key = below.startsWith('/') ? below.slice(1) : below;
      return key.endsWith('/') || key.includes('//') ? joined(key.split('/')) : key;
    }
    return joined(path.relative(this.#root.toString('latin1'), file.toString('latin1')).split(path.sep));
  }

  /** Where a directory cannot be held on to: it is looked at before each step, which can be outrun. */
  async #check(file: Buffer, key: string): Promise<HeldPath> {
    let directory = this.#root;
    for (const name of key === '' ? [] : key.split('/')) {
      directory = localFileSystem.join(directory, Buffer.from(name, 'latin1'));
      const { type } = await localFileSystem.lstat(directory, {});
      if (type === 'symlink') throw linkInTheWay('ENOTDIR', directory);
    }
    return { path: file, release: () => {} };
  }
}

function joined(names: readonly string[]): string {
  return names.filter((name) => name !== '').join('/');
}

function parentOf(key: string): string {
  return key.slice(0, Math.max(0, key.lastIndexOf('/')));
}
