/**
 * One directory made like another, whichever side either is on: both are listed, a plan is made, and the plan is
 * carried out: directories from the top, then files side by side, and only then, from the bottom, what is extra.
 */
import { Buffer } from 'node:buffer';
import { ConnectionLostError, ProtocolError } from '../errors.js';
import { copyFile } from './copy-file.js';
import { isMissing, type Place } from './file-system.js';
import type { Journal } from './journal.js';
import { findDifferences, type MirrorComparison } from './mirror-comparison.js';
import { listBoth } from './mirror-listing.js';
import { byDepthFirst, type MirrorEntry, type MirrorStep, planMirror } from './mirror-plan.js';
import { TaskGroup } from './task-group.js';
import type { FileProgress } from './tree-progress.js';
import { Window } from './window.js';

export interface MirrorTreeOptions {
  /** Bytes in flight. */
  readonly window: Window;
  readonly signal?: AbortSignal | undefined;
  readonly delete: boolean;
  readonly dryRun: boolean;
  readonly compare: MirrorComparison;
  readonly symlinks: 'follow' | 'copy' | 'skip';
  readonly filter?: ((entry: MirrorEntry) => boolean) | undefined;
  readonly atomic: boolean;
  readonly preserveMtime: boolean;
  readonly continueOnError: boolean;
  /** Whether the target is there. */
  readonly hasTarget: boolean;
  /** Makes the target where it is not. */
  readonly makeTarget: () => Promise<void>;
  /** Asks what has arrived under a path of the target, as for one file. */
  readonly confirm?: ((path: Buffer) => Promise<{ readonly size: number | undefined }>) | undefined;
  readonly onProgress?: ((transferred: number, total: number, file: FileProgress) => void) | undefined;
  /** Tries again what only the connection has kept from working; what is done is not done again. */
  readonly persist?: (<T>(attempt: (journal: Journal | undefined) => Promise<T>) => Promise<T>) | undefined;
}

/** What could not be done. */
export interface MirrorFailure {
  readonly step: MirrorStep;
  readonly error: unknown;
}

/** What a mirror has done, or would do. */
export interface MirrorReport {
  /** Nothing was changed: this is what would be. */
  readonly dryRun: boolean;
  /** Every path, sorted, with what was planned for it and why. */
  readonly plan: readonly MirrorStep[];
  /** Files, directories and links that were made anew. */
  readonly created: number;
  /** Files and links that were there already, and have been replaced. */
  readonly updated: number;
  readonly deleted: number;
  /** What stays as it is. */
  readonly kept: number;
  /** What was left alone; `reason` tells why. */
  readonly skipped: readonly MirrorStep[];
  /** What could not be done, where the mirror went on in spite of it. */
  readonly failed: readonly MirrorFailure[];
  /** Content that was copied. */
  readonly bytes: number;
  /** How long it took, in milliseconds. */
  readonly duration: number;
}

/** Makes the content of the directory `target` that of `source`. */
export async function mirrorTree(
  source: Place,
  target: Place,
  options: MirrorTreeOptions,
): Promise<MirrorReport> {
  const startMs = performance.now();
  const { persist = (attempt) => attempt(undefined) } = options;
  const { plan, abandoned } = await persist(() => makePlan(source, target, options));
  if (!options.dryRun) await removeAbandoned(target, abandoned, options);
  const execution = new Execution(source, target, plan, options);
  const done = options.dryRun ? promised(plan) : await persist((journal) => execution.run(journal));
  return {
    dryRun: options.dryRun,
    plan,
    kept: plan.filter(({ action }) => action === 'keep').length,
    skipped: plan.filter(({ action }) => action === 'skip'),
    ...done,
    duration: Math.round(performance.now() - startMs),
  };
}

async function makePlan(
  source: Place,
  target: Place,
  options: MirrorTreeOptions,
): Promise<{ readonly plan: readonly MirrorStep[]; readonly abandoned: readonly Buffer[] }> {
  const { delete: mayDelete, hasTarget, symlinks, filter, signal, window, compare } = options;
  const listings = await listBoth(source, target, {
    signal,
    symlinks,
    withExtras: mayDelete,
    hasTarget,
    filter,
  });
  const sides = { source, target, window, signal };
  const differences = await findDifferences(listings.source, listings.target, compare, sides);
  const steps = planMirror(listings.source, listings.target, {
    delete: mayDelete,
    differences,
    held: listings.held,
  });
  const plan = [...steps, ...listings.refused].sort((left, right) => byDepthFirst(keyOf(left), keyOf(right)));
  return { plan, abandoned: listings.abandoned };
}

/** At best effort: what cannot be removed is found again. */
async function removeAbandoned(
  { fileSystem }: Place,
  abandoned: readonly Buffer[],
  { signal }: MirrorTreeOptions,
): Promise<void> {
  for (const path of abandoned) await fileSystem.removeFile(path, { signal }).catch(() => {});
}

