/**
 * The plan of a mirror, carried out: directories from the top, then files side by side, and only then, from the
 * bottom, what is extra and the permissions of directories.
 */

import { Buffer } from 'node:buffer';
import { withJson } from '../../errors/error-json.js';
import { readable } from '../../errors/readable-error.js';
import { SftpError } from '../../errors.js';
import { forEachLimited } from '../../shared/promises.js';
import { quote } from '../../shared/remote-path.js';
import { isFatal } from '../copy-failure.js';
import { copyFile } from '../copy-file.js';
import type { LineUse } from '../engine/copy-content.js';
import { StoppableGroup } from '../engine/task-group.js';
import { type Place, unlessCode } from '../file-system.js';
import { InPlace } from '../overwriting.js';
import type { Journal } from '../resume/journal.js';
import { leadsOutside } from '../tree/copy-link.js';
import {
  Budget,
  ENTRY_BYTES,
  ERROR_BYTES,
  MAX_ERROR_BYTES,
  MAX_LISTED_BYTES,
} from '../tree/report-budget.js';
import { type FileCount, type FileProgress, TreeProgress } from '../tree/tree-progress.js';
import { modeStepsOf, OWNERS_RIGHTS } from './mirror-modes.js';
import type { MirrorPart } from './mirror-parts.js';
import { isCopied, keyOf, type MirrorStep } from './mirror-step.js';

export interface ExecutionOptions {
  readonly line: LineUse;
  readonly signal?: AbortSignal | undefined;
  readonly atomic: boolean;
  /** What allows no temporary name or no renaming is written in place, and told in the report. */
  readonly mayOverwriteInPlace?: boolean | undefined;
  readonly preserveMtime: boolean;
  readonly preserveMode?: boolean | undefined;
  readonly allowGrowth?: boolean | undefined;
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
  readonly notPreserved: readonly MirrorFailure[];
  readonly bytes: number;
  readonly overwrittenInPlace: readonly string[];
  /** How many entries are missing in these lists. */
  readonly unlisted: number;
}

/** Requests for deletions, directories and links on the way at once. */
const MAX_REQUESTS = 64;

export class Execution {
  readonly #source: Place;
  readonly #target: Place;
  readonly #options: ExecutionOptions;
  readonly #failed: MirrorFailure[] = [];
  readonly #overwrittenInPlace: string[] = [];
  readonly #notPreserved: MirrorFailure[] = [];
  readonly #failures = new Budget(MAX_ERROR_BYTES);
  readonly #refusals = new Budget(MAX_ERROR_BYTES);
  readonly #listed = new Budget(MAX_LISTED_BYTES);
  /** What is carried out at present. */
  #part: MirrorPart = { steps: [], parents: [], work: 'all' };
  /** What need not be done again of it, also where it has failed for good. */
  #settled = new Set<MirrorStep>();
  /** Directories of other parts that have been opened, and those that have got their permissions after their content. */
  #opened = new Set<MirrorStep>();
  #closed = new Set<MirrorStep>();
  /** Directories that could not be made. */
  readonly #failedKeys = new Set<string>();
  readonly #unreadable = new Set<string>();
  readonly #done = { create: 0, update: 0, delete: 0, keep: 0, skip: 0 };
  readonly #progress: TreeProgress;
  /** Of files that have begun. */
  readonly #counts = new Map<MirrorStep, FileCount>();
  #hasTarget: boolean;
  #journal: Journal | undefined;
  #bytesCopied = 0;
  readonly #inPlace: InPlace | undefined;

