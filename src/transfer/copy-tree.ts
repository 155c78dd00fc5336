/**
 * A directory and everything below it, from one file system to another. Listing and copying overlap; a
 * directory is there before its content is asked for; many files are under way at once.
 */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../errors.js';
import { printable } from '../printable.js';
import { quote } from '../remote-path.js';
import { copyFile } from './copy-file.js';
import { type DirectoryEntry, type FileInfo, hasCode, type Place } from './file-system.js';
import { TaskGroup } from './task-group.js';
import { Window } from './window.js';

export interface CopyTreeOptions {
  /** Bytes in flight. */
  readonly window: Window;
  readonly signal?: AbortSignal | undefined;
  readonly atomic: boolean;
  /** Asks what has arrived under a path of the target, as for one file. */
  readonly confirm?: ((path: Buffer) => Promise<{ readonly size: number | undefined }>) | undefined;
  readonly preserveMtime?: boolean | undefined;
  /** Links to files and directories: copy what they lead to, or leave them out. */
  readonly symlinks: 'follow' | 'skip';
  /** False: the files of the directory itself only. */
  readonly recurse: boolean;
  readonly onProgress?: ((transferred: number, total: number, file: FileProgress) => void) | undefined;
}

/** The file that has just moved on, and the state of the whole. */
export interface FileProgress {
  /** The path of the source. */
  readonly path: string;
  readonly bytes: number;
  readonly filesDone: number;
  /** Files found so far; the listing goes on while files are copied. */
  readonly filesKnown: number;
}

/** What was left out, and why. */
export interface SkippedEntry {
  readonly path: string;
  readonly reason: string;
}

/** What a copy of a tree has done. */
export interface TreeReport {
  readonly files: number;
  readonly directories: number;
  readonly bytes: number;
  /** Links, devices, FIFOs and sockets that were left out. */
  readonly skipped: readonly SkippedEntry[];
}

/** Deeper trees are taken for a loop, or for an attack. */
const MAX_DEPTH = 64;
const MAX_ENTRIES_PER_DIRECTORY = 1_000_000;

/**
 * Copies the content of `source` into the directory `target`, which exists. Stops at the first failure, with
 * the files that were under way taken back where `atomic`.
 */
export function copyTree(source: Place, target: Place, options: CopyTreeOptions): Promise<TreeReport> {
  return new TreeCopy(source, target, options).run();
}

/** A directory on its way: where it comes from, where it goes. */
interface Branch {
  readonly from: Buffer;
  readonly to: Buffer;
  /** The paths without links from the root down to it; only kept where links are followed. */
  readonly ancestors: readonly string[];
  /** Nothing is in the target yet. */
  readonly isNew: boolean;
}

class TreeCopy {
  readonly #source: Place;
  readonly #target: Place;
  readonly #options: CopyTreeOptions;
  readonly #tasks: TaskGroup;
  /** Open files and directories. */
  readonly #slots: Window;
  readonly #skipped: SkippedEntry[] = [];
  #directories = 0;
  #filesKnown = 0;
  #filesDone = 0;
  #bytesKnown = 0;
  #bytesDone = 0;

  constructor(source: Place, target: Place, options: CopyTreeOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#tasks = new TaskGroup(options.signal);
    const max = Math.min(source.fileSystem.maxOpenFiles, target.fileSystem.maxOpenFiles);
    this.#slots = new Window({ max });
  }

