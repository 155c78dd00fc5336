/** Promises that are settled from outside, and work that is done one after the other. */

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
