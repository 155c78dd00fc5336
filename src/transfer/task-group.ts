import { onAbort } from '../abort.js';

/**
 * Work that goes on side by side and fails as one: the first failure aborts the rest, and nothing is left
 * running when the group has settled.
 */
export class TaskGroup {
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #callOff: () => void;

  /** @param signal aborts the group from outside */
  constructor(signal?: AbortSignal) {
    if (signal?.aborted) this.fail(signal.reason);
    this.#callOff = onAbort(signal, (reason) => this.fail(reason));
  }

  /** For everything that the tasks do: it is aborted with the first failure. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Lets a task run beside the others. */
  add(task: Promise<void>): void {
    const tracked = task.catch((error) => this.fail(error)).finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  fail(reason: unknown): void {
    this.#abort.abort(reason);
  }

  /** Resolves when all tasks, and those that they added, are done. Rejects with the first failure, also only then. */
  async settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    this.#callOff();
    this.#abort.signal.throwIfAborted();
  }
}
