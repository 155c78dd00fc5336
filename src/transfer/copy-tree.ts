/**
 * A directory and everything below it, from one file system to another. Listing and copying overlap; a
 * directory is there before its content is asked for; many files are under way at once.
 */
import type { Buffer } from 'node:buffer';
import { NEVER } from '../abort.js';
import { SftpError } from '../errors.js';
import { quote } from '../remote-path.js';
import type { FileType } from '../wire/attributes.js';
import { CallerError } from './caller-error.js';
import { isFatal } from './copy-failure.js';
import { type CopyFileOptions, copyFile } from './copy-file.js';
import { copyLink } from './copy-link.js';
import { DirectoryChanges } from './directory-changes.js';
import { EntryNames } from './entry-names.js';
import { type DirectoryEntry, type FileInfo, hasCode, isMissing, type Place } from './file-system.js';
import type { Leftovers } from './leftovers.js';
import { KEEP_REASONS, type Overwrite, reasonToKeep } from './overwriting.js';
import { TaskGroup } from './task-group.js';
import { readTemporaryName, sourceMark } from './temporary-file.js';
import { type FileCount, type FileProgress, TreeProgress } from './tree-progress.js';
import { ReportWriter, type SkipCode, type TreeReport } from './tree-report.js';
import { Window } from './window.js';

export interface CopyTreeOptions
  extends Pick<
    CopyFileOptions,
    | 'window'
    | 'throttle'
    | 'concurrency'
    | 'channels'
    | 'signal'
    | 'atomic'
    | 'confirm'
    | 'fsync'
    | 'preserveMtime'
    | 'preserveMode'
    | 'overwrite'
    | 'resume'
    | 'journal'
  > {
  /** Links: copy what they lead to, leave them out, or make links of them. */
  readonly symlinks: 'follow' | 'skip' | 'copy';
  /** The target has just been made, and nothing is in it. */
  readonly isNew?: boolean | undefined;
  /** False: the files of the directory itself only. */
  readonly recurse: boolean;
  /** False leaves an entry out, a directory with everything below it. */
  readonly filter?: ((entry: TreeEntry) => boolean | Promise<boolean>) | undefined;
  /** Notes what fails in the report and goes on with the rest. */
  readonly continueOnError?: boolean | undefined;
  /** Removes from the target's directories what dead programs have left there. */
  readonly leftovers?: Leftovers | undefined;
  readonly onProgress?: ((transferred: number, total: number, file: FileProgress) => void) | undefined;
}

/** An entry of a tree, as its `filter` sees it: of a link that is followed, what it leads to. */
export interface TreeEntry {
  /** Below the root of the tree, with `/` between the names. */
  readonly path: string;
  readonly name: string;
  /** The name as it is, should it not be UTF-8. */
  readonly nameBytes: Uint8Array;
  readonly type: FileType;
  readonly size: number | undefined;
  /** Seconds since 1970. */
  readonly mtime: number | undefined;
  /** Permissions, without the type. */
  readonly mode: number | undefined;
}

/** Deeper trees are taken for a loop, or for an attack. */
const MAX_DEPTH = 64;
const MAX_ENTRIES_PER_DIRECTORY = 1_000_000;

/**
 * Copies the content of `source` into the directory `target`, which exists. Stops at the first failure, with
 * the files that were under way taken back where `atomic`; or, with `continueOnError`, tells them at the end. An
 * entry whose name is refused never stops the rest.
 */
export function copyTree(source: Place, target: Place, options: CopyTreeOptions): Promise<TreeReport> {
  return new TreeCopy(source, target, options).run();
}

/** A directory on its way: where it comes from, where it goes. */
interface Branch {
  readonly from: Buffer;
  readonly to: Buffer;
  /** Below the root, for people. */
  readonly shown: string;
  /** How many directories it lies below the root. */
  readonly level: number;
  /** The paths without links from the root down to it; only meaningful where links are followed. */
  readonly ancestors: readonly string[];
  /** Nothing is in the target yet. */
  readonly isNew: boolean;
}

