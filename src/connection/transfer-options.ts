/** Options of transfers, checked and made complete. */
import { checkCallback, checkChoice } from '../arguments.js';
import { type RetryOptions, type RetryPolicy, retryPolicy } from '../retry.js';
import { resolveSpeed, type Speed, type SpeedOptions } from '../speed.js';
import type { Overwrite } from '../transfer/overwriting.js';
import type { TransferSpeed } from '../transfer/progress.js';
import type { FileProgress } from '../transfer/tree-progress.js';
import type { TreeEntry } from '../transfer/tree-run.js';

/**
 * Called as bytes arrive: never backwards, and the last time with `transferred === total`. What it throws ends the
 * transfer, and comes out as it was thrown.
 */
export type ProgressCallback = (transferred: number, total: number, speed: TransferSpeed) => void;

/** The same figures over all files of a tree, and the file that has just moved on. */
export type TreeProgressCallback = (
  transferred: number,
  total: number,
  file: FileProgress & TransferSpeed,
) => void;

/** Options that every transfer shares. */
export interface TransferOptions extends SpeedOptions {
  /**
   * Ends the transfer: the promise rejects with the signal's reason at once, nothing half-written is left where it
   * is atomic, and the connection stays usable.
   */
  readonly signal?: AbortSignal | undefined;
  /** Gives the copy the modification time of the source. Default: false, and true with `resume`. */
  readonly preserveMtime?: boolean | undefined;
  /**
   * Gives the copy the permissions of the source, of which set-uid, set-gid and the sticky bit never count, nor, on
   * the local disk, what the umask forbids. Default: false; what replaces a file has that file's permissions.
   */
  readonly preserveMode?: boolean | undefined;
  /**
   * Gathers the bytes under a temporary name beside the target, and renames when all is there: whoever looks
   * sees the old file or the new one, whole. Needs `posix-rename@openssh.com` on the server; without it the old
   * file steps aside for the moment of the renaming. Default: true for downloads, false for uploads.
   */
  readonly atomic?: boolean | undefined;
  /** Waits until the content is on the disk before the copy counts as complete. Default: false. */
  readonly fsync?: boolean | undefined;
  /**
   * What to do where the target is there already: replace it (`'always'`, `true`), leave it (`'never'`, `false`),
   * replace it where the source is `'newer'`, or `'different'` in size or time. Default: true.
   */
  readonly overwrite?: boolean | Overwrite | undefined;
  /**
   * Goes on where an earlier transfer of the same file has stopped, also that of an earlier run of the program. The
   * source must have the same path, size and time, and what is there is compared with it: all of it by SHA-256 where
   * the server has `check-file-handle`; otherwise its first and last 256 KiB, and eight places of 32 KiB between
   * them, chosen at random, which find for certain only damage that spans a quarter. Where anything differs, it begins
   * anew. A transfer that fails leaves beside the target what it has, for as long as a week; after a crash the last
   * 32 MiB of that are copied again. What is complete, by size and time, is not copied again. It is always `atomic`.
   * Default: false.
   */
  readonly resume?: boolean | undefined;
  /**
   * As the option of {@link connect}, for this transfer: a lost connection is made again, and the transfer goes on
   * from where it was. Default: what `connect` was given.
   */
  readonly retry?: RetryOptions | false | undefined;
}

export interface GetOptions extends TransferOptions {
  readonly callback?: ProgressCallback | undefined;
}

export interface PutOptions extends TransferOptions {
  readonly callback?: ProgressCallback | undefined;
  /** Asks the server for the size of what has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
}

export interface TreeOptions extends TransferOptions {
  readonly callback?: TreeProgressCallback | undefined;
  /**
   * What to do with symbolic links: copy what they lead to (`follow`), leave them out (`skip`), or make links of
   * them (`copy`), save for those that lead out of the tree. Default: `follow` for downloads, `skip` for uploads.
   */
  readonly symlinks?: 'follow' | 'skip' | 'copy' | undefined;
  /**
   * False leaves an entry out, and a directory with everything below it. What it throws ends the transfer, and comes
   * out as it was thrown.
   *
   * @example
   * await sftp.putR('project', 'backup', { filter: ({ name }) => name !== 'node_modules' });
   */
  readonly filter?: ((entry: TreeEntry) => boolean | Promise<boolean>) | undefined;
  /**
   * Goes on with the rest where an entry cannot be copied; the report tells what has `failed`. A lost connection
   * ends the transfer all the same. Default: false, the first failure ends it; save that a name that is not safe, or
   * is taken here for another one, only keeps its own entry out, and the call rejects with it (`UNSAFE_NAME`,
   * `NAME_COLLISION`) when everything else has arrived.
   */
  readonly continueOnError?: boolean | undefined;
}

export interface PutTreeOptions extends TreeOptions {
  /** Asks the server for the size of each file that has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
}

/** What is the same for a file and a tree, in either direction. */
export interface ResolvedTransfer {
  readonly atomic: boolean;
  readonly preserveMtime: boolean;
  readonly preserveMode: boolean;
  readonly fsync: boolean;
  readonly overwrite: Overwrite;
  readonly resumes: boolean;
  /** `undefined`: a lost connection ends it. */
  readonly retry: RetryPolicy | undefined;
  readonly speed: Speed;
}

const OVERWRITE: readonly Overwrite[] = ['always', 'never', 'newer', 'different'];

/** What holds where the options of a transfer leave it open. */
export interface TransferDefaults {
  readonly atomic: boolean;
  readonly retry: RetryPolicy | undefined;
  readonly speed: SpeedOptions;
}

/** @throws TypeError | RangeError where an option cannot be meant; nothing is sent then. */
export function resolveTransfer(
  options: TransferOptions & { readonly callback?: unknown },
  { atomic, retry, speed }: TransferDefaults,
): ResolvedTransfer {
  const { overwrite = true, resume = false } = options;
  checkCallback(options.callback);
  if (resume && options.atomic === false) {
    throw new TypeError(
      'resume needs atomic: what is unfinished has a name of its own, which tells its source',
    );
  }
  return {
    atomic: resume || (options.atomic ?? atomic),
    preserveMtime: options.preserveMtime ?? resume,
    preserveMode: options.preserveMode ?? false,
    fsync: options.fsync ?? false,
    overwrite:
      typeof overwrite === 'boolean'
        ? overwrite
          ? 'always'
          : 'never'
        : checkChoice(overwrite, OVERWRITE, 'overwrite'),
    resumes: resume,
    retry: options.retry === undefined ? retry : retryPolicy(options.retry),
    speed: resolveSpeed(options, speed),
  };
}
