/** The files of a tree: many at once, each as the rules of the tree say. */
import type { Buffer } from 'node:buffer';
import { type CopyFileOptions, copyFile } from '../copy-file.js';
import type { FileInfo, Place } from '../file-system.js';
import { findReasonToKeep, KEEP_REASONS, type Overwrite, ruleFor } from '../overwriting.js';
import { sourceMark } from '../resume/temporary-file.js';
import type { FileCount } from './tree-progress.js';
import type { TreeRun } from './tree-run.js';

/** A file that has been found, and where it goes. */
export interface TreeFile {
  readonly from: Buffer;
  readonly to: Buffer;
  /** Links followed, where they are to be. */
  readonly info: FileInfo;
}

export class TreeFiles {
  readonly #run: TreeRun;

  constructor(run: TreeRun) {
    this.#run = run;
  }

  /**
   * Resolves as soon as there is room for it, and lets it run beside the others.
   *
   * @param isFree nothing is in its place, as the directory is new
   * @param order of its directory: the files of earlier ones go first
   */
  async start(found: TreeFile, isFree: boolean, order: number): Promise<void> {
    const { beginning } = this.#run.tasks;
    beginning.throwIfAborted();
    if (!this.#run.slots.tryAcquire(1)) await this.#run.slots.acquire(1, beginning, order);
    this.#run.tasks.add(this.#copyInSlot(found, isFree));
  }

  async #copyInSlot({ from, to, info }: TreeFile, isFree: boolean): Promise<void> {
    const { options, slots } = this.#run;
    const { journal } = options;
    const source = { ...this.#run.source, path: from };
    const target = { ...this.#run.target, path: to };
    const path = this.#run.textOf(from);
    const progress = this.#run.progress.begin(path, info.size ?? 0);
    try {
      const isKept = this.#mayKeep(target, isFree) && (await this.#keeps(source, target, info));
      if (isKept || journal?.isDone(target, sourceMark(from, info))) progress.complete();
      else {
        await copyFile(source, target, this.#optionsFor(path, info, isFree, progress));
        journal?.noteDone(target, sourceMark(from, info));
      }
      progress.finish();
      if (isKept) return;
      const { bytes } = progress;
      this.#run.noteCopied({ type: 'file', path, target: target.fileSystem.textOf(to), bytes });
    } catch (error) {
      if (this.#run.goesOnAfter(error)) progress.abandon();
      this.#run.noteFailure(from, error);
    } finally {
      slots.release(1);
    }
  }

  #optionsFor(path: string, known: FileInfo, isFree: boolean, progress: FileCount): CopyFileOptions {
    const { tasks, options } = this.#run;
    const { journal } = options;
    // Named one by one: what is copied with `...` for every file costs more than all the rest of this.
    return {
      window: options.window,
      throttle: options.throttle,
      concurrency: options.concurrency,
      channels: options.channels,
      atomic: options.atomic,
      inPlace: this.#run.inPlace,
      confirm: options.confirm,
      fsync: options.fsync,
      preserveMtime: options.preserveMtime,
      preserveMode: options.preserveMode,
      mode: options.mode,
      allowGrowth: options.allowGrowth,
      resume: options.resume,
      owner: options.owner,
      journal,
      signal: tasks.signal,
      isFree,
      known,
      // The other rules have been followed by now.
      overwrite: options.overwrite === 'never' ? 'never' : 'always',
      refuseLink: true,
      inBackground: this.#inBackground,
      onRefusal: (error) => this.#run.report.noteNotPreserved(path, error),
      carefulLength: journal?.carefulLength,
      onProgress: (bytes, total) => progress.advance(bytes, total),
    };
  }

  /** The slot of a file is for the next one by then: the server closes in the order of asking. */
  readonly #inBackground = (closing: Promise<void>): void => this.#run.tasks.add(closing);

  #mayKeep(target: Place, isFree: boolean): boolean {
    return !isFree && this.#rule() !== 'always' && !this.#run.options.journal?.hasPartial(target);
  }

  /** Whether what is there stays, which is noted then. */
  async #keeps(source: Place, target: Place, info: FileInfo): Promise<boolean> {
    const reason = await findReasonToKeep(info, target, this.#rule(), this.#run.tasks);
    if (reason === undefined) return false;
    this.#run.skip(source.path, reason, KEEP_REASONS[reason]);
    return true;
  }

  #rule(): Overwrite {
    const { overwrite, resume } = this.#run.options;
    return ruleFor(overwrite, { resumes: resume !== undefined });
  }
}
