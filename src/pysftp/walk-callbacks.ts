/** What `walktree` calls, on a server and on the local disk. */
import { kindOf } from '../shared/arguments.js';
import { byCodePoint } from '../shared/code-point-order.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';

/** Gets the path of an entry; a promise is awaited before the next entry. */
export type WalkCallback = (path: string) => unknown;

/** Options of `walktree`. */
export interface WalktreeOptions {
  /** False: the entries of the directory itself only. Default: true. */
  readonly recurse?: boolean | undefined;
  /** Ends the walk with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const WALKTREE_OPTIONS: OptionTable<WalktreeOptions> = {
  recurse: 'boolean',
  signal: 'signal',
};

/**
 * Options as pysftp has them (`recurse` alone, as a boolean or 0 or 1) or as an object.
 *
 * @throws TypeError where they are neither
 */
export function walktreeOptions(options: boolean | 0 | 1 | WalktreeOptions): WalktreeOptions {
  if (typeof options === 'boolean' || options === 0 || options === 1) return { recurse: Boolean(options) };
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`recurse must be true or false, or an object with options, not ${kindOf(options)}`);
  }
  checkOptions(options, WALKTREE_OPTIONS, { of: 'walktree' });
  return options;
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
