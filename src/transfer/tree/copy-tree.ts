/**
 * A directory and everything below it, from one file system to another. Listing and copying overlap; a
 * directory is there before its content is asked for; many files are under way at once.
 */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { untilAborted } from '../../shared/abort.js';
import { LongWork } from '../../shared/event-loop.js';
import { forEachLimited } from '../../shared/promises.js';
import { pathKey } from '../../shared/remote-path.js';
import { CallerError } from '../caller-error.js';
import { Window } from '../engine/window.js';
import { type DirectoryEntry, type FileInfo, followLink, type Place } from '../file-system.js';
import type { Leftovers } from '../resume/leftovers.js';
import { readTemporaryName } from '../resume/temporary-file.js';
import { Ancestors, checkDepth, checkEntryCount, realPathOf } from './ancestors.js';
import { copyLink } from './copy-link.js';
import { DirectoryChanges } from './directory-changes.js';
import { passes } from './entry-filter.js';
import { EntryNames } from './entry-names.js';
import { type TreeFile, TreeFiles } from './tree-files.js';
import type { TreeReport } from './tree-report.js';
import { type CopyTreeOptions, type TreeFilter, TreeRun } from './tree-run.js';

const NOT_COPIED = ': it is not copied';
/** Directories whose entries are copied at once. */
const MAX_DIRECTORIES = 512;

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
  /** How many directories were found before it. Files of few directories at a time are under way, the earliest ones. */
  readonly order: number;
  /** Only where links are followed. */
  readonly ancestors: Ancestors | undefined;
  /** Nothing is in the target yet. */
  readonly isNew: boolean;
}

/** What a name in a directory stands for, on both sides. */
interface Found extends TreeFile {
  readonly name: Buffer;
  readonly isLink: boolean;
}

class TreeCopy {
  readonly #run: TreeRun;
  readonly #files: TreeFiles;
  readonly #changes: DirectoryChanges;
  readonly #directories = new Window({ max: MAX_DIRECTORIES });
  /** Directories of the target that were there before. */
  readonly #existing: Buffer[] = [];
  /** Entries whose names are refused. */
  readonly #refusals: SftpError[] = [];
  /** Directories below the root that have been found so far. */
  #found = 0;

  constructor(run: TreeRun) {
    this.#run = run;
    this.#files = new TreeFiles(run);
    this.#changes = new DirectoryChanges(run.target.fileSystem, run.options);
  }

  async run(): Promise<TreeReport> {
    const run = this.#run;
    const { path: from } = run.source;
    const { isNew = false, continueOnError } = run.options;
    const root = { from, to: run.target.path, shown: '', level: 0, order: 0, isNew };
    // Where it really lies matters only for what is below it, so that both are asked for at once.
    const entries = this.#entriesOf(from, 0);
    const listing = entries.then(
      () => {},
      () => {},
    );
    run.tasks.add(listing);
    run.tasks.add(
      this.#rootAncestors()
        .then((ancestors) => this.#copyDirectory({ ...root, ancestors }, entries))
        .catch((error) => run.stop(error)),
    );
    await run.tasks.settle();
    await this.#tidyBehind();
    await this.#changes.apply({
      slots: run.slots,
      guard: (path, work) => run.guard(path, work),
      onRefusal: (path, error) => run.report.noteNotPreserved(run.textOf(path), error),
    });
    run.progress.finish(run.textOf(from));
    if (!continueOnError) throwRefusals(this.#refusals);
    return run.report.finish();
  }

