/** Options of transfers, checked and made complete. */
import { checkCallback, checkChoice, kindOf } from '../shared/arguments.js';
import { parseMode } from '../shared/modes.js';
import { CALL_OPTIONS, type OptionTable } from '../shared/option-checks.js';
import { type RetryOptions, type RetryPolicy, retryPolicy } from '../shared/retry.js';
import type { Atomic } from '../transfer/copy-file.js';
import { resolveSpeed, SPEED_OPTIONS, type Speed, type SpeedOptions } from '../transfer/engine/speed.js';
import type { Overwrite } from '../transfer/overwriting.js';
import type { TransferSpeed } from '../transfer/progress.js';
import type { EntryFilter } from '../transfer/tree/entry-filter.js';
import type { FileProgress } from '../transfer/tree/tree-progress.js';
import type { CopiedEntry } from '../transfer/tree/tree-report.js';
import type { TreeEntry } from '../transfer/tree/tree-run.js';

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
  /**
   * Milliseconds that the server may take for each answer; then the transfer rejects with a `TimeoutError`. It does not limit
   * the whole transfer. Default: `callTimeout` of the connection.
   */
  readonly timeout?: number | undefined;
  /** Gives the copy the modification time of the source. Default: false, and true with `resume`. */
  readonly preserveMtime?: boolean | undefined;
  /**
   * Gives the copy the permissions of the source, of which set-uid, set-gid and the sticky bit never count, nor, on
   * the local disk, what the umask forbids. Default: false; what replaces a file has that file's permissions.
   */
  readonly preserveMode?: boolean | undefined;
  /**
   * Writes the content under a temporary name beside the target, and renames it when it is complete: other
   * programs see the whole old file or the whole new one. Needs `posix-rename@openssh.com` on the server; without it the old
   * file is moved aside for the moment of the renaming. The transfer of
   * a single file onto a symbolic link writes where the link leads; a tree replaces the link. Other hard links of the old
   * file keep the old content. The new file has the owner, the group and the permissions of the old one where the system
   * allows that and only you and root may change its directory and those above; else it belongs to the user who
   * writes it, and the report of a tree says so (`notPreserved`).
   *
   * What cannot be replaced stays as it is, and the error says what to do: a FIFO, a socket or a device (`EEXIST`; use
   * {@link Connection.getfo} or {@link Connection.putfo} with a stream), and a file that is a mount point, as there are in
   * containers (`EBUSY` or `FAILURE`).
   *
   * `'preferred'` writes in place what allows no temporary name or no renaming: files that exist one at a time, each after it
   * has been sent once in vain if only the renaming is refused. `onInPlace` and the report of a tree (`overwrittenInPlace`) tell
   * which. A full disk, a lost connection and a file that may not be written to remain errors. A stream whose renaming is
   * refused is read back from its temporary name; if that fails over a file that was there, all of it stays under that name,
   * which the message tells. With `resume` it means `true`.
   *
   * `false` writes in place, also into mount points and local devices: a failure leaves a part of the file. Default: true
   * for downloads; for uploads only a file that exists is replaced so, as with `'preferred'`, and a new one is written in
   * place.
   */
  readonly atomic?: boolean | 'preferred' | undefined;
  /**
   * Copies what a file held when its copy began, although it grows meanwhile, as a log does. Default: false, it rejects
   * with `SOURCE_CHANGED`. A file that has become shorter always does.
   */
  readonly allowGrowth?: boolean | undefined;
  /** Waits until the content is on the disk before the copy counts as complete. Default: false. */
  readonly fsync?: boolean | undefined;
  /**
   * What to do where the target is there already: replace it (`'always'`, `true`), leave it (`'never'`, `false`),
   * replace it where the source is `'newer'`, or `'different'` in size or time. Default: true.
   */
  readonly overwrite?: boolean | Overwrite | undefined;
  /**
   * Goes on where an earlier transfer of the same file has stopped, also that of an earlier run of the program. The
   * source must have the same path, size and time, and what is there must be ours: a regular file with one name, of our
   * own user, that nobody else may write to. It is compared with the source: all of it by SHA-256 where the server has
   * `check-file-handle`; otherwise its first and last 256 KiB, and eight places of 32 KiB between them, chosen at random,
   * which find for certain only damage that spans a quarter; in a directory that others may write to, every byte is
   * read. Where anything differs or is not ours, it begins anew. A transfer that fails leaves beside the target what it
   * has, for as long as a week; after a crash the last 32 MiB of that are copied again. What is complete, by size and
   * time, is not copied again. It is always `atomic`. Default: false.
   */
  readonly resume?: boolean | undefined;
  /**
   * With `resume`: a name for the owner of the transfer, for instance a job id. A transfer with the same owner resumes at
   * once, on any machine and in any container, also after a crash. Without an owner, a transfer resumes at once only if
   * the killed program is known to be gone: same machine, same boot, same container. Otherwise it resumes after an hour in
   * which nothing was written, by the server's clock. Two transfers that run at the same time must not share an owner.
   *
   * @example
   * await sftp.get('/dump.sql', 'dump.sql', { resume: true, owner: process.env.JOB_ID });
   */
  readonly owner?: string | undefined;
  /**
   * As the option of {@link connect}, for this transfer: the client reconnects after a loss, and the transfer goes on
   * from where it was. Default: what `connect` was given.
   */
  readonly retry?: RetryOptions | false | undefined;
}