  constructor(
    {
      source,
      target,
      hasTarget,
    }: { readonly source: Place; readonly target: Place; readonly hasTarget: boolean },
    expected: { readonly files: number; readonly bytes: number },
    options: ExecutionOptions,
  ) {
    this.#source = source;
    this.#target = target;
    this.#hasTarget = hasTarget;
    this.#options = options;
    this.#progress = new TreeProgress(options.onProgress);
    const note = (target: string) => {
      if (this.#listed.takes(ENTRY_BYTES + target.length)) this.#overwrittenInPlace.push(target);
    };
    this.#inPlace = options.mayOverwriteInPlace ? new InPlace({ note, signal: options.signal }) : undefined;
    this.#progress.expect(expected.files, expected.bytes);
  }

  /** Carries out a part of the plan, or all of it. May be called again after the connection was lost. */
  async run(part: MirrorPart, journal: Journal | undefined): Promise<void> {
    this.#journal = journal;
    if (part !== this.#part) this.#begin(part);
    if (!this.#hasTarget) await this.#options.makeTarget();
    this.#hasTarget = true;
    const { opened, files, closed } = modeStepsOf(part.steps);
    const isRequired = part.steps.length > 0;
    const parents = isRequired ? part.parents.filter((step) => !this.#failedKeys.has(keyOf(step))) : [];
    const open = (step: MirrorStep, signal: AbortSignal) => this.#setMode(step, OWNERS_RIGHTS, signal);
    for (const level of levelsOf(parents)) await this.#sideBySide(MAX_REQUESTS, level, open, this.#opened);
    for (const level of levelsOf(part.work === 'delete' ? [] : opened)) {
      await this.#sideBySide(MAX_REQUESTS, level, open);
    }
    for (const level of levelsOf(part.work === 'delete' ? opened : [])) {
      await this.#sideBySide(MAX_REQUESTS, level, open, this.#opened);
    }
    if (part.work !== 'delete') await this.#make(files);
    // What could not be copied may be the only copy of what is extra, under another name.
    const mayDelete = part.work !== 'copy' && this.#failed.length === 0;
    if (mayDelete) await this.#deleteAll((step) => step.reason !== 'type');
    await this.#closeDirectories([...parents, ...closed]);
  }

  /** A directory that could not be listed; each time that the trees are walked it is told again. */
  noteUnreadable(step: MirrorStep, error: unknown): void {
    const key = keyOf(step);
    if (this.#unreadable.has(key)) return;
    if (this.#noteFailure(step, error)) this.#unreadable.add(key);
  }

  /** Whether there was room for it. */
  #noteFailure(step: MirrorStep, error: unknown): boolean {
    if (!this.#failures.takes(ERROR_BYTES + step.pathBytes.length)) return false;
    this.#failed.push({ step, error: withJson(readable(error)) });
    return true;
  }

  #noteRefusal(step: MirrorStep, error: unknown): void {
    if (this.#refusals.takes(ERROR_BYTES + step.pathBytes.length)) this.#notPreserved.push({ step, error });
  }

  get figures(): MirrorFigures {
    const { create: created, update: updated, delete: deleted } = this.#done;
    const [failed, notPreserved] = [this.#failed, this.#notPreserved];
    const overwrittenInPlace = this.#overwrittenInPlace;
    const unlisted = this.#failures.omitted + this.#refusals.omitted + this.#listed.omitted;
    const lists = { failed, notPreserved, overwrittenInPlace, unlisted };
    return { created, updated, deleted, bytes: this.#bytesCopied, ...lists };
  }

  /** A tree without files is told of all the same. */
  finish(): void {
    this.#progress.finish(this.#source.fileSystem.textOf(this.#source.path));
  }

  #begin(part: MirrorPart): void {
    this.#part = part;
    this.#settled = new Set();
    this.#opened = new Set();
    this.#closed = new Set();
    this.#counts.clear();
  }

  async #make(files: readonly MirrorStep[]): Promise<void> {
    await this.#deleteAll((step) => step.reason === 'type');
    await this.#makeDirectories();
    await this.#sideBySide(MAX_REQUESTS, files, (step, signal) => this.#setMode(step, 0, signal));
    await this.#sideBySide(MAX_REQUESTS, this.#steps('symlink'), (step, signal) =>
      this.#copyLink(step, signal),
    );
    await this.#copyFiles();
  }

  #steps(type: MirrorStep['type']): readonly MirrorStep[] {
    return this.#part.steps.filter((step) => step.type === type && isCopied(step));
  }

  /** Files and links first, then directories, the deepest first. */
  async #deleteAll(belongs: (step: MirrorStep) => boolean): Promise<void> {
    const steps = this.#part.steps.filter((step) => step.action === 'delete' && belongs(step));
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

  /** From the bottom, as the permissions of a directory may forbid the way to those below. */
  async #closeDirectories(steps: readonly MirrorStep[]): Promise<void> {
    const there = steps.filter((step) => !this.#failedKeys.has(keyOf(step)));
    for (const level of levelsOf(there).reverse()) {
      const close = (step: MirrorStep, signal: AbortSignal) => this.#setMode(step, 0, signal);
      await this.#sideBySide(MAX_REQUESTS, level, close, this.#closed);
    }
  }

  /** @param more rights beyond those that it has in the end */
  async #setMode(step: MirrorStep, more: number, signal: AbortSignal): Promise<void> {
    const { mode = 0 } = step;
    const changes = { mode: mode | more };
    const error = await this.#target.fileSystem.setAttributes(this.#targetOf(step), changes, { signal });
    const isFinal = changes.mode === mode;
    if (error !== undefined && isFinal) this.#noteRefusal(step, error);
  }

  async #copyLink(step: MirrorStep, signal: AbortSignal): Promise<void> {
    const { fileSystem } = this.#target;
    const to = this.#targetOf(step);
    const text = await this.#source.fileSystem.readLink(this.#sourceOf(step), { signal });
    // It may say something else by now.
    if (leadsOutside(text, keyOf(step).split('/').length - 1)) throw outside(this.#shown(step));
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
    const files = this.#steps('file');
    await this.#sideBySide(max, files, (step, signal, add) => this.#copyFile(step, signal, add));
  }

  async #copyFile(step: MirrorStep, signal: AbortSignal, add: (task: Promise<void>) => void): Promise<void> {
    const { line, atomic, confirm, preserveMtime, preserveMode } = this.#options;
    const count = this.#countOf(step);
    const source = { ...this.#source, path: this.#sourceOf(step) };
    const target = { ...this.#target, path: this.#targetOf(step) };
    const { bytes } = await copyFile(source, target, {
      ...line,
      signal,
      atomic,
      isFree: step.action === 'create',
      inPlace: this.#inPlace,
      refuseLink: true,
      inBackground: add,
      confirm,
      preserveMtime,
      preserveMode,
      allowGrowth: this.#options.allowGrowth,
      onRefusal: (error) => this.#noteRefusal(step, error),
      journal: this.#journal,
      carefulLength: this.#journal?.carefulLength,
      onProgress: (transferred, total) => count.advance(transferred, total),
    });
    this.#bytesCopied += bytes;
    count.finish();
    this.#counts.delete(step);
  }

  /** It goes on where a lost connection has ended the last attempt. */
  #countOf(step: MirrorStep): FileCount {
    const count = this.#counts.get(step) ?? this.#progress.beginExpected(this.#shown(step), step.bytes);
    this.#counts.set(step, count);
    return count;
  }

  /** At most `max` at once; the first failure ends all, unless failures are only to be reported. */
  async #sideBySide(
    max: number,
    steps: readonly MirrorStep[],
    carryOut: (step: MirrorStep, signal: AbortSignal, add: (task: Promise<void>) => void) => Promise<void>,
    settled = this.#settled,
  ): Promise<void> {
    const tasks = new StoppableGroup(this.#options.signal);
    const add = (task: Promise<void>) => tasks.add(task);
    const attempt = async (step: MirrorStep) => {
      try {
        await carryOut(step, tasks.signal, add);
        this.#journal?.noteAdvance();
        if (settled === this.#settled) this.#done[step.action] += 1;
        settled.add(step);
      } catch (error) {
        if (isFatal(error)) throw error;
        if (!this.#options.continueOnError || tasks.beginning.aborted) return tasks.stop(error);
        this.#noteFailure(step, error);
        if (step.type === 'directory') this.#failedKeys.add(keyOf(step));
        settled.add(step);
        this.#counts.get(step)?.abandon();
        this.#counts.delete(step);
      }
    };
    const begin = (step: MirrorStep) => {
      const attempting = attempt(step);
      // With what it adds, so that it fails as one with that.
      tasks.add(attempting);
      return attempting;
    };
    const left = steps.filter((step) => !settled.has(step));
    const all = forEachLimited(left, max, begin, { signal: tasks.beginning });
    tasks.add(all.catch((error) => tasks.stop(error)));
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

function outside(link: string): SftpError {
  return new SftpError(
    'OUTSIDE',
    `The symbolic link ${quote(link)} may lead out of the tree: it is not mirrored`,
  );
}

async function unlessMissing(removing: Promise<void>): Promise<void> {
  await unlessCode(removing, 'ENOENT');
}
