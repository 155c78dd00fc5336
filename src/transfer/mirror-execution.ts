/**
 * The plan of a mirror, carried out: directories from the top, then files side by side, and only then, from the
 * bottom, what is extra.
 */

import { Buffer } from 'node:buffer';
import { NEVER } from '../abort.js';
import type { LineUse } from './copy-content.js';
import { isFatal } from './copy-failure.js';
import { copyFile } from './copy-file.js';
import { isMissing, type Place } from './file-system.js';
import type { Journal } from './journal.js';
import { keyOf, type MirrorStep } from './mirror-plan.js';
import { TaskGroup } from './task-group.js';
import { type FileCount, type FileProgress, TreeProgress } from './tree-progress.js';
import { Window } from './window.js';

export interface ExecutionOptions {
  readonly line: LineUse;
  readonly signal?: AbortSignal | undefined;
  readonly atomic: boolean;
  readonly preserveMtime: boolean;
  readonly continueOnError: boolean;
  /** Makes the target where it is not. */
  readonly makeTarget: () => Promise<void>;
  /** Asks what has arrived under a path of the target, as for one file. */
  readonly confirm?: ((path: Buffer) => Promise<{ readonly size: number | undefined }>) | undefined;
  readonly onProgress?: ((transferred: number, total: number, file: FileProgress) => void) | undefined;
}

/** What could not be done. */
export interface MirrorFailure {
  readonly step: MirrorStep;
  readonly error: unknown;
}

/** What was done, in figures. */
export interface MirrorFigures {
  readonly created: number;
  readonly updated: number;
  readonly deleted: number;
  readonly failed: readonly MirrorFailure[];
  readonly bytes: number;
}

/** Requests for deletions, directories and links on the way at once. */
const MAX_REQUESTS = 64;

export class Execution {
  readonly #source: Place;
  readonly #target: Place;
  readonly #plan: readonly MirrorStep[];
  readonly #options: ExecutionOptions;
  readonly #failed: MirrorFailure[] = [];
  /** What need not be done again, also where it has failed for good. */
  readonly #settled = new Set<MirrorStep>();
  readonly #done = { create: 0, update: 0, delete: 0, keep: 0, skip: 0 };
  readonly #progress: TreeProgress;
  readonly #files: ReadonlyMap<MirrorStep, FileCount>;
  #hasTarget: boolean;
  #journal: Journal | undefined;
  #bytesCopied = 0;