  async #tidyBehind(): Promise<void> {
    const { options, slots } = this.#run;
    const { leftovers, resume, signal } = options;
    const resumes = resume !== undefined;
    const tidy = async (directory: Buffer) =>
      leftovers?.tidyBehind(this.#place(directory), { signal, resumes });
    await forEachLimited(this.#existing, slots.max, tidy, { signal });
  }

  async #rootAncestors(): Promise<Ancestors | undefined> {
    if (this.#run.options.symlinks !== 'follow') return undefined;
    return new Ancestors(await realPathOf(this.#run.source, { signal: this.#run.tasks.beginning }));
  }

  async #copyDirectory(branch: Branch, entries = this.#entriesOf(branch.from, branch.order)): Promise<void> {
    const { beginning: signal } = this.#run.tasks;
    const { leftovers, atomic, resume } = this.#run.options;
    if (atomic && !branch.isNew) {
      this.#existing.push(branch.to);
      // What is resumed must still be there when its turn has come.
      if (!resume) this.#run.tasks.add(tidied(leftovers, this.#place(branch.to), signal));
    }
    await this.#copyEntries(branch, await entries);
  }

  async #copyEntries(branch: Branch, batches: Batches): Promise<void> {
    const { beginning: signal } = this.#run.tasks;
    const names = new EntryNames(this.#run.target.fileSystem, this.#run.textOf(branch.from));
    const work = new LongWork();
    for await (const batch of batches) {
      for (const entry of batch) {
        const pause = work.step();
        if (pause !== undefined) await pause;
        signal.throwIfAborted();
        const objection = names.objectionTo(entry.name);
        if (objection === 'repeated') continue;
        const from = this.#run.source.fileSystem.join(branch.from, entry.name);
        try {
          if (objection !== undefined) this.#refuse(from, objection);
          else await this.#copyEntry(from, entry, branch);
        } catch (error) {
          this.#run.noteFailure(from, error);
        }
      }
    }
  }

  /** It concerns this entry alone: the rest arrives, whatever else a server has thought of. */
  #refuse(path: Buffer, refusal: SftpError): void {
    this.#refusals.push(refusal);
    this.#run.report.noteFailed(this.#run.textOf(path), refusal);
  }

  /** What the listing gives, bit by bit; a handle is only held until it has begun, while files wait for theirs. */
  #entriesOf(directory: Buffer, order: number): Promise<Batches> {
    const { fileSystem } = this.#run.source;
    const { beginning: signal } = this.#run.tasks;
    const open = async () => {
      const inBackground = (closing: Promise<void>) => this.#run.tasks.add(closing);
      const typesOnly = needsTypesOnly(this.#run.options);
      const batches = fileSystem.list(directory, { signal, inBackground, typesOnly })[Symbol.asyncIterator]();
      return counted(fileSystem.textOf(directory), await batches.next(), batches);
    };
    return this.#run.slots.use(1, signal, open, order);
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
    const { signal } = this.#run.tasks;
    if (filter !== undefined && !(await untilAborted(chooses(filter, found, branch), signal))) {
      return this.#run.skip(from, 'FILTERED', 'the filter leaves it out');
    }
    if (actual.type === 'file') await this.#files.start(found, branch.isNew, branch.order);
    else if (actual.type === 'directory') {
      await this.#enter(from, found, branch);
    } else if (actual.type === 'symlink') {
      this.#run.tasks.add(this.#run.guard(from, () => this.#copyLink(found, branch)));
    } else this.#run.skip(from, 'SPECIAL', `it is a ${actual.type}`);
  }

  /** Beside the others as long as these are few; else at once, so that none of them has to be kept in mind. */
  async #enter(from: Buffer, found: Found, branch: Branch): Promise<void> {
    const copying = () => this.#run.guard(from, () => this.#copySubdirectory(found, branch));
    if (!this.#directories.tryAcquire(1)) return copying();
    this.#run.tasks.add(copying().finally(() => this.#directories.release(1)));
  }

  /** What an entry is, once links are followed and what the listing left out is asked; `undefined`: left out. */
  async #resolve(path: Buffer, info: FileInfo): Promise<FileInfo | undefined> {
    const { fileSystem } = this.#run.source;
    const { beginning: signal } = this.#run.tasks;
    const known = info.type === 'unknown' ? await fileSystem.lstat(path, { signal }) : info;
    if (known.type !== 'symlink' || this.#run.options.symlinks === 'copy') return known;
    if (this.#run.options.symlinks === 'skip')
      return this.#run.skip(path, 'SYMLINK', 'it is a symbolic link');
    const target = await followLink({ fileSystem, path }, { signal });
    return target ?? this.#run.skip(path, 'DANGLING', 'it is a dangling symbolic link');
  }

  async #copySubdirectory({ from, to, name, info, isLink }: Found, branch: Branch): Promise<void> {
    const { beginning: signal } = this.#run.tasks;
    const text = this.#run.textOf(from);
    const level = branch.level + 1;
    this.#found += 1;
    const order = this.#found;
    checkDepth(level, text, NOT_COPIED);
    const source = { ...this.#run.source, path: from };
    const below = isLink
      ? branch.ancestors?.through(text, await realPathOf(source, { signal }))
      : branch.ancestors?.below(pathKey(name));
    const isNew = await this.#run.target.fileSystem.ensureDirectory(to, { signal });
    await this.#open(to, info, isNew);
    this.#run.report.noteDirectory();
    this.#changes.note({ from, to, info, level });
    const shown = `${branch.shown}${name.toString('utf8')}/`;
    await this.#copyDirectory({ from, to, shown, level, order, ancestors: below, isNew });
  }

  /** A directory that has got the mode of a read-only one before takes files again; it gets its mode in the end. */
  async #open(directory: Buffer, { mode }: FileInfo, isNew: boolean): Promise<void> {
    if (isNew || !this.#run.options.preserveMode || mode === undefined || (mode & 0o200) !== 0) return;
    const { target, tasks } = this.#run;
    const changes = { mode: target.fileSystem.permitted(mode) | 0o700 };
    await target.fileSystem.setAttributes(directory, changes, { signal: tasks.beginning });
  }

  async #copyLink({ from, to }: Found, { isNew, level }: Branch): Promise<void> {
    const { overwrite = 'always' } = this.#run.options;
    const { beginning: signal } = this.#run.tasks;
    const source = { ...this.#run.source, path: from };
    const left = await copyLink(source, this.#place(to), { overwrite, signal, isFree: isNew, level });
    if (left !== undefined) return this.#run.skip(from, left.code, left.reason);
    const target = this.#run.target.fileSystem.textOf(to);
    this.#run.noteCopied({ type: 'symlink', path: this.#run.textOf(from), target, bytes: 0 });
  }

  #place(path: Buffer): Place {
    return { ...this.#run.target, path };
  }
}

type Batches = AsyncIterable<readonly DirectoryEntry[]>;

async function* counted(
  directory: string,
  first: IteratorResult<readonly DirectoryEntry[]>,
  batches: AsyncIterator<readonly DirectoryEntry[]>,
): AsyncGenerator<readonly DirectoryEntry[], void, undefined> {
  let count = 0;
  try {
    for (let next = first; next.done !== true; next = await batches.next()) {
      count += next.value.length;
      checkEntryCount(count, directory, NOT_COPIED);
      yield next.value;
    }
  } finally {
    await batches.return?.();
  }
}

/** Whether nobody asks for size, times or mode of an entry before it is copied. */
function needsTypesOnly(options: CopyTreeOptions): boolean {
  const { filter, overwrite = 'always', resume, journal, preserveMode, preserveMtime } = options;
  return overwrite === 'always' && !(filter || resume || journal || preserveMode || preserveMtime);
}

async function chooses(filter: TreeFilter, { name, info }: Found, branch: Branch): Promise<boolean> {
  const { type, size, mtime, mode } = info;
  const shown = name.toString('utf8');
  const path = `${branch.shown}${shown}`;
  try {
    return await passes(filter, { path, name: shown, nameBytes: name, type, size, mtime, mode });
  } catch (error) {
    throw new CallerError(error);
  }
}

/** That it cannot be done is no failure of the copy. */
async function tidied(
  leftovers: Leftovers | undefined,
  directory: Place,
  signal: AbortSignal,
): Promise<void> {
  await leftovers?.tidy(directory, { signal }).catch(() => {});
}

function throwRefusals([first, ...others]: readonly SftpError[]): void {
  if (first === undefined) return;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  throw new SftpError(first.code, `${first.message}${more}; everything else has been copied`);
}
