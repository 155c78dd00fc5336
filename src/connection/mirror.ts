/** Mirrors between the local disk and the server. */
import type { Buffer } from 'node:buffer';
import { explain } from '../session/quirks/likely-cause.js';
import { checkCallback, checkChoice, checkCount, kindOf } from '../shared/arguments.js';
import { CALL_OPTIONS, checkOptions, type OptionTable } from '../shared/option-checks.js';
import { quote } from '../shared/remote-path.js';
import { type RetryOptions, retryPolicy } from '../shared/retry.js';
import { SPEED_OPTIONS, type SpeedOptions } from '../transfer/engine/speed.js';
import { type MirrorReport, mirrorTree } from '../transfer/mirror/mirror.js';
import { checkPlan, type PlannedMirrorStep } from '../transfer/mirror/mirror-approval.js';
import type { MirrorComparison } from '../transfer/mirror/mirror-comparison.js';
import type { MirrorEntry, MirrorStep } from '../transfer/mirror/mirror-step.js';
import { measured } from '../transfer/progress.js';
import type { EntryFilter } from '../transfer/tree/entry-filter.js';
import type { FileProgress } from '../transfer/tree/tree-progress.js';
import type { Link } from './reconnect/link.js';
import { type Attempt, persist } from './reconnect/persistence.js';
import { Sides } from './sides.js';
import { resolveAtomic, type TransferOptions, type TreeProgressCallback } from './transfer-options.js';
import type { Transfers } from './transfers.js';

/** Options of {@link Connection.mirror}. */
export interface MirrorOptions extends SpeedOptions, Pick<TransferOptions, 'allowGrowth' | 'timeout'> {
  /** `up`: a local directory to the server; `down`: a directory of the server to the local disk. */
  readonly direction: 'up' | 'down';
  /** Removes from the target what the source does not have. Default: false. */
  readonly delete?: boolean | undefined;
  /** Changes nothing, and resolves with what would be done. Default: false. */
  readonly dryRun?: boolean | undefined;
  /**
   * Asked once both sides have been listed and before anything is changed, with what would be done; not asked where there is
   * nothing to do, or with `dryRun`. Only `true`, or a promise of it, goes on. With `false` nothing is changed, and the
   * report says `dryRun: true`. What it throws comes out as it was thrown.
   *
   * @example
   * await sftp.mirror('site', '/var/www', {
   *   direction: 'up',
   *   delete: true,
   *   confirm: (plan) => plan.filter(({ action }) => action === 'delete').length < 10,
   * });
   */
  readonly confirm?: ((plan: readonly MirrorStep[]) => boolean | Promise<boolean>) | undefined;
  /**
   * The most entries that may be deleted, those included that make room for another type. A plan that deletes more is
   * refused with an `SftpError` (`TOO_MANY_DELETIONS`) before anything is changed. Default: no limit. With `dryRun` the
   * plan is shown all the same.
   */
  readonly maxDelete?: number | undefined;
  /**
   * Does only what this plan says: the `plan` of an earlier report, all of it or a part, also after JSON. Both sides are
   * listed anew; what has been done meanwhile is not done again. If the files no longer allow a step, the mirror is refused
   * with an `SftpError` (`PLAN_OUTDATED`) before anything is changed. Give the options that the plan was made with.
   *
   * @example
   * const { plan } = await sftp.mirror('site', '/var/www', { direction: 'up', dryRun: true });
   * await sftp.mirror('site', '/var/www', { direction: 'up', plan });
   */
  readonly plan?: readonly PlannedMirrorStep[] | undefined;
  /**
   * What makes two files the same: equal size and modification time (to the second), equal size, equal content
   * (both are read), or your function, which gets both and says whether they are. Default: `size-mtime`.
   */
  readonly compare?: MirrorComparison | undefined;
  /**
   * Links of the source: `skip` leaves them alone, `follow` mirrors what they lead to, `copy` makes the same links,
   * save for those that may lead out of the tree: absolute ones, and those with `..` anywhere but at the beginning.
   * Default: `skip`. Links of the target are never followed.
   */
  readonly symlinks?: 'follow' | 'copy' | 'skip' | undefined;
  /** True keeps an entry; false leaves it alone on both sides: neither copied, nor entered, nor deleted. */
  readonly filter?: EntryFilter<MirrorEntry> | undefined;
  /** Gives files the modification time of the source, by which the next mirror knows them. Default: true. */
  readonly preserveMtime?: boolean | undefined;
  /**
   * Gives files and directories the permissions of the source, also those that are the same otherwise (`reason` in the
   * plan is `mode` then). Set-uid, set-gid and sticky bits never count, nor, on the local disk, what the umask forbids. The
   * two directories that are named keep theirs. Default: false.
   */
  readonly preserveMode?: boolean | undefined;
  /**
   * Writes each file under a temporary name, and renames it when it is complete. `false` writes in place: a failure leaves a
   * part of the file, and the content reaches all names of a file that has several hard links. `'preferred'` writes in place
   * only what allows no temporary name or no renaming, one file at a time; `overwrittenInPlace` of the report tells which.
   * Default: `'preferred'` to the server, true from it.
   */
  readonly atomic?: boolean | 'preferred' | undefined;
  /**
   * Goes on where a file cannot be copied or a directory cannot be listed, and tells about it in `failed`. Such a directory
   * is left alone on both sides, and nothing extra is deleted anywhere then. Default: false.
   */
  readonly continueOnError?: boolean | undefined;
  /** Uploads: asks the server for the size of each file that has arrived, as `confirm` of `put` does. Default: true. */
  readonly confirmSize?: boolean | undefined;
  readonly callback?: TreeProgressCallback | undefined;
  /**
   * As the option of {@link connect}, for this mirror: the client reconnects after a loss, and the mirror goes on with
   * what is left. Default: what `connect` was given.
   */
  readonly retry?: RetryOptions | false | undefined;
  /** Ends the mirror with the signal's reason; what is complete stays. */
  readonly signal?: AbortSignal | undefined;
}

