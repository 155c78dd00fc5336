import { onAbort } from '../../shared/abort.js';
import { type Deferred, deferred } from '../../shared/promises.js';

/**
 * Work that goes on side by side and fails as one: the first failure aborts the rest, and nothing is left
 * running when the group has settled.
 */
export class TaskGroup {
  readonly #abort = new AbortController();
  /** For everything that the tasks do: it is aborted with the first failure. */
  readonly signal: AbortSignal = this.#abort.signal;
  readonly #callOff: () => void;
  #running = 0;
  /** A failure of a task that says more about what the group was aborted for. */
  #explanation: unknown;
  /** For those who wait for the last task. */
  #idle: Deferred<void> | undefined;

  /** @param signal aborts the group from outside */
  constructor(signal?: AbortSignal) {
    if (signal?.aborted) this.fail(signal.reason);
    this.#callOff = onAbort(signal, (reason) => this.fail(reason));
  }

  /** Lets a task run beside the others. */
  add(task: Promise<void>): void {
    this.#running += 1;
    task.then(this.#onDone, this.#onFailure);
  }

  readonly #onDone = (): void => {
    this.#running -= 1;
    if (this.#running > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  };

  readonly #onFailure = (error: unknown): void => {
    this.fail(error);
    if (error instanceof Error && error.cause === this.signal.reason) this.#explanation ??= error;
    this.#onDone();
  };

  fail(reason: unknown): void {
    this.#abort.abort(reason);
  }

  /** Resolves when all tasks, and those that they added, are done. Rejects with the first failure, also only then. */
  async settle(): Promise<void> {
    while (this.#running > 0) {
      this.#idle ??= deferred();
      await this.#idle.promise;
    }
    this.#callOff();
    if (this.#explanation !== undefined) throw this.#explanation;
    this.signal.throwIfAborted();
  }
}

/**
 * A group in which a failure may be the matter of one task: after {@link stop} nothing more begins, and what is under
 * way comes to its end.
 */
export class StoppableGroup extends TaskGroup {
  readonly #stop = new AbortController();
  /** For whatever would begin something: aborted by `stop`, and with {@link TaskGroup.signal}. */
  readonly beginning: AbortSignal = AbortSignal.any([this.#stop.signal, this.signal]);

  /** {@link settle} rejects with the first reason. */
  stop(reason: unknown): void {
    this.#stop.abort(reason);
  }

  override async settle(): Promise<void> {
    await super.settle();
    this.beginning.throwIfAborted();
  }
}

/** What all of them come to. Rejects with the first failure, when none of them is under way any more. */
export async function together<T>(tasks: readonly Promise<T>[]): Promise<readonly T[]> {
  const results = await Promise.allSettled(tasks);
  return results.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}