/** Of uploads. */
interface ModeOption {
  /**
   * The permissions of the uploaded file, in the digits of chmod, whatever those of the source or of a file that is replaced
   * are. It is made with them, so that there is no moment in which others may do more. Of a tree: of every file, not of
   * directories. Not with `preserveMode`.
   *
   * @example
   * await sftp.put('secret.txt', { mode: 600 });
   */
  readonly mode?: number | string | undefined;
}

/** Of transfers of one file. */
interface FileOptions {
  readonly callback?: ProgressCallback | undefined;
  /**
   * Called at the end with the path of a target that was written in place, as its directory allows no temporary name or no
   * renaming. If the transfer has failed, a part of the file may be there. What it throws comes out as it was thrown.
   *
   * @example
   * await sftp.put('backup.tar', { atomic: 'preferred', onInPlace: (path) => console.warn(`${path} was not replaced at once`) });
   */
  readonly onInPlace?: ((path: string) => void) | undefined;
}

export interface GetOptions extends TransferOptions, FileOptions {}

export interface PutOptions extends TransferOptions, ModeOption, FileOptions {
  /** Asks the server for the size of what has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
}

export interface TreeOptions extends TransferOptions {
  readonly callback?: TreeProgressCallback | undefined;
  /**
   * Called for each file and link when it has been copied, with its path and its target, as `done` of the report has
   * them. What it throws ends the transfer, and comes out as it was thrown.
   *
   * @example
   * await sftp.putR('site', '/var/www', { onFile: ({ path, target }) => console.log(`${path} -> ${target}`) });
   */
  readonly onFile?: ((file: CopiedEntry) => void) | undefined;
  /**
   * What to do with symbolic links: copy what they lead to (`follow`), leave them out (`skip`), or make links of
   * them (`copy`), save for those that may lead out of the tree: absolute
   * ones, and those with `..` anywhere but at the beginning. Default: `follow` for downloads, `skip` for uploads.
   */
  readonly symlinks?: 'follow' | 'skip' | 'copy' | undefined;
  /**
   * True keeps an entry; false leaves it out, and a directory with everything below it. Any other answer is a TypeError. What it throws ends the transfer, and comes
   * out as it was thrown.
   *
   * @example
   * await sftp.putR('project', 'backup', { filter: ({ name }) => name !== 'node_modules' });
   */
  readonly filter?: EntryFilter<TreeEntry> | undefined;
  /**
   * Goes on with the rest where an entry cannot be copied; the report tells what has `failed`. A lost connection
   * ends the transfer all the same. Default: false, the first failure ends it; save that a name that is not safe, or
   * is taken here for another one, only keeps its own entry out, and the call rejects with it (`UNSAFE_NAME`,
   * `NAME_COLLISION`) when everything else has arrived.
   */
  readonly continueOnError?: boolean | undefined;
}

export interface GetTreeOptions extends TreeOptions {
  /**
   * True writes the content of the remote directory right into `localdir`, whatever its path. Default: false, the remote
   * path is kept under `localdir`.
   */
  readonly into?: boolean | undefined;
}