const MIRROR_OPTIONS: OptionTable<MirrorOptions> = {
  ...SPEED_OPTIONS,
  ...CALL_OPTIONS,
  allowGrowth: 'boolean',
  direction: 'checked',
  delete: 'boolean',
  dryRun: 'boolean',
  compare: 'checked',
  symlinks: 'checked',
  filter: 'function',
  preserveMtime: 'boolean',
  preserveMode: 'boolean',
  atomic: 'atomic',
  continueOnError: 'boolean',
  confirm: 'checked',
  confirmSize: 'boolean',
  maxDelete: 'checked',
  plan: 'checked',
  callback: 'checked',
  retry: 'checked',
};

/** @param remotePath the path as it is sent */
export async function mirror(
  { link, transfers }: { readonly link: Link; readonly transfers: Transfers },
  localPath: string,
  remotePath: Buffer,
  options: MirrorOptions,
): Promise<MirrorReport> {
  const line = transfers.lineUse(options);
  const { direction, signal, confirmSize = true, callback, symlinks = 'skip' } = options;
  const call = transfers.forCall(options);
  const { client } = call;
  const isUp = direction === 'up';
  const followsLinks = symlinks === 'follow';
  using sides = new Sides({ link, transfers: call }, { direction, localPath, remotePath, followsLinks });
  const { source, target } = sides;
  const retry = options.retry === undefined ? link.retry : retryPolicy(options.retry);
  const again = <T>(attempt: Attempt<T>) =>
    persist(link, { retry, signal, resumes: false, target: target.fileSystem }, attempt);
  const looking = again(() => sides.look(signal));
  const hasTarget = await explain(looking, 'stat', { client, path: remotePath, options: { signal } });
  const run = () =>
    mirrorTree(source, target, {
      line,
      signal,
      delete: options.delete ?? false,
      dryRun: options.dryRun ?? false,
      compare: options.compare ?? 'size-mtime',
      symlinks,
      filter: options.filter,
      ...resolveAtomic(options.atomic ?? (isUp ? 'preferred' : true)),
      preserveMtime: options.preserveMtime ?? true,
      preserveMode: options.preserveMode ?? false,
      allowGrowth: options.allowGrowth,
      continueOnError: options.continueOnError ?? false,
      approval: { given: options.plan, maxDelete: options.maxDelete, ask: options.confirm },
      hasTarget,
      makeTarget: () => sides.makeTarget(signal),
      confirm: isUp && confirmSize ? (file) => client.stat(file, { signal }) : undefined,
      onProgress: measured<FileProgress>(callback),
      persist: again,
    });
  const startedAt = performance.now();
  const report = await call.spreading({ signal }, run);
  const [from, to] = isUp ? [localPath, remotePath] : [remotePath, localPath];
  call.noteTransfer({
    call: report.dryRun ? 'mirror (dry run)' : 'mirror',
    from: quote(from),
    to: quote(to),
    files: report.created + report.updated,
    bytes: report.bytes,
    startedAt,
  });
  return report;
}

/** A direction that is guessed, with deleting, would be the end of somebody's files. */
export function checkMirrorOptions(options: MirrorOptions | undefined): asserts options is MirrorOptions {
  const given: Partial<MirrorOptions> = options ?? {};
  checkOptions(given, MIRROR_OPTIONS, { of: 'mirror' });
  const { direction, compare, symlinks, callback } = given;
  checkChoice(direction, ['up', 'down'], 'direction');
  if (typeof compare !== 'function' && compare !== undefined) {
    checkChoice(compare, ['size-mtime', 'size', 'checksum'], 'compare');
  }
  if (symlinks !== undefined) checkChoice(symlinks, ['follow', 'copy', 'skip'], 'symlinks');
  checkCallback(callback);
  checkConfirm(given.confirm);
  if (given.maxDelete !== undefined && given.maxDelete !== Number.POSITIVE_INFINITY)
    checkCount('maxDelete', given.maxDelete);
  checkPlan(given.plan, { delete: given.delete === true });
}

function checkConfirm(confirm: unknown): void {
  if (confirm === undefined || typeof confirm === 'function') return;
  const advice = typeof confirm === 'boolean' ? '; whether sizes are verified is the option confirmSize' : '';
  throw new TypeError(
    `confirm of mirror must be a function that gets the plan, not ${kindOf(confirm)}${advice}`,
  );
}
