/** What `walktree` calls, on a server and on the local disk. */
import { byCodePoint } from './code-point-order.js';

/** Gets the path of an entry; a promise is awaited before the next entry. */
export type WalkCallback = (path: string) => unknown;

/** Options of `walktree`. */
export interface WalktreeOptions {
  /** False: the entries of the directory itself only. Default: true. */
  readonly recurse?: boolean | undefined;
  /** Ends the walk with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Options as pysftp has them (`recurse` alone) or as an object. */
export function walktreeOptions(options: boolean | WalktreeOptions): WalktreeOptions {
  return typeof options === 'boolean' ? { recurse: options } : options;
}

/** @throws TypeError where one is no function. */
export function checkCallbacks(callbacks: Readonly<Record<string, unknown>>): void {
  for (const [name, callback] of Object.entries(callbacks)) {
    if (typeof callback !== 'function')
      throw new TypeError(`${name} must be a function, not ${typeof callback}`);
  }
}

/**
 * Collects what `walktree` reports, in three sorted lists. Its callbacks may be handed over as they are.
 *
 * @example
 * const found = new WTCallbacks();
 * await sftp.walktree('pub', found.fileCb, found.dirCb, found.unkCb);
 * found.flist;   // ['pub/example/readme.txt', 'pub/readme.txt']
 */
export class WTCallbacks {
  readonly #files: string[] = [];
  readonly #directories: string[] = [];
  readonly #unknown: string[] = [];

  /** Takes a regular file. */
  readonly fileCb = (path: string): void => void this.#files.push(path);
  /** Takes a directory. */
  readonly dirCb = (path: string): void => void this.#directories.push(path);
  /** Takes whatever is neither. */
  readonly unkCb = (path: string): void => void this.#unknown.push(path);

  /** The files so far, sorted by code point. */
  get flist(): string[] {
    return this.#files.toSorted(byCodePoint);
  }

  /** The directories so far, sorted by code point. */
  get dlist(): string[] {
    return this.#directories.toSorted(byCodePoint);
  }

  /** What is neither, sorted by code point. */
  get ulist(): string[] {
    return this.#unknown.toSorted(byCodePoint);
  }
}