export interface PutTreeOptions extends TreeOptions, ModeOption {
  /** Asks the server for the size of each file that has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
}

/** One file of a plan, for its owner. */
export interface FileStepOptions {
  readonly owner: string;
  /** False where size and time do not tell whether it is complete. */
  readonly resume: boolean;
  /** Waits until a local file is on the disk. */
  readonly fsync: boolean;
  /** There may be a partial file of an earlier attempt. */
  readonly mayBeRepeated: boolean;
  readonly overwrite: boolean;
  readonly beforeRename: () => Promise<void>;
  readonly callback?: ProgressCallback | undefined;
  readonly signal?: AbortSignal | undefined;
}

const TRANSFER_OPTIONS: OptionTable<TransferOptions> = {
  ...SPEED_OPTIONS,
  ...CALL_OPTIONS,
  preserveMtime: 'boolean',
  preserveMode: 'boolean',
  atomic: 'atomic',
  fsync: 'boolean',
  allowGrowth: 'boolean',
  overwrite: 'checked',
  resume: 'boolean',
  owner: 'checked',
  retry: 'checked',
};

const CALLBACK: OptionTable<Pick<GetOptions, 'callback'>> = { callback: 'checked' };
export const GET_OPTIONS: OptionTable<GetOptions> = {
  ...TRANSFER_OPTIONS,
  ...CALLBACK,
  onInPlace: 'function',
};
export const PUT_OPTIONS: OptionTable<PutOptions> = { ...GET_OPTIONS, mode: 'checked', confirm: 'boolean' };
export const TREE_OPTIONS: OptionTable<TreeOptions> = {
  ...TRANSFER_OPTIONS,
  ...CALLBACK,
  onFile: 'function',
  symlinks: 'checked',
  filter: 'function',
  continueOnError: 'boolean',
};
export const GET_TREE_OPTIONS: OptionTable<GetTreeOptions> = { ...TREE_OPTIONS, into: 'boolean' };
export const PUT_TREE_OPTIONS: OptionTable<PutTreeOptions> = {
  ...TREE_OPTIONS,
  mode: 'checked',
  confirm: 'boolean',
};

/** What is the same for a file and a tree, in either direction. */
export interface ResolvedTransfer {
  readonly atomic: Atomic;
  /** A target that allows no temporary name or no renaming is overwritten in place. */
  readonly mayOverwriteInPlace: boolean;
  readonly preserveMtime: boolean;
  readonly preserveMode: boolean;
  /** The permissions that were asked for. */
  readonly mode: number | undefined;
  readonly fsync: boolean;
  readonly allowGrowth: boolean;
  readonly overwrite: Overwrite;
  readonly resumes: boolean;
  readonly owner: string | undefined;
  /** `undefined`: a lost connection ends it. */
  readonly retry: RetryPolicy | undefined;
  readonly speed: Speed;
}

const OVERWRITE: readonly Overwrite[] = ['always', 'never', 'newer', 'different'];

/** What holds where the options of a transfer leave it open. */
export interface TransferDefaults {
  readonly atomic: Atomic;
  readonly retry: RetryPolicy | undefined;
  readonly speed: SpeedOptions;
}

/** What the option `atomic` asks for. */
export function resolveAtomic(atomic: boolean | 'preferred'): {
  readonly atomic: boolean;
  readonly mayOverwriteInPlace: boolean;
} {
  const isPreferred = atomic === 'preferred';
  return { atomic: isPreferred || atomic, mayOverwriteInPlace: isPreferred };
}

/** @throws TypeError | RangeError if an option is invalid; nothing is sent then. */
export function resolveTransfer(
  options: TransferOptions & ModeOption & { readonly callback?: unknown },
  { atomic: atomicByDefault, retry, speed }: TransferDefaults,
): ResolvedTransfer {
  const { overwrite = true, resume = false } = options;
  checkCallback(options.callback);
  if (resume && options.atomic === false) {
    throw new TypeError(
      'resume needs atomic: what is unfinished has a name of its own, which tells its source',
    );
  }
  const { owner } = options;
  checkOwner(owner, { resume });
  const { atomic, mayOverwriteInPlace } =
    options.atomic === undefined
      ? { atomic: atomicByDefault, mayOverwriteInPlace: atomicByDefault === 'existing' }
      : resolveAtomic(options.atomic);
  return {
    atomic: resume || atomic,
    mayOverwriteInPlace: mayOverwriteInPlace && !resume,
    preserveMtime: options.preserveMtime ?? resume,
    preserveMode: options.preserveMode ?? false,
    mode: modeOf(options),
    fsync: options.fsync ?? false,
    allowGrowth: options.allowGrowth ?? false,
    overwrite:
      typeof overwrite === 'boolean'
        ? overwrite
          ? 'always'
          : 'never'
        : checkChoice(overwrite, OVERWRITE, 'overwrite'),
    resumes: resume,
    owner,
    retry: options.retry === undefined ? retry : retryPolicy(options.retry),
    speed: resolveSpeed(options, speed),
  };
}

function modeOf({
  mode,
  preserveMode,
}: ModeOption & Pick<TransferOptions, 'preserveMode'>): number | undefined {
  if (mode === undefined) return undefined;
  if (preserveMode) throw new TypeError('mode and preserveMode contradict each other: give one of them');
  return parseMode(mode);
}

function checkOwner(owner: unknown, { resume }: { readonly resume: boolean }): void {
  if (owner === undefined) return;
  if (typeof owner !== 'string' || owner === '') {
    throw new TypeError(
      `owner must be a string that is not empty, not ${owner === '' ? "''" : kindOf(owner)}`,
    );
  }
  if (!resume) throw new TypeError('owner needs resume: it tells who may resume at once');
}
