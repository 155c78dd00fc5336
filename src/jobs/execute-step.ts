/** Carries out one step of a plan. It may be tried often, and by several workers. */
import { Buffer } from 'node:buffer';
import type { Sides } from '../connection/sides.js';
import type { ProgressCallback } from '../connection/transfer-options.js';
import { type Connection, sidesOf } from '../connection.js';
import { SftpError, TransferError } from '../errors.js';
import { checkChoice } from '../shared/arguments.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import { namesOf, quote, type RemotePath, relativePathOf } from '../shared/remote-path.js';
import { type FileInfo, hasCode, type Place, unlessCode } from '../transfer/file-system.js';
import { leadsOutside } from '../transfer/tree/copy-link.js';
import { type Completion, completeSource, isCompleted } from './completion.js';
import { tellStep } from './events.js';
import { isSame, lookAt, stateOf } from './state.js';
import { parseStep, pathBytesOf, type Step } from './step.js';

/** Options of {@link executeStep}. */
export interface ExecuteStepOptions {
  /** As the plan was made: `up` from a local directory to the server, `down` the other way. */
  readonly direction: 'up' | 'down';
  /** The directory that the step's path is below: local for `up`. */
  readonly source: RemotePath;
  readonly target: RemotePath;
  /**
   * What becomes of the source once the target has the file: nothing; it is deleted; or it is moved below another directory
   * of its side, where it keeps its path below the source directory. If that name is taken, a part of the step's id is
   * appended. A source that has changed meanwhile stays. Default: `none`.
   */
  readonly complete?: Completion | undefined;
  /** Called when the target has the file, and before the source is touched; the step fails if it rejects. */
  readonly onArrived?: ((step: Step) => void | Promise<void>) | undefined;
  /**
   * Who holds the job, for partial files: the same owner resumes at once on any machine. Default: the step's id. Others
   * resume when the file was not written to for an hour by the server's clock.
   */
  readonly owner?: string | undefined;
  /**
   * The number of the attempt, from 1, for events. With 1 the target directory need not be listed for each step to find what an
   * earlier attempt has left: what is known of it may be half a minute old. Default: not known, it is listed.
   */
  readonly attempt?: number | undefined;
  /** The name of the server, for events. */
  readonly server?: string | undefined;
  readonly callback?: ProgressCallback | undefined;
  /** Ends the step with the signal's reason. What has arrived of the file stays, for the next attempt. */
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS: OptionTable<ExecuteStepOptions> = {
  ...{
    direction: 'checked',
    source: 'checked',
    target: 'checked',
    complete: 'checked',
    onArrived: 'function',
  },
  ...{ owner: 'string', attempt: 'number', server: 'string', callback: 'function', signal: 'signal' },
};

/** What a step has come to. */
export interface StepResult {
  /** `already`: an earlier attempt or another worker had done it. `skipped`: the step says to leave it alone. */
  readonly outcome: 'done' | 'already' | 'skipped';
  /** Content that travelled in this attempt. */
  readonly bytes: number;
  readonly durationMs: number;
  /** Whether the source was deleted or moved, by this attempt or by an earlier one. */
  readonly completed: boolean;
}

type Outcome = Pick<StepResult, 'outcome' | 'completed'>;

/**
 * Carries out one step. It can be repeated: what is done is not done again (`already`), and what a killed attempt has left
 * is resumed. A file appears under its name only when it is complete. Missing directories above it are made. Two workers
 * that carry out the same step at the same time do not harm each other's files: one of them ends with `already`.
 *
 * @throws TransferError (`SOURCE_CHANGED`) the source is not what the plan saw; (`TARGET_CHANGED`) the target is not: it
 *   stays as it is in both cases; plan again; (`OVERTAKEN`) another worker with the same owner goes on with the file: try
 *   again, which ends with `already` when that one is done
 * @throws TypeError the step or an option is invalid
 *
 * @example
 * const worker = new Worker('steps', async ({ data }) => {
 *   await using lease = await pool.lease(server);
 *   await executeStep(lease.connection, data, { direction: 'down', source: '/outgoing', target: 'incoming' });
 * });
 */
export async function executeStep(
  connection: Connection,
  step: Step,
  options: ExecuteStepOptions,
): Promise<StepResult> {
  checkOptions(options ?? {}, OPTIONS, { of: 'executeStep' });
  checkChoice(options?.direction, ['up', 'down'], 'direction');
  checkCompletion(options.complete);
  const checked = parseStep(step);
  const { direction, source, target, attempt, server } = options;
  const { id, action, path, pathBase64 } = checked;
  const event = { id, action, path, pathBase64, direction, server, attempt };
  const startMs = performance.now();
  const elapsed = () => Math.round(performance.now() - startMs);
  tellStep({ event: 'start', ...event });
  using sides = sidesOf(connection, { source, target, direction, followsLinks: false });
  const execution = new StepExecution(sides, checked, options);
  try {
    const result = await execution.run();
    const [{ bytes }, durationMs] = [execution, elapsed()];
    const bytesPerSecond = Math.round((bytes * 1000) / Math.max(1, durationMs));
    tellStep({ event: 'end', ...event, outcome: result.outcome, durationMs, bytes, bytesPerSecond });
    return { ...result, bytes, durationMs };
  } catch (error) {
    const { bytes } = execution;
    const { code, message = String(error) } = (error ?? {}) as { code?: string; message?: string };
    tellStep({ event: 'end', ...event, outcome: 'failed', durationMs: elapsed(), bytes, code, message });
    throw error;
  }
}

function checkCompletion(complete: Completion | undefined): void {
  if (complete === undefined || complete === 'none' || complete === 'delete') return;
  const isMove = typeof complete === 'object' && complete !== null && complete.move !== undefined;
  if (!isMove) throw new TypeError("complete must be 'none', 'delete' or { move: directory }");
}

class StepExecution {
  readonly #sides: Sides;
  readonly #step: Step;
  readonly #options: ExecuteStepOptions;
  readonly #source: Place;
  readonly #target: Place;
  bytes = 0;

