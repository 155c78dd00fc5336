/** The local twins of `Connection.cd` and `Connection.walktree`. */
import { readdir, realpath, stat } from 'node:fs/promises';
import { sep } from 'node:path';
import { readable } from '../errors/readable-error.js';
import { byCodePoint } from '../shared/code-point-order.js';
import { checkLocalPath } from '../shared/local-path.js';
import { hasCode } from '../transfer/file-system.js';
import { Ancestors, checkDepth, loop } from '../transfer/tree/ancestors.js';
import {
  checkCallbacks,
  type WalkCallback,
  type WalktreeOptions,
  walktreeOptions,
} from './walk-callbacks.js';

/** What brings back the directory that was current before. */
export interface Restorer extends Disposable, AsyncDisposable {}

/**
 * Changes the current directory of this process for a while. With a function, for as long as that runs (its
 * promise, where it gives one), whether it returns or throws; without one, until the result is disposed of.
 * Without a path it only marks the place to come back to.
 *
 * A process has one current directory: whatever runs meanwhile, runs there too. Prefer absolute paths where
 * things go on side by side.
 *
 * @throws Error Node's own (`ENOENT`, `ENOTDIR`) where there is no such directory; nothing has changed then.
 *
 * @example
 * await cd('docs', async () => {
 *   await sftp.put('readme.txt');
 * });
 *
 * @example
 * {
 *   using _ = cd('docs');
 *   await sftp.put('readme.txt');
 * }
 */
export function cd(localpath?: string): Restorer;
export function cd<T>(body: () => T): T;
export function cd<T>(localpath: string, body: () => T): T;
export function cd<T>(localpath?: string | (() => T), body?: () => T): T | Restorer {
  const path = typeof localpath === 'function' ? undefined : localpath;
  const run = typeof localpath === 'function' ? localpath : body;
  const before = process.cwd();
  const restore = () => process.chdir(before);
  if (run !== undefined) checkCallbacks({ body: run });
  if (path !== undefined) changeDirectory(checkLocalPath(path));
  if (run !== undefined) return runThen(run, restore);
  return { [Symbol.dispose]: restore, [Symbol.asyncDispose]: async () => restore() };
}

function changeDirectory(path: string): void {
  try {
    process.chdir(path);
  } catch (error) {
    throw readable(error);
  }
}

function runThen<T>(body: () => T, restore: () => void): T {
  let result: T;
  try {
    result = body();
  } catch (error) {
    restore();
    throw error;
  }
  if (result instanceof Promise) return result.finally(restore) as T;
  restore();
  return result;
}

/**
 * Walks a local directory, depth first and sorted by name: `fcallback` gets each regular file, `dcallback` each
 * directory before its content, `ucallback` whatever is neither, as a FIFO or a dangling symlink. Links
 * are followed. The directory itself is not reported. Callbacks may be async and are awaited one by one; the
 * first that fails ends the walk.
 *
 * @throws SftpError (`ELOOP`) where a link leads to a directory above it.
 * @throws Error Node's own where a directory cannot be read.
 *
 * @example
 * await walktree('docs', (file) => console.log(file), () => {}, () => {});
 */
export async function walktree(
  localpath: string,
  fcallback: WalkCallback,
  dcallback: WalkCallback,
  ucallback: WalkCallback,
  options: boolean | 0 | 1 | WalktreeOptions = {},
): Promise<void> {
  checkLocalPath(localpath);
  checkCallbacks({ fcallback, dcallback, ucallback });
  const { recurse = true, signal } = walktreeOptions(options);
  const callbacks = { fcallback, dcallback, ucallback, recurse, signal };
  await walkDirectory(localpath, new Ancestors(await realPathOf(localpath)), callbacks);
}

const realPathOf = (path: string) => realpath(path).catch(refuse);

function refuse(error: unknown): never {
  throw readable(error);
}

interface Walk {
  readonly fcallback: WalkCallback;
  readonly dcallback: WalkCallback;
  readonly ucallback: WalkCallback;
  readonly recurse: boolean;
  readonly signal: AbortSignal | undefined;
}

async function walkDirectory(directory: string, ancestors: Ancestors, walk: Walk, depth = 1): Promise<void> {
  const names = await readdir(directory).catch(refuse);
  for (const name of names.sort(byCodePoint)) {
    walk.signal?.throwIfAborted();
    const path = /[/\\]$/.test(directory) ? directory + name : directory + sep + name;
    const stats = await stat(path).catch((error) => {
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
      if (hasCode(error, 'ELOOP')) throw loop(path, error);
      throw readable(error);
    });
    if (stats?.isDirectory()) {
      await walk.dcallback(path);
      if (!walk.recurse) continue;
      const below = ancestors.through(path, await realPathOf(path));
      checkDepth(depth, path, ' above it');
      await walkDirectory(path, below, walk, depth + 1);
    } else await (stats?.isFile() ? walk.fcallback : walk.ucallback)(path);
  }
}