  async run(): Promise<TreeReport> {
    const { path: from, fileSystem } = this.#source;
    this.#tasks.add(
      this.#rootAncestors(from).then((ancestors) =>
        this.#copyDirectory({ from, to: this.#target.path, ancestors, isNew: false }),
      ),
    );
    await this.#tasks.settle();
    if (this.#filesKnown === 0) {
      this.#options.onProgress?.(0, 0, {
        path: fileSystem.textOf(from),
        bytes: 0,
        filesDone: 0,
        filesKnown: 0,
      });
    }
    return {
      files: this.#filesDone,
      directories: this.#directories,
      bytes: this.#bytesDone,
      skipped: this.#skipped,
    };
  }

  async #rootAncestors(path: Buffer): Promise<readonly string[]> {
    if (this.#options.symlinks !== 'follow') return [];
    const real = await this.#source.fileSystem.realPath(path, { signal: this.#tasks.signal });
    return [real.toString('latin1')];
  }

  async #copyDirectory(branch: Branch): Promise<void> {
    for (const entry of await this.#entriesOf(branch.from)) {
      this.#tasks.signal.throwIfAborted();
      await this.#copyEntry(entry, branch);
    }
  }

  /** The whole listing, so that no handle is held while its files wait for theirs. */
  async #entriesOf(directory: Buffer): Promise<readonly DirectoryEntry[]> {
    const { fileSystem } = this.#source;
    const { signal } = this.#tasks;
    const entries: DirectoryEntry[] = [];
    await this.#slots.acquire(1, signal);
    try {
      for await (const batch of fileSystem.list(directory, { signal })) {
        entries.push(...batch);
        if (entries.length > MAX_ENTRIES_PER_DIRECTORY) {
          throw tooMuch(fileSystem.textOf(directory), `more than ${MAX_ENTRIES_PER_DIRECTORY} entries`);
        }
      }
    } finally {
      this.#slots.release(1);
    }
    return entries;
  }

  async #copyEntry({ name, info }: DirectoryEntry, branch: Branch): Promise<void> {
    const { fileSystem } = this.#source;
    const target = this.#target.fileSystem;
    const objection = target.objectionTo(name);
    if (objection !== undefined) throw unsafeName(name, fileSystem.textOf(branch.from), objection);
    const from = fileSystem.join(branch.from, name);
    const to = target.join(branch.to, name);
    const actual = await this.#resolve(from, info);
    if (actual === undefined) return;
    if (actual.type === 'file') {
      await this.#slots.acquire(1, this.#tasks.signal);
      this.#tasks.add(this.#copyFile(from, to, actual, branch.isNew).finally(() => this.#slots.release(1)));
    } else if (actual.type !== 'directory') this.#skip(from, `it is a ${actual.type}`);
    else if (this.#options.recurse) {
      const isLink = info.type === 'symlink';
      this.#tasks.add(this.#copySubdirectory({ ...branch, from, to }, name, isLink));
    }
  }

  /** What an entry is, once links are followed and what the listing left out is asked; `undefined`: left out. */
  async #resolve(path: Buffer, info: FileInfo): Promise<FileInfo | undefined> {
    const { fileSystem } = this.#source;
    const { signal } = this.#tasks;
    const known = info.type === 'unknown' ? await fileSystem.lstat(path, { signal }) : info;
    if (known.type !== 'symlink') return known;
    if (this.#options.symlinks === 'skip') return this.#skip(path, 'it is a symbolic link');
    try {
      return await fileSystem.stat(path, { signal });
    } catch (error) {
      // Links that lead to each other lead nowhere either, and servers make no difference.
      if (hasCode(error, 'ENOENT', 'ELOOP'))
        return this.#skip(path, 'it is a symbolic link that leads nowhere');
      throw error;
    }
  }

  #skip(path: Buffer, reason: string): undefined {
    this.#skipped.push({ path: this.#source.fileSystem.textOf(path), reason });
  }

  async #copySubdirectory({ from, to, ancestors }: Branch, name: Buffer, isLink: boolean): Promise<void> {
    const { signal } = this.#tasks;
    const text = this.#source.fileSystem.textOf(from);
    if (ancestors.length > MAX_DEPTH) throw tooMuch(text, `more than ${MAX_DEPTH} levels of directories`);
    const real = isLink
      ? (await this.#source.fileSystem.realPath(from, { signal })).toString('latin1')
      : `${ancestors.at(-1) ?? ''}/${name.toString('latin1')}`;
    if (isLink && ancestors.includes(real)) {
      throw new SftpError('ELOOP', `${quote(text)} is a link to a directory above it, a loop without end`);
    }
    const isNew = await this.#target.fileSystem.ensureDirectory(to, { signal });
    this.#directories += 1;
    await this.#copyDirectory({ from, to, ancestors: [...ancestors, real], isNew });
  }

  async #copyFile(from: Buffer, to: Buffer, known: FileInfo, isFree: boolean): Promise<void> {
    const { window, atomic, confirm, preserveMtime } = this.#options;
    this.#filesKnown += 1;
    this.#bytesKnown += known.size ?? 0;
    let reported = 0;
    let expected = known.size ?? 0;
    await copyFile(
      { ...this.#source, path: from },
      { ...this.#target, path: to },
      {
        window,
        signal: this.#tasks.signal,
        atomic,
        isFree,
        refuseLink: true,
        // Its slot is for the next file by then: the server closes in the order of asking.
        inBackground: (closing) => this.#tasks.add(closing),
        confirm,
        preserveMtime,
        known,
        onProgress: (bytes, total) => {
          this.#bytesDone += bytes - reported;
          this.#bytesKnown += total - expected;
          reported = bytes;
          expected = total;
          this.#report(from, bytes);
        },
      },
    );
    this.#filesDone += 1;
    this.#report(from, reported);
  }

  #report(path: Buffer, bytes: number): void {
    this.#options.onProgress?.(this.#bytesDone, this.#bytesKnown, {
      path: this.#source.fileSystem.textOf(path),
      bytes,
      filesDone: this.#filesDone,
      filesKnown: this.#filesKnown,
    });
  }
}

function unsafeName(name: Buffer, directory: string, objection: string): SftpError {
  const shown = printable(name.toString('utf8'), 300);
  return new SftpError('UNSAFE_NAME', `The name '${shown}' in ${quote(directory)} is refused: ${objection}`);
}

function tooMuch(path: string, what: string): SftpError {
  return new SftpError('LIMIT', `${quote(path)} has ${what}: it is not copied`);
}