  constructor(sides: Sides, step: Step, options: ExecuteStepOptions) {
    this.#sides = sides;
    this.#step = step;
    this.#options = options;
    const path = pathBytesOf(step);
    const below = (place: Place) => ({ ...place, path: place.fileSystem.join(place.path, path) });
    this.#source = below(sides.source);
    this.#target = below(sides.target);
  }

  async run(): Promise<Outcome> {
    const { action, type } = this.#step;
    this.#options.signal?.throwIfAborted();
    if (action === 'keep' || action === 'skip') return { outcome: 'skipped', completed: false };
    this.#checkName();
    if (action === 'delete') return this.#delete();
    if (type === 'directory') return this.#makeDirectory();
    if (type === 'symlink') return this.#makeLink();
    if (type === 'file') return this.#copy();
    throw new TypeError(`A step cannot make a ${type}`);
  }

  get #asking(): { readonly signal: AbortSignal | undefined } {
    return { signal: this.#options.signal };
  }

  /** A plan need not be ours, and the names of a server may mean something else here. */
  #checkName(): void {
    const { fileSystem } = this.#target;
    for (const name of pathBytesOf(this.#step).toString('latin1').split('/')) {
      const objection = fileSystem.objectionTo(Buffer.from(name, 'latin1'));
      if (objection !== undefined) {
        throw new SftpError('UNSAFE_NAME', `${quote(this.#target.path)} is refused, as ${objection}`);
      }
    }
  }