type Done = Pick<MirrorReport, 'created' | 'updated' | 'deleted' | 'failed' | 'bytes'>;

function promised(plan: readonly MirrorStep[]): Done {
  const count = (action: MirrorStep['action']) => plan.filter((step) => step.action === action).length;
  return {
    created: count('create'),
    updated: count('update'),
    deleted: count('delete'),
    failed: [],
    bytes: bytesOf(plan),
  };
}

function bytesOf(plan: readonly MirrorStep[]): number {
  return plan.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Requests for deletions, directories and links on the way at once. */
const MAX_REQUESTS = 64;

class Execution {
  readonly #source: Place;
  readonly #target: Place;
  readonly #plan: readonly MirrorStep[];
  readonly #options: MirrorTreeOptions;
  readonly #failed: MirrorFailure[] = [];
  /** What need not be done again, also where it has failed for good. */
  readonly #settled = new Set<MirrorStep>();
  readonly #done = { create: 0, update: 0, delete: 0, keep: 0, skip: 0 };
  readonly #files: readonly MirrorStep[];
  readonly #begun = new Set<MirrorStep>();
  #hasTarget: boolean;
  #journal: Journal | undefined;
  #filesDone = 0;
  #bytesCopied = 0;
  /** What was sent, as the progress tells it: what is sent again counts again. */
  #bytesDone = 0;
  #bytesKnown: number;

  constructor(source: Place, target: Place, plan: readonly MirrorStep[], options: MirrorTreeOptions) {
    this.#source = source;
    this.#target = target;
    this.#plan = plan;
    this.#options = options;
    this.#hasTarget = options.hasTarget;
    this.#files = plan.filter((step) => step.type === 'file' && isCopied(step));
    this.#bytesKnown = bytesOf(plan);
  }

  /** May be called again after the connection was lost. */
  async run(journal: Journal | undefined): Promise<Done> {
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
    const max = Math.min(this.#source.fileSystem.maxOpenFiles, this.#target.fileSystem.maxOpenFiles);
    await this.#sideBySide(max, this.#files, (step, signal, add) => this.#copyFile(step, signal, add));
    if (this.#files.length === 0) {
      const path = this.#source.fileSystem.textOf(this.#source.path);
      this.#options.onProgress?.(0, 0, { path, bytes: 0, filesDone: 0, filesKnown: 0 });
    }
  }

  async #copyFile(step: MirrorStep, signal: AbortSignal, add: (task: Promise<void>) => void): Promise<void> {
    const { window, atomic, confirm, preserveMtime } = this.#options;
    const source = { ...this.#source, path: this.#sourceOf(step) };
    const target = { ...this.#target, path: this.#targetOf(step) };
    let reported = 0;
    let expected = step.bytes;
    if (this.#begun.has(step)) this.#bytesKnown += expected;
    this.#begun.add(step);
    try {
      const { bytes } = await copyFile(source, target, {
        window,
        signal,
        atomic,
        isFree: step.action === 'create',
        refuseLink: true,
        inBackground: add,
        confirm,
        preserveMtime,
        journal: this.#journal,
        onProgress: (bytes, total) => {
          this.#journal?.noteAdvance();
          this.#bytesDone += bytes - reported;
          this.#bytesKnown += total - expected;
          reported = bytes;
          expected = total;
          this.#report(source, bytes);
        },
      });
      this.#bytesCopied += bytes;
    } catch (error) {
      // What does not come any more is not waited for.
      this.#bytesKnown -= expected - reported;
      throw error;
    }
    this.#filesDone += 1;
    this.#report(source, reported);
  }

  #report({ fileSystem, path }: Place, bytes: number): void {
    this.#options.onProgress?.(this.#bytesDone, this.#bytesKnown, {
      path: fileSystem.textOf(path),
      bytes,
      filesDone: this.#filesDone,
      filesKnown: this.#files.length,
    });
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

  #sourceOf({ pathBytes }: MirrorStep): Buffer {
    return this.#source.fileSystem.join(this.#source.path, Buffer.from(pathBytes));
  }

  #targetOf({ pathBytes }: MirrorStep): Buffer {
    return this.#target.fileSystem.join(this.#target.path, Buffer.from(pathBytes));
  }
}

/** The path byte by byte. */
function keyOf({ pathBytes }: MirrorStep): string {
  return Buffer.from(pathBytes).toString('latin1');
}

function isCopied({ action }: MirrorStep): boolean {
  return action === 'create' || action === 'update';
}

/** There is nobody left to go on with. */
function isFatal(error: unknown): boolean {
  return error instanceof ConnectionLostError || error instanceof ProtocolError;
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
