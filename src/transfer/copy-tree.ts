/**
 * A directory and everything below it, from one file system to another. Listing and copying overlap; a
 * directory is there before its content is asked for; many files are under way at once.
 */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../errors.js';
import { quote } from '../remote-path.js';
import { CallerError } from './caller-error.js';
import { copyLink } from './copy-link.js';
import { DirectoryChanges } from './directory-changes.js';
import { EntryNames } from './entry-names.js';
import { type DirectoryEntry, type FileInfo, hasCode, type Place } from './file-system.js';
import type { Leftovers } from './leftovers.js';
import { readTemporaryName } from './temporary-file.js';
import { type FoundFile, TreeFiles } from './tree-files.js';
import type { TreeReport } from './tree-report.js';
import { type CopyTreeOptions, type TreeFilter, TreeRun } from './tree-run.js';

/** Deeper trees are taken for a loop, or for an attack. */
const MAX_DEPTH = 64;
const MAX_ENTRIES_PER_DIRECTORY = 1_000_000;

/**
 * Copies the content of `source` into the directory `target`, which exists. Stops at the first failure, with
 * the files that were under way taken back where `atomic`; or, with `continueOnError`, tells them at the end. An
 * entry whose name is refused never stops the rest.
 */
export function copyTree(source: Place, target: Place, options: CopyTreeOptions): Promise<TreeReport> {
  return new TreeCopy(new TreeRun(source, target, options)).run();
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
interface Found extends FoundFile {
  readonly name: Buffer;
  readonly isLink: boolean;
}

class TreeCopy {
  readonly #run: TreeRun;
  readonly #files: TreeFiles;
  readonly #changes: DirectoryChanges;
  /** Entries whose names are refused. */
  readonly #refusals: SftpError[] = [];

  constructor(run: TreeRun) {
    this.#run = run;
    this.#files = new TreeFiles(run);
    this.#changes = new DirectoryChanges(run.target.fileSystem, run.options);
  }

  async run(): Promise<TreeReport> {
    const run = this.#run;
    const { path: from } = run.source;
    const { isNew = false, continueOnError } = run.options;
    const root = { from, to: run.target.path, shown: '', level: 0, isNew };
    // Where it really lies matters only for what is below it, so that both are asked for at once.
    const entries = this.#entriesOf(from);
    const listing = entries.then(
      () => {},
      () => {},
    );
    run.tasks.add(listing);
    run.tasks.add(
      this.#rootAncestors(from).then((ancestors) => this.#copyDirectory({ ...root, ancestors }, entries)),
    );
    await run.tasks.settle();
    await this.#changes.apply(run.slots, (path, work) => run.guard(path, work));
    run.progress.finish(run.textOf(from));
    if (!continueOnError) throwRefusals(this.#refusals);
    return run.report.finish();
  }

  async #rootAncestors(path: Buffer): Promise<readonly string[]> {
    if (this.#run.options.symlinks !== 'follow') return [];
    const real = await this.#run.source.fileSystem.realPath(path, { signal: this.#run.tasks.signal });
    return [real.toString('latin1')];
  }

  async #copyDirectory(branch: Branch, entries = this.#entriesOf(branch.from)): Promise<void> {
    const { signal } = this.#run.tasks;
    const { leftovers, atomic } = this.#run.options;
    if (atomic && !branch.isNew) this.#run.tasks.add(tidied(leftovers, branch.to, signal));
    const names = new EntryNames(this.#run.target.fileSystem, this.#run.textOf(branch.from));
    for (const entry of await entries) {
      signal.throwIfAborted();
      const from = this.#run.source.fileSystem.join(branch.from, entry.name);
      const refusal = names.refusalOf(entry.name);
      if (refusal === undefined) await this.#run.guard(from, () => this.#copyEntry(from, entry, branch));
      else this.#refuse(from, refusal);
    }
  }

  /** It concerns this entry alone: the rest arrives, whatever else a server has thought of. */
  #refuse(path: Buffer, refusal: SftpError): void {
    this.#refusals.push(refusal);
    this.#run.report.noteFailed(this.#run.textOf(path), refusal);
  }

  /** The whole listing, so that no handle is held while its files wait for theirs. */
  async #entriesOf(directory: Buffer): Promise<readonly DirectoryEntry[]> {
    const { fileSystem } = this.#run.source;
    const { signal } = this.#run.tasks;
    const entries: DirectoryEntry[] = [];
    await this.#run.slots.acquire(1, signal);
    try {
      const inBackground = (closing: Promise<void>) => this.#run.tasks.add(closing);
      const typesOnly = needsTypesOnly(this.#run.options);
      for await (const batch of fileSystem.list(directory, { signal, inBackground, typesOnly })) {
        entries.push(...batch);
        if (entries.length > MAX_ENTRIES_PER_DIRECTORY) {
          throw tooMuch(fileSystem.textOf(directory), `more than ${MAX_ENTRIES_PER_DIRECTORY} entries`);
        }
      }
    } finally {
      this.#run.slots.release(1);
    }
    return entries;
  }

  async #copyEntry(from: Buffer, { name, info }: DirectoryEntry, branch: Branch): Promise<void> {
    if (readTemporaryName(name))
      return this.#run.skip(from, 'UNFINISHED', 'it is a copy that is not complete');
    const to = this.#run.target.fileSystem.join(branch.to, name);
    const isTold = info.type === 'file' || info.type === 'directory';
    const actual = isTold ? info : await this.#resolve(from, info);
    if (actual === undefined) return;
    const found = { name, from, to, info: actual, isLink: info.type === 'symlink' };
    if (actual.type === 'directory' && !this.#run.options.recurse) return;
    const { filter } = this.#run.options;
    if (filter !== undefined && !(await passes(filter, found, branch))) {
      return this.#run.skip(from, 'FILTERED', 'the filter leaves it out');
    }
    if (actual.type === 'file') await this.#files.start(found, branch.isNew);
    else if (actual.type === 'directory') {
      this.#run.tasks.add(this.#run.guard(from, () => this.#copySubdirectory(found, branch)));
    } else if (actual.type === 'symlink') {
      this.#run.tasks.add(this.#run.guard(from, () => this.#copyLink(found, branch)));
    } else this.#run.skip(from, 'SPECIAL', `it is a ${actual.type}`);
  }

  /** What an entry is, once links are followed and what the listing left out is asked; `undefined`: left out. */
  async #resolve(path: Buffer, info: FileInfo): Promise<FileInfo | undefined> {
    const { fileSystem } = this.#run.source;
    const { signal } = this.#run.tasks;
    const known = info.type === 'unknown' ? await fileSystem.lstat(path, { signal }) : info;
    if (known.type !== 'symlink' || this.#run.options.symlinks === 'copy') return known;
    if (this.#run.options.symlinks === 'skip')
      return this.#run.skip(path, 'SYMLINK', 'it is a symbolic link');
    try {
      return await fileSystem.stat(path, { signal });
    } catch (error) {
      // Links that lead to each other lead nowhere either, and servers make no difference.
      if (!hasCode(error, 'ENOENT', 'ELOOP')) throw error;
      return this.#run.skip(path, 'DANGLING', 'it is a symbolic link that leads nowhere');
    }
  }

  async #copySubdirectory({ from, to, name, info, isLink }: Found, branch: Branch): Promise<void> {
    const { signal } = this.#run.tasks;
    const { ancestors, shown } = branch;
    const text = this.#run.textOf(from);
    const level = branch.level + 1;
    if (level > MAX_DEPTH) throw tooMuch(text, `more than ${MAX_DEPTH} levels of directories`);
    const real = isLink
      ? (await this.#run.source.fileSystem.realPath(from, { signal })).toString('latin1')
      : `${ancestors.at(-1) ?? ''}/${name.toString('latin1')}`;
    if (isLink && ancestors.includes(real)) {
      throw new SftpError('ELOOP', `${quote(text)} is a link to a directory above it, a loop without end`);
    }
    const isNew = await this.#run.target.fileSystem.ensureDirectory(to, { signal });
    this.#run.report.noteDirectory();
    this.#changes.note(to, info, level);
    const path = `${shown}${name.toString('utf8')}/`;
    await this.#copyDirectory({ from, to, shown: path, level, ancestors: [...ancestors, real], isNew });
  }

  async #copyLink({ from, to }: Found, { isNew, level }: Branch): Promise<void> {
    const { overwrite = 'always' } = this.#run.options;
    const { signal } = this.#run.tasks;
    const source = { ...this.#run.source, path: from };
    const left = await copyLink(source, this.#place(to), { overwrite, signal, isFree: isNew, level });
    if (left !== undefined) return this.#run.skip(from, left.code, left.reason);
    const target = this.#run.target.fileSystem.textOf(to);
    this.#run.report.noteCopied({ type: 'symlink', path: this.#run.textOf(from), target, bytes: 0 });
  }

  #place(path: Buffer): Place {
    return { ...this.#run.target, path };
  }
}

/** Whether nobody asks for size, times or mode of an entry before it is copied. */
function needsTypesOnly(options: CopyTreeOptions): boolean {
  const { filter, overwrite = 'always', resume, journal, preserveMode, preserveMtime } = options;
  return overwrite === 'always' && !(filter || resume || journal || preserveMode || preserveMtime);
}

async function passes(filter: TreeFilter, { name, info }: Found, branch: Branch): Promise<boolean> {
  const { type, size, mtime, mode } = info;
  const shown = name.toString('utf8');
  const path = `${branch.shown}${shown}`;
  try {
    return (await filter({ path, name: shown, nameBytes: name, type, size, mtime, mode })) === true;
  } catch (error) {
    throw new CallerError(error);
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