  async #copy(): Promise<Outcome> {
    const step = this.#step;
    const canTell = !(step.was?.type === 'file' && isSame(step.was, step));
    const there = await lookAt(this.#target, this.#asking);
    if (canTell && there !== undefined && isSame(stateOf(there), step)) {
      if ((this.#options.attempt ?? 1) > 1) await this.#discard();
      return this.#already();
    }
    const info = await this.#checkSource();
    this.#checkTarget(there);
    if (there === undefined) await this.#makeParents();
    const overwrite = step.was !== null;
    const copying = this.#sides.copy(this.#source.path, this.#target.path, {
      ...this.#asking,
      owner: this.#owner,
      resume: canTell,
      mayBeRepeated: this.#options.attempt !== 1,
      fsync: this.#completes && this.#target.fileSystem.isLocal,
      overwrite,
      beforeRename: async () => this.#checkTarget(await lookAt(this.#target, this.#asking)),
      callback: (transferred, total, speed) => {
        this.bytes = transferred;
        this.#options.callback?.(transferred, total, speed);
      },
    });
    try {
      await copying;
    } catch (error) {
      if (canTell && (await this.#hasLost(error))) return this.#already();
      throw await this.#explained(error, { overwrite });
    }
    if (canTell && info.mtime !== undefined) await this.#checkSourceAfter();
    return { outcome: 'done', completed: await this.#complete() };
  }

  /** Whether another worker was faster with the same step, and that is why this attempt has failed. */
  async #hasLost(error: unknown): Promise<boolean> {
    if (!(await this.#isDone())) return false;
    // Nobody comes back for what it has left.
    await this.#discard();
    return hasCode(error, 'EEXIST', 'ENOENT', 'TARGET_CHANGED', 'FAILURE', 'VANISHED');
  }

  /** What the failure of a copy means for the step. */
  async #explained(error: unknown, { overwrite }: { readonly overwrite: boolean }): Promise<unknown> {
    if (await this.#isOvertaken(error)) {
      const what = 'another worker has gone on with what was written; try again';
      return this.#failure('OVERTAKEN', this.#target, what, error);
    }
    return hasCode(error, 'EEXIST') && !overwrite
      ? this.#targetChanged('there is something by now', error)
      : error;
  }

  /** Whether only what was being written is gone: another worker with the same owner has gone on with it. */
  async #isOvertaken(error: unknown): Promise<boolean> {
    if (!hasCode(error, 'ENOENT', 'VANISHED')) return false;
    const { fileSystem, path } = this.#target;
    const directory = { ...this.#target, path: fileSystem.split(path).directory };
    const looking = Promise.all([lookAt(this.#source, {}, 'stat'), lookAt(directory, {}, 'stat')]);
    const [source, parent] = await looking.catch(() => []);
    return source !== undefined && isSame(stateOf(source), this.#step) && parent?.type === 'directory';
  }

  get #owner(): string {
    return this.#options.owner ?? this.#step.id;
  }

  /** What an attempt has left of a file that another one has completed. At best effort: the file is there. */
  async #discard(): Promise<void> {
    await this.#sides.discard(this.#target.path, this.#owner, undefined).catch(() => {});
  }

  get #completes(): boolean {
    const { complete = 'none' } = this.#options;
    return complete !== 'none';
  }

  /** After a failure, so that the signal may have aborted, and the connection may be lost. */
  async #isDone(): Promise<boolean> {
    const there = await lookAt(this.#target, {}).catch(() => undefined);
    return there !== undefined && isSame(stateOf(there), this.#step);
  }

  /** An attempt may have ended between the arrival and what becomes of the source. */
  async #already(): Promise<Outcome> {
    const { complete = 'none' } = this.#options;
    if (complete === 'none') return { outcome: 'already', completed: false };
    const source = await lookAt(this.#source, this.#asking, 'stat');
    if (source === undefined) {
      const completed = await isCompleted(this.#sides.source, this.#step, complete, this.#asking);
      return { outcome: 'already', completed };
    }
    await this.#checkSource();
    return { outcome: 'already', completed: await this.#complete() };
  }

  async #complete(): Promise<boolean> {
    const { complete = 'none', onArrived } = this.#options;
    await onArrived?.(this.#step);
    if (complete === 'none') return false;
    const source = await lookAt(this.#source, this.#asking, 'stat');
    // Another worker was faster.
    if (source === undefined) return isCompleted(this.#sides.source, this.#step, complete, this.#asking);
    await this.#checkSource();
    await completeSource(this.#sides.source, this.#step, complete, this.#asking);
    return true;
  }

  async #checkSource(): Promise<FileInfo> {
    const info = await lookAt(this.#source, this.#asking, 'stat');
    if (info === undefined) throw this.#sourceChanged('it is gone');
    if (!isSame(stateOf(info), this.#step)) throw this.#sourceChanged('size, time or type differ');
    return info;
  }

  /** What arrived is only what the plan meant if the source still is. One that is gone was read to its end. */
  async #checkSourceAfter(): Promise<void> {
    if ((await lookAt(this.#source, this.#asking, 'stat')) !== undefined) await this.#checkSource();
  }

  #checkTarget(there: FileInfo | undefined): void {
    const { was } = this.#step;
    if (was === null) {
      if (there !== undefined) throw this.#targetChanged('there was nothing, and there is something now');
      return;
    }
    if (there === undefined) throw this.#targetChanged('it is gone');
    const state = stateOf(there);
    if (was.type === 'file' ? !isSame(state, was) : state.type !== was.type) {
      throw this.#targetChanged('size, time or type differ');
    }
  }

  async #delete(): Promise<Outcome> {
    const { fileSystem, path } = this.#target;
    const there = await lookAt(this.#target, this.#asking);
    if (there === undefined) return { outcome: 'already', completed: false };
    this.#checkTarget(there);
    const removing =
      there.type === 'directory'
        ? fileSystem.removeDirectory(path, this.#asking)
        : fileSystem.removeFile(path, this.#asking);
    await unlessCode(removing, 'ENOENT');
    return { outcome: 'done', completed: false };
  }

  async #makeDirectory(): Promise<Outcome> {
    const source = await lookAt(this.#source, this.#asking, 'stat');
    if (source?.type !== 'directory') throw this.#sourceChanged('it is no directory any more');
    const there = await lookAt(this.#target, this.#asking);
    if (there?.type === 'directory') return { outcome: 'already', completed: false };
    this.#checkTarget(there);
    await this.#makeParents();
    const isNew = await this.#target.fileSystem.ensureDirectory(this.#target.path, this.#asking);
    return { outcome: isNew ? 'done' : 'already', completed: false };
  }

  async #makeLink(): Promise<Outcome> {
    const { fileSystem, path } = this.#target;
    const text = await unlessCode(
      this.#source.fileSystem.readLink(this.#source.path, this.#asking),
      'ENOENT',
    );
    if (text === undefined) throw this.#sourceChanged('it is gone');
    if (leadsOutside(text, namesOf(pathBytesOf(this.#step)).length - 1)) {
      throw new SftpError(
        'OUTSIDE',
        `The symbolic link ${quote(this.#source.path)} may lead out of the directory`,
      );
    }
    const there = await lookAt(this.#target, this.#asking);
    const old = there?.type === 'symlink' ? await fileSystem.readLink(path, this.#asking) : undefined;
    if (old?.equals(text)) return { outcome: 'already', completed: false };
    this.#checkTarget(there);
    if (there !== undefined) await unlessCode(fileSystem.removeFile(path, this.#asking), 'ENOENT');
    else await this.#makeParents();
    await fileSystem.makeLink(text, path, this.#asking);
    return { outcome: 'done', completed: false };
  }

  async #makeParents(): Promise<void> {
    const { target } = this.#sides;
    const { fileSystem } = target;
    const names = namesOf(pathBytesOf(this.#step)).slice(0, -1);
    const parents = names.map((_, index) =>
      fileSystem.join(target.path, relativePathOf(names.slice(0, index + 1))),
    );
    const last = parents.at(-1) ?? target.path;
    if ((await lookAt({ fileSystem, path: last }, this.#asking, 'stat')) !== undefined) return;
    await this.#sides.makeTarget(this.#options.signal);
    for (const path of parents) await fileSystem.ensureDirectory(path, this.#asking);
  }

  #sourceChanged(why: string): TransferError {
    return this.#failure(
      'SOURCE_CHANGED',
      this.#source,
      `the source is not what was planned: ${why}; plan again`,
    );
  }

  #targetChanged(why: string, cause?: unknown): TransferError {
    const what = `the target is not what was planned: ${why}; plan again`;
    return this.#failure('TARGET_CHANGED', this.#target, what, cause);
  }

  #failure(code: string, at: Place, what: string, cause?: unknown): TransferError {
    const [source, destination] = [this.#source, this.#target].map(({ fileSystem, path }) =>
      fileSystem.textOf(path),
    );
    const path = at.fileSystem.textOf(at.path);
    return new TransferError(`Cannot carry out the step for ${quote(path)}: ${what}`, {
      code,
      side: at.fileSystem.isLocal ? 'local' : 'remote',
      path,
      source: source ?? '',
      destination: destination ?? '',
      bytesDone: this.bytes,
      cause,
    });
  }
}
