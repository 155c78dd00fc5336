/** One copy of a tree: what the way through its directories and the copies of its files share. */
import type { Buffer } from 'node:buffer';
import type { FileType } from '../../wire/attributes.js';
import { isFatal } from '../copy-failure.js';
import type { CopyFileOptions } from '../copy-file.js';
import { StoppableGroup } from '../engine/task-group.js';
import { Window } from '../engine/window.js';
import type { Place } from '../file-system.js';
import { InPlace } from '../overwriting.js';
import type { Leftovers } from '../resume/leftovers.js';
import type { EntryFilter } from './entry-filter.js';
import { type FileProgress, TreeProgress } from './tree-progress.js';
import { type CopiedEntry, ReportWriter, type SkipCode } from './tree-report.js';

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
    | 'mode'
    | 'allowGrowth'
    | 'overwrite'
    | 'resume'
    | 'owner'
    | 'journal'
  > {
  /** Links: copy what they lead to, leave them out, or make links of them. */
  readonly symlinks: 'follow' | 'skip' | 'copy';
  /** The target has just been made, and nothing is in it. */
  readonly isNew?: boolean | undefined;
  /** False: the files of the directory itself only. */
  readonly recurse: boolean;
  /** False leaves an entry out, a directory with everything below it. */
  readonly filter?: TreeFilter | undefined;
  /** Notes what fails in the report and goes on with the rest. */
  readonly continueOnError?: boolean | undefined;
  /** Removes from the target's directories what dead programs have left there. */
  readonly leftovers?: Leftovers | undefined;
  /** What allows no temporary name or no renaming is written in place, and told in the report. Default: an error. */
  readonly mayOverwriteInPlace?: boolean | undefined;
  readonly onProgress?: ((transferred: number, total: number, file: FileProgress) => void) | undefined;
  /** Hears of every file and link that has been copied. */
  readonly onFile?: ((file: CopiedEntry) => void) | undefined;
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

export type TreeFilter = EntryFilter<TreeEntry>;

export class TreeRun {
  readonly source: Place;
  readonly target: Place;
  readonly options: CopyTreeOptions;
  readonly tasks: StoppableGroup;
  /** Open files and directories. */
  readonly slots: Window;
  readonly report = new ReportWriter();
  readonly progress: TreeProgress;
  readonly inPlace: InPlace | undefined;

  constructor(source: Place, target: Place, options: CopyTreeOptions) {
    this.source = source;
    this.target = target;
    this.options = options;
    this.tasks = new StoppableGroup(options.signal);
    const { concurrency = Number.POSITIVE_INFINITY } = options;
    const max = Math.min(source.fileSystem.maxOpenFiles, target.fileSystem.maxOpenFiles, concurrency);
    this.slots = new Window({ max });
    this.progress = new TreeProgress(options.onProgress);
    const note = (target: string) => this.report.noteInPlace(target);
    this.inPlace = options.mayOverwriteInPlace
      ? new InPlace({ note, signal: this.tasks.beginning })
      : undefined;
  }

  /** A path of the source, for people. */
  textOf(path: Buffer): string {
    return this.source.fileSystem.textOf(path);
  }

  /** With `continueOnError` a failure concerns one entry, unless nothing can go on after it. */
  async guard(path: Buffer, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.noteFailure(path, error);
    }
  }

  /** Where the copy does not go on nothing more begins, and what is under way ends in its own way. */
  noteFailure(path: Buffer, error: unknown): void {
    if (this.goesOnAfter(error)) this.report.noteFailed(this.textOf(path), error);
    else this.stop(error);
  }

  /** Throws where nothing can go on. */
  stop(error: unknown): void {
    if (isFatal(error)) throw error;
    this.tasks.stop(error);
  }

  goesOnAfter(error: unknown): boolean {
    return this.options.continueOnError === true && !isFatal(error) && !this.tasks.beginning.aborted;
  }

  noteCopied(entry: CopiedEntry): void {
    this.report.noteCopied(entry);
    this.options.onFile?.(entry);
  }

  skip(path: Buffer, code: SkipCode, reason: string): undefined {
    this.report.noteSkipped(this.textOf(path), code, reason);
  }
}