  constructor(
    {
      source,
      target,
      hasTarget,
    }: { readonly source: Place; readonly target: Place; readonly hasTarget: boolean },
    plan: readonly MirrorStep[],
    options: ExecutionOptions,
  ) {
    this.#source = source;
    this.#target = target;
    this.#hasTarget = hasTarget;
    this.#plan = plan;
    this.#options = options;
    this.#progress = new TreeProgress(options.onProgress);
    this.#files = new Map(
      this.#steps('file').map((step) => [step, this.#progress.begin(this.#shown(step), step.bytes)]),
    );
  }

  /** May be called again after the connection was lost. */
  async run(journal: Journal | undefined): Promise<MirrorFigures> {
    this.#journal = journal;
    if (!this.#hasTarget) await this.#options.makeTarget();
    this.#hasTarget = true;
    await this.#deleteAll((step) => step.reason === 'type');
    await this.#makeDirectories();
    await this.#sideBySide(MAX_REQUESTS, this.#steps('symlink'), (step, signal) =>
      this.#copyLink(step, signal),
    );
    await this.#copyFiles();
    // What could not be copied may be the only copy of what is extra, under another name.
    if (this.#failed.length === 0) await this.#deleteAll((step) => step.reason !== 'type');
    const { create: created, update: updated, delete: deleted } = this.#done;
    return { created, updated, deleted, failed: this.#failed, bytes: this.#bytesCopied };
  }

  #steps(type: MirrorStep['type']): readonly MirrorStep[] {
    return this.#plan.filter((step) => step.type === type && isCopied(step));
  }

  /** Files and links first, then directories, the deepest first. */
  async #deleteAll(belongs: (step: MirrorStep) => boolean): Promise<void> {
    const steps = this.#plan.filter((step) => step.action === 'delete' && belongs(step));
    const { fileSystem } = this.#target;
    const leaves = steps.filter(({ type }) => type !== 'directory');
    await this.#sideBySide(MAX_REQUESTS, leaves, (step, signal) =>
      unlessMissing(fileSystem.removeFile(this.#targetOf(step), { signal })),
    );
    for (const level of levelsOf(steps.filter(({ type }) => type === 'directory')).reverse()) {
      await this.#sideBySide(MAX_REQUESTS, level, (step, signal) =>
        unlessMissing(fileSystem.removeDirectory(this.#targetOf(step), { signal })),
      );
    }
  }

  async #makeDirectories(): Promise<void> {
    for (const level of levelsOf(this.#steps('directory'))) {
      await this.#sideBySide(MAX_REQUESTS, level, async (step, signal) => {
        await this.#target.fileSystem.ensureDirectory(this.#targetOf(step), { signal });
      });
    }
  }

  async #copyLink(step: MirrorStep, signal: AbortSignal): Promise<void> {
    const { fileSystem } = this.#target;
    const to = this.#targetOf(step);
    const text = await this.#source.fileSystem.readLink(this.#sourceOf(step), { signal });
    if (step.action === 'update') await unlessMissing(fileSystem.removeFile(to, { signal }));
    await fileSystem.makeLink(text, to, { signal }).catch(async (error) => {
      // An attempt whose answer was lost has made it already.
      const existing = await fileSystem.readLink(to, { signal }).catch(() => undefined);
      if (!existing?.equals(text)) throw error;
    });
  }

  async #copyFiles(): Promise<void> {
    const { concurrency = Number.POSITIVE_INFINITY } = this.#options.line;
    const [source, target] = [this.#source.fileSystem, this.#target.fileSystem];
    const max = Math.min(source.maxOpenFiles, target.maxOpenFiles, concurrency);
    await this.#sideBySide(max, [...this.#files.keys()], (step, signal, add) =>
      this.#copyFile(step, signal, add),
    );
    this.#progress.finish(this.#source.fileSystem.textOf(this.#source.path));
  }

  async #copyFile(step: MirrorStep, signal: AbortSignal, add: (task: Promise<void>) => void): Promise<void> {
    const { line, atomic, confirm, preserveMtime } = this.#options;
    const count = this.#files.get(step);
    const source = { ...this.#source, path: this.#sourceOf(step) };
    const target = { ...this.#target, path: this.#targetOf(step) };
    const { bytes } = await copyFile(source, target, {
      ...line,
      signal,
      callerSignal: this.#options.signal ?? NEVER,
      atomic,
      isFree: step.action === 'create',
      refuseLink: true,
      inBackground: add,
      confirm,
      preserveMtime,
      journal: this.#journal,
      onProgress: (transferred, total) => {
        this.#journal?.noteAdvance();
        count?.advance(transferred, total);
      },
    });
    this.#bytesCopied += bytes;
    count?.finish();
  }

  /** At most `max` at once; the first failure ends all, unless failures are only to be reported. */
  async #sideBySide(
    max: number,
    steps: readonly MirrorStep[],
    carryOut: (step: MirrorStep, signal: AbortSignal, add: (task: Promise<void>) => void) => Promise<void>,
  ): Promise<void> {
    const tasks = new TaskGroup(this.#options.signal);
    const slots = new Window({ max });
    const add = (task: Promise<void>) => tasks.add(task);
    const attempt = async (step: MirrorStep) => {
      try {
        await carryOut(step, tasks.signal, add);
        this.#done[step.action] += 1;
        this.#settled.add(step);
      } catch (error) {
        if (!this.#options.continueOnError || tasks.signal.aborted || isFatal(error)) throw error;
        this.#failed.push({ step, error });
        this.#settled.add(step);
        this.#files.get(step)?.abandon();
      }
    };
    const addAll = async () => {
      for (const step of steps) {
        if (this.#settled.has(step)) continue;
        await slots.acquire(1, tasks.signal);
        tasks.add(attempt(step).finally(() => slots.release(1)));
      }
    };
    tasks.add(addAll());
    await tasks.settle();
  }

  #shown(step: MirrorStep): string {
    return this.#source.fileSystem.textOf(this.#sourceOf(step));
  }

  #sourceOf({ pathBytes }: MirrorStep): Buffer {
    return this.#source.fileSystem.join(this.#source.path, Buffer.from(pathBytes));
  }

  #targetOf({ pathBytes }: MirrorStep): Buffer {
    return this.#target.fileSystem.join(this.#target.path, Buffer.from(pathBytes));
  }
}

function isCopied({ action }: MirrorStep): boolean {
  return action === 'create' || action === 'update';
}

/** Those of one depth together, the topmost first. */
function levelsOf(steps: readonly MirrorStep[]): MirrorStep[][] {
  const levels = new Map<number, MirrorStep[]>();
  for (const step of steps) {
    const depth = keyOf(step).split('/').length;
    const level = levels.get(depth) ?? [];
    level.push(step);
    levels.set(depth, level);
  }
  return [...levels].sort(([one], [other]) => one - other).map(([, level]) => level);
}

async function unlessMissing(removing: Promise<void>): Promise<void> {
  await removing.catch((error) => {
    if (!isMissing(error)) throw error;
  });
}
