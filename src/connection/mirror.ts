/** Mirrors between the local disk and the server. */
import { Buffer } from 'node:buffer';
import { mkdir } from 'node:fs/promises';
import { checkCallback, checkChoice, kindOf } from '../arguments.js';
import { checkLocalPath } from '../local-path.js';
import { quote } from '../remote-path.js';
import { type RetryOptions, retryPolicy } from '../retry.js';
import { failure } from '../session/status-error.js';
import type { SpeedOptions } from '../speed.js';
import { marked, unmarked } from '../transfer/caller-error.js';
import { isMissing, type Place } from '../transfer/file-system.js';
import type { Journal } from '../transfer/journal.js';
import { localFileSystem } from '../transfer/local.js';
import { type MirrorReport, mirrorTree } from '../transfer/mirror.js';
import type { MirrorComparison } from '../transfer/mirror-comparison.js';
import type { MirrorEntry } from '../transfer/mirror-plan.js';
import { measured } from '../transfer/progress.js';
import type { FileProgress } from '../transfer/tree-progress.js';
import { makeDirectories } from './directories.js';
import type { Link } from './link.js';
import { persist } from './persistence.js';
import type { TreeProgressCallback } from './transfer-options.js';
import type { Transfers } from './transfers.js';

/** Options of {@link Connection.mirror}. */
export interface MirrorOptions extends SpeedOptions {
  /** `up`: a local directory to the server; `down`: a directory of the server to the local disk. */
  readonly direction: 'up' | 'down';
  /** Removes from the target what the source does not have. Default: false. */
  readonly delete?: boolean | undefined;
  /** Changes nothing, and resolves with what would be done. Default: false. */
  readonly dryRun?: boolean | undefined;
  /**
   * What makes two files the same: equal size and modification time (to the second), equal size, equal content
   * (both are read), or your function, which gets both and says whether they are. Default: `size-mtime`.
   */
  readonly compare?: MirrorComparison | undefined;
  /**
   * Links of the source: `skip` leaves them alone, `follow` mirrors what they lead to, `copy` makes the same links.
   * Default: `skip`. Links of the target are never followed.
   */
  readonly symlinks?: 'follow' | 'copy' | 'skip' | undefined;
  /** False for what shall be left alone, on both sides: neither copied, nor entered, nor deleted. */
  readonly filter?: ((entry: MirrorEntry) => boolean) | undefined;
  /** Gives files the modification time of the source, by which the next mirror knows them. Default: true. */
  readonly preserveMtime?: boolean | undefined;
  /** Gathers each file under a temporary name, and renames it when all is there. Default: true. */
  readonly atomic?: boolean | undefined;
  /**
   * Goes on where a file cannot be copied, and tells about it in `failed`. Nothing extra is deleted then.
   * Default: false.
   */
  readonly continueOnError?: boolean | undefined;
  /** Uploads: asks the server for the size of each file that has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
  readonly callback?: TreeProgressCallback | undefined;
  /**
   * As the option of {@link connect}, for this mirror: a lost connection is made again, and the mirror goes on with
   * what is left. Default: what `connect` was given.
   */
  readonly retry?: RetryOptions | false | undefined;
  /** Ends the mirror with the signal's reason; what is complete stays. */
  readonly signal?: AbortSignal | undefined;
}

/** @param remotePath the path as it is sent */
export async function mirror(
  { link, transfers }: { readonly link: Link; readonly transfers: Transfers },
  localPath: string,
  remotePath: Buffer,
  options: MirrorOptions,
): Promise<MirrorReport> {
  checkOptions(options);
  const line = transfers.lineUse(options);
  const { direction, signal, confirm = true, callback } = options;
  const { client } = link;
  const isUp = direction === 'up';
  const local: Place = { fileSystem: localFileSystem, path: Buffer.from(checkLocalPath(localPath)) };
  const remote: Place = { fileSystem: transfers.remote, path: remotePath };
  const [source, target] = isUp ? [local, remote] : [remote, local];
  const retry = options.retry === undefined ? link.retry : retryPolicy(options.retry);
  const again = <T>(attempt: (journal: Journal | undefined) => Promise<T>) =>
    persist(link, { retry, signal, resumes: false, target: target.fileSystem }, attempt);
  const hasTarget = await again(async () => {
    await checkDirectory(source, signal);
    return isThere(target, signal);
  });
  const mirroring = mirrorTree(source, target, {
    line,
    signal,
    delete: options.delete ?? false,
    dryRun: options.dryRun ?? false,
    compare: options.compare ?? 'size-mtime',
    symlinks: options.symlinks ?? 'skip',
    filter: options.filter && marked(options.filter),
    atomic: options.atomic ?? true,
    preserveMtime: options.preserveMtime ?? true,
    continueOnError: options.continueOnError ?? false,
    hasTarget,
    makeTarget: async () => {
      if (isUp) await makeDirectories(client, remotePath, undefined, { signal });
      else await mkdir(local.path, { recursive: true });
    },
    confirm: isUp && confirm ? (file) => client.stat(file, { signal }) : undefined,
    onProgress: measured<FileProgress>(callback),
    persist: again,
  });
  return unmarked(mirroring);
}

/** A direction that is guessed, with deleting, would be the end of somebody's files. */
function checkOptions({ direction, compare, symlinks, filter, callback }: MirrorOptions): void {
  checkChoice(direction, ['up', 'down'], 'direction');
  if (typeof compare !== 'function' && compare !== undefined) {
    checkChoice(compare, ['size-mtime', 'size', 'checksum'], 'compare');
  }
  if (symlinks !== undefined) checkChoice(symlinks, ['follow', 'copy', 'skip'], 'symlinks');
  if (filter !== undefined && typeof filter !== 'function') {
    throw new TypeError(`filter must be a function, not ${kindOf(filter)}`);
  }
  checkCallback(callback);
}

async function isThere(place: Place, signal: AbortSignal | undefined): Promise<boolean> {
  try {
    await checkDirectory(place, signal);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

async function checkDirectory({ fileSystem, path }: Place, signal: AbortSignal | undefined): Promise<void> {
  const { type } = await fileSystem.stat(path, { signal });
  if (type === 'directory' || type === 'unknown') return;
  if (fileSystem !== localFileSystem) throw failure('ENOTDIR', 'mirror', path, 'it is not a directory');
  const text = `ENOTDIR: not a directory, mirror ${quote(path)}`;
  throw Object.assign(new Error(text), { code: 'ENOTDIR', syscall: 'mirror', path: path.toString() });
}