/** What a name in a directory stands for, on both sides. */
interface Found {
  readonly name: Buffer;
  readonly from: Buffer;
  readonly to: Buffer;
  /** Links followed, where they are to be. */
  readonly info: FileInfo;
  readonly isLink: boolean;
}

class TreeCopy {
  readonly #source: Place;
  readonly #target: Place;
  readonly #options: CopyTreeOptions;
  readonly #tasks: TaskGroup;
  /** Open files and directories. */
  readonly #slots: Window;
  readonly #report = new ReportWriter();
  readonly #changes: DirectoryChanges;
  /** Entries whose names are refused. */
  readonly #refusals: SftpError[] = [];
  readonly #progress: TreeProgress;

  constructor(source: Place, target: Place, options: CopyTreeOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#tasks = new TaskGroup(options.signal);
    const { concurrency = Number.POSITIVE_INFINITY } = options;
    const max = Math.min(source.fileSystem.maxOpenFiles, target.fileSystem.maxOpenFiles, concurrency);
    this.#slots = new Window({ max });
    this.#changes = new DirectoryChanges(target.fileSystem, options);
    this.#progress = new TreeProgress(options.onProgress);
  }

  async run(): Promise<TreeReport> {
    const { path: from } = this.#source;
    const root = { from, to: this.#target.path, shown: '', level: 0, isNew: this.#options.isNew ?? false };
    this.#tasks.add(
      this.#rootAncestors(from).then((ancestors) => this.#copyDirectory({ ...root, ancestors })),
    );
    await this.#tasks.settle();
    await this.#changes.apply(this.#slots, (path, work) => this.#guard(path, work));
    this.#progress.finish(this.#textOf(from));
    if (!this.#options.continueOnError) throwRefusals(this.#refusals);
    return this.#report.finish();
  }

  async #rootAncestors(path: Buffer): Promise<readonly string[]> {
    if (this.#options.symlinks !== 'follow') return [];
    const real = await this.#source.fileSystem.realPath(path, { signal: this.#tasks.signal });
    return [real.toString('latin1')];
  }

  async #copyDirectory(branch: Branch): Promise<void> {
    const { signal } = this.#tasks;
    const { leftovers, atomic } = this.#options;
    if (atomic && !branch.isNew) this.#tasks.add(tidied(leftovers, branch.to, signal));
    const names = new EntryNames(this.#target.fileSystem, this.#textOf(branch.from));
    for (const entry of await this.#entriesOf(branch.from)) {
      signal.throwIfAborted();
      const path = this.#source.fileSystem.join(branch.from, entry.name);
      const refusal = names.refusalOf(entry.name);
      if (refusal === undefined) await this.#guard(path, () => this.#copyEntry(entry, branch));
      else this.#refuse(path, refusal);
    }
  }

  /** With `continueOnError` a failure concerns one entry, unless nothing can go on after it. */
  async #guard(path: Buffer, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#goesOnAfter(error)) throw error;
      this.#report.noteFailed(this.#textOf(path), error);
    }
  }

  /** It concerns this entry alone: the rest arrives, whatever else a server has thought of. */
  #refuse(path: Buffer, refusal: SftpError): void {
    this.#refusals.push(refusal);
    this.#report.noteFailed(this.#textOf(path), refusal);
  }

  #goesOnAfter(error: unknown): boolean {
    return this.#options.continueOnError === true && !isFatal(error) && !this.#tasks.signal.aborted;
  }

  /** The whole listing, so that no handle is held while its files wait for theirs. */
  async #entriesOf(directory: Buffer): Promise<readonly DirectoryEntry[]> {
    const { fileSystem } = this.#source;
    const { signal } = this.#tasks;
    const entries: DirectoryEntry[] = [];
    await this.#slots.acquire(1, signal);
    try {
      const inBackground = (closing: Promise<void>) => this.#tasks.add(closing);
      for await (const batch of fileSystem.list(directory, { signal, inBackground })) {
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
    const from = this.#source.fileSystem.join(branch.from, name);
    if (readTemporaryName(name)) return this.#skip(from, 'UNFINISHED', 'it is a copy that is not complete');
    const to = this.#target.fileSystem.join(branch.to, name);
    const actual = await this.#resolve(from, info);
    if (actual === undefined) return;
    const found = { name, from, to, info: actual, isLink: info.type === 'symlink' };
    if (actual.type === 'directory' && !this.#options.recurse) return;
    if (!(await this.#passes(found, branch))) return this.#skip(from, 'FILTERED', 'the filter leaves it out');
    if (actual.type === 'file') await this.#startFile(found, branch);
    else if (actual.type === 'directory') {
      this.#tasks.add(this.#guard(from, () => this.#copySubdirectory(found, branch)));
    } else if (actual.type === 'symlink') {
      this.#tasks.add(this.#guard(from, () => this.#copyLink(found, branch)));
    } else this.#skip(from, 'SPECIAL', `it is a ${actual.type}`);
  }

  /** What an entry is, once links are followed and what the listing left out is asked; `undefined`: left out. */
  async #resolve(path: Buffer, info: FileInfo): Promise<FileInfo | undefined> {
    const { fileSystem } = this.#source;
    const { signal } = this.#tasks;
    const known = info.type === 'unknown' ? await fileSystem.lstat(path, { signal }) : info;
    if (known.type !== 'symlink' || this.#options.symlinks === 'copy') return known;
    if (this.#options.symlinks === 'skip') return this.#skip(path, 'SYMLINK', 'it is a symbolic link');
    try {
      return await fileSystem.stat(path, { signal });
    } catch (error) {
      // Links that lead to each other lead nowhere either, and servers make no difference.
      if (!hasCode(error, 'ENOENT', 'ELOOP')) throw error;
      return this.#skip(path, 'DANGLING', 'it is a symbolic link that leads nowhere');
    }
  }

  async #passes({ name, info }: Found, branch: Branch): Promise<boolean> {
    const { filter } = this.#options;
    if (filter === undefined) return true;
    const { type, size, mtime, mode } = info;
    const shown = name.toString('utf8');
    const path = `${branch.shown}${shown}`;
    const entry = { path, name: shown, nameBytes: name, type, size, mtime, mode };
    try {
      return (await filter(entry)) === true;
    } catch (error) {
      throw new CallerError(error);
    }
  }

  async #copySubdirectory({ from, to, name, info, isLink }: Found, branch: Branch): Promise<void> {
    const { signal } = this.#tasks;
    const { ancestors, shown } = branch;
    const text = this.#textOf(from);
    const level = branch.level + 1;
    if (level > MAX_DEPTH) throw tooMuch(text, `more than ${MAX_DEPTH} levels of directories`);
    const real = isLink
      ? (await this.#source.fileSystem.realPath(from, { signal })).toString('latin1')
      : `${ancestors.at(-1) ?? ''}/${name.toString('latin1')}`;
    if (isLink && ancestors.includes(real)) {
      throw new SftpError('ELOOP', `${quote(text)} is a link to a directory above it, a loop without end`);
    }
    const isNew = await this.#target.fileSystem.ensureDirectory(to, { signal });
    this.#report.noteDirectory();
    this.#changes.note(to, info, level);
    const path = `${shown}${name.toString('utf8')}/`;
    await this.#copyDirectory({ from, to, shown: path, level, ancestors: [...ancestors, real], isNew });
  }

  async #copyLink({ from, to }: Found, { isNew, level }: Branch): Promise<void> {
    const { overwrite = 'always' } = this.#options;
    const { signal } = this.#tasks;
    const source = { ...this.#source, path: from };
    const left = await copyLink(source, this.#place(to), { overwrite, signal, isFree: isNew, level });
    if (left !== undefined) return this.#skip(from, left.code, left.reason);
    const target = this.#target.fileSystem.textOf(to);
    this.#report.noteCopied({ type: 'symlink', path: this.#textOf(from), target, bytes: 0 });
  }

  async #lookAt(path: Buffer): Promise<FileInfo | undefined> {
    try {
      return await this.#target.fileSystem.lstat(path, { signal: this.#tasks.signal });
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  async #startFile(found: Found, { isNew }: Branch): Promise<void> {
    await this.#slots.acquire(1, this.#tasks.signal);
    const copying = this.#guard(found.from, () => this.#copyFile(found, isNew));
    this.#tasks.add(copying.finally(() => this.#slots.release(1)));
  }

  async #copyFile(found: Found, isFree: boolean): Promise<void> {
    const { from, to, info } = found;
    const { journal } = this.#options;
    const progress = this.#progress.begin(this.#textOf(from), info.size ?? 0);
    const mark = sourceMark(from, info);
    const isKept = await this.#keeps(found, isFree);
    if (isKept || journal?.isDone(this.#place(to), mark)) progress.complete();
    else {
      await this.#copyContent(found, isFree, progress);
      journal?.noteDone(this.#place(to), mark);
    }
    progress.finish();
    if (isKept) return;
    const target = this.#target.fileSystem.textOf(to);
    this.#report.noteCopied({ type: 'file', path: this.#textOf(from), target, bytes: progress.bytes });
  }

  async #copyContent(found: Found, isFree: boolean, progress: FileCount): Promise<void> {
    const source = { ...this.#source, path: found.from };
    try {
      await copyFile(source, this.#place(found.to), this.#optionsFor(found, isFree, progress));
    } catch (error) {
      if (this.#goesOnAfter(error)) progress.abandon();
      throw error;
    }
  }

  #optionsFor({ info: known }: Found, isFree: boolean, progress: FileCount): CopyFileOptions {
    const { window, atomic, confirm, fsync, preserveMtime, preserveMode, resume, journal, overwrite } =
      this.#options;
    const { throttle, concurrency, channels } = this.#options;
    const { signal } = this.#tasks;
    return {
      ...{
        window,
        throttle,
        concurrency,
        channels,
        atomic,
        confirm,
        fsync,
        preserveMtime,
        preserveMode,
        resume,
        journal,
        signal,
        callerSignal: this.#options.signal ?? NEVER,
        isFree,
        known,
      },
      // The other rules have been followed by now.
      overwrite: overwrite === 'never' ? 'never' : 'always',
      refuseLink: true,
      // Its slot is for the next file by then: the server closes in the order of asking.
      inBackground: (closing) => this.#tasks.add(closing),
      onProgress: (bytes, total) => {
        journal?.noteAdvance();
        progress.advance(bytes, total);
      },
    };
  }

  /** Whether what is there stays, which is noted then. */
  async #keeps({ from, to, info }: Found, isFree: boolean): Promise<boolean> {
    const rule = this.#rule();
    if (rule === 'always' || isFree || this.#options.journal?.hasBegun(this.#place(to))) return false;
    const existing = await this.#lookAt(to);
    const reason = existing && reasonToKeep(info, existing, rule);
    if (reason === undefined) return false;
    this.#skip(from, reason, KEEP_REASONS[reason]);
    return true;
  }

  /** Whoever resumes does not copy again what is complete. */
  #rule(): Overwrite {
    const { overwrite = 'always', resume } = this.#options;
    return overwrite === 'always' && resume !== undefined ? 'different' : overwrite;
  }

  #skip(path: Buffer, code: SkipCode, reason: string): undefined {
    this.#report.noteSkipped(this.#textOf(path), code, reason);
  }

  #place(path: Buffer): Place {
    return { ...this.#target, path };
  }

  #textOf(path: Buffer): string {
    return this.#source.fileSystem.textOf(path);
  }
}

/** That it cannot be done is no failure of the copy. */
async function tidied(
  leftovers: Leftovers | undefined,
  directory: Buffer,
  signal: AbortSignal,
): Promise<void> {
  await leftovers?.tidy(directory, { signal }).catch(() => {});
}

function throwRefusals([first, ...others]: readonly SftpError[]): void {
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  throw new SftpError(first.code, `${first.message}${more}; everything else has been copied`);
}

function tooMuch(path: string, what: string): SftpError {
  return new SftpError('LIMIT', `${quote(path)} has ${what}: it is not copied`);
}
