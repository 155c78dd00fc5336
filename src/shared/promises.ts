/** Promises that are settled from outside, and work that is done one after the other or so much at once. */
import { FirstOf } from './abort.js';

export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: unknown): void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve: (value: T) => void = () => {};
  let reject: (reason: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Tasks that run one after the other, in the order of the calls. */
export class SerialQueue {
  readonly #endsWithFailure: boolean;
  #last: Promise<unknown> = Promise.resolve();

  /** @param endsWithFailure whether nothing runs after a task that failed: what follows rejects with the same reason */
  constructor({ endsWithFailure = false }: { readonly endsWithFailure?: boolean } = {}) {
    this.#endsWithFailure = endsWithFailure;
  }

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task);
    const settled = result.catch(() => {});
    this.#last = this.#endsWithFailure ? result : settled;
    return result;
  }
}

/** Promises that have not settled yet. */
export class PendingPromises {
  readonly #promises = new Set<Promise<unknown>>();

  get size(): number {
    return this.#promises.size;
  }

  /** Gives the promise itself. */
  add<T>(promise: Promise<T>): Promise<T> {
    const remove = () => {
      this.#promises.delete(promise);
    };
    this.#promises.add(promise);
    promise.then(remove, remove);
    return promise;
  }

  /** Resolves when all that have been added so far have settled, also where some of them have failed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#promises);
  }
}

type Items<T> = Iterable<T> | AsyncIterable<T>;

/**
 * Works on each item, with at most `max` under way at once. After the first failure nothing more begins, and the signal
 * of the work aborts; rejects with that failure when nothing is running any more.
 *
 * @param items a function gets the signal too, for items whose source would make it wait
 */
export async function forEachLimited<T>(
  items: Items<T> | ((signal: AbortSignal) => Items<T>),
  max: number,
  work: (item: T, signal: AbortSignal) => Promise<void>,
  { signal: outside }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  using end = new FirstOf(outside);
  const { signal } = end;
  const all = typeof items === 'function' ? items(signal) : items;
  const iterator = Symbol.iterator in all ? all[Symbol.iterator]() : all[Symbol.asyncIterator]();
  const worker = async () => {
    while (!signal.aborted) {
      const next = await iterator.next();
      if (next.done === true || signal.aborted) return;
      await work(next.value, signal);
    }
  };
  const fail = (error: unknown) => end.fail(error);
  await Promise.all(Array.from({ length: max }, () => worker().catch(fail)));
  if (signal.aborted) await iterator.return?.();
  signal.throwIfAborted();
}
