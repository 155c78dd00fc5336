/** Copying from one server to another: the bytes stream through this program, and none of it is kept. */
import { Buffer } from 'node:buffer';
import { SftpError, SftpStatusError } from '../errors.js';
import { statWithType } from '../session/quirks/file-type.js';
import { explain } from '../session/quirks/likely-cause.js';
import { OPEN_FLAGS, type SftpClient } from '../session/sftp-client.js';
import { unlessRefused } from '../session/status-error.js';
import { checkCallback, checkChoice } from '../shared/arguments.js';
import { CALL_OPTIONS, type OptionTable } from '../shared/option-checks.js';
import { baseName, directoryName, quote } from '../shared/remote-path.js';
import { type RetryOptions, retryPolicy } from '../shared/retry.js';
import { unmarked } from '../transfer/caller-error.js';
import { copyFile } from '../transfer/copy-file.js';
import type { LineUse } from '../transfer/engine/copy-content.js';
import { SPEED_OPTIONS, type SpeedOptions } from '../transfer/engine/speed.js';
import type { Place } from '../transfer/file-system.js';
import { InPlace } from '../transfer/overwriting.js';
import { measured } from '../transfer/progress.js';
import type { Journal } from '../transfer/resume/journal.js';
import { leaveTemporary, temporaryPath } from '../transfer/resume/temporary-file.js';
import { copyTree } from '../transfer/tree/copy-tree.js';
import type { FileProgress } from '../transfer/tree/tree-progress.js';
import { ReportWriter, type TreeReport } from '../transfer/tree/tree-report.js';
import { makeDirectories } from './directories.js';
import { checkNotSame, type FileOnServer, mayBeSame } from './files/same-file.js';
import type { Link } from './reconnect/link.js';
import { persist } from './reconnect/persistence.js';
import { resolveAtomic, type TransferOptions, type TreeProgressCallback } from './transfer-options.js';
import type { Transfers } from './transfers.js';

/** Options of {@link copyBetween}; `concurrency` and `channels` default to those of the connection with the longer line. */
export interface CopyBetweenOptions extends SpeedOptions, Pick<TransferOptions, 'allowGrowth' | 'timeout'> {
  /** Ends the copy with the signal's reason; both connections stay usable. */
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes arrive: never backwards, and the last time with `transferred === total`. */
  readonly callback?: TreeProgressCallback | undefined;
  /** Gives the copies the modification times of the sources. Default: false. */
  readonly preserveMtime?: boolean | undefined;
  /** Gives the copies, directories too, the permissions of the sources, without set-uid, set-gid and sticky bits. Default: false. */
  readonly preserveMode?: boolean | undefined;
  /**
   * Writes each file under a temporary name, and renames it when it is complete. `false` writes in place: a failure leaves a
   * part of the file, and the content reaches all names of a file that has several hard links. `'preferred'` writes in place
   * only what allows no temporary name or no renaming, one file at a time; `overwrittenInPlace` of the report tells which.
   * Default: `'preferred'`.
   */
  readonly atomic?: boolean | 'preferred' | undefined;
  /** Asks the second server for the size of what has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
  /** What to do with the symbolic links of a directory. Default: `skip`. */
  readonly symlinks?: 'follow' | 'skip' | undefined;
  /**
   * As the option of {@link connect}, for this copy: a lost connection reconnects, and the copy goes on
   * from where it was. Default: what the connections were given.
   */
  readonly retry?: RetryOptions | false | undefined;
}

export const COPY_BETWEEN_OPTIONS: OptionTable<CopyBetweenOptions> = {
  ...SPEED_OPTIONS,
  ...CALL_OPTIONS,
  allowGrowth: 'boolean',
  callback: 'checked',
  preserveMtime: 'boolean',
  preserveMode: 'boolean',
  atomic: 'atomic',
  confirm: 'boolean',
  symlinks: 'checked',
  retry: 'checked',
};

/** What is made for a moment, to see whether the other connection sees it. */
const PROBE = Buffer.from('probe');

/** A path on one of the servers, as it is sent. */
export interface ServerEnd {
  readonly link: Link;
  readonly transfers: Transfers;
  readonly path: Buffer;
}

export async function copyBetweenServers(
  source: ServerEnd,
  target: ServerEnd,
  options: CopyBetweenOptions,
): Promise<TreeReport> {
  const from = forCall(source, options);
  const to =
    source.link === target.link ? { ...target, transfers: from.transfers } : forCall(target, options);
  const { signal, callback, symlinks = 'skip' } = options;
  checkCallback(callback);
  checkChoice(symlinks, ['follow', 'skip'], 'symlinks');
  const retry = options.retry === undefined ? (from.link.retry ?? to.link.retry) : retryPolicy(options.retry);
  const persistence = { retry, signal, resumes: false, target: to.transfers.remote };
  const line = lineUse(from, to, options);
  const tell = measured<FileProgress>(callback);
  const run = () =>
    persist([from.link, to.link], persistence, (journal, signal) =>
      to.transfers.withTwoHandles(signal, () =>
        attempt(from, to, { ...options, signal, symlinks, journal, tell, line }),
      ),
    );
  const spreading = { signal, window: line.window };
  const copying = from.transfers.spreading(spreading, () =>
    to.transfers === from.transfers ? run() : to.transfers.spreading(spreading, run),
  );
  const startedAt = performance.now();
  const report = await unmarked(copying);
  const names = { call: 'copyBetween', from: quote(source.path), to: quote(target.path) };
  to.transfers.noteTransfer({ ...names, files: report.files, bytes: report.bytes, startedAt });
  return report;
}

/** The longer line holds more, and its window opens accordingly. The limits of both hold. */
function lineUse(from: ServerEnd, to: ServerEnd, options: SpeedOptions): LineUse {
  const isLonger = from.link.client.roundTripMs > to.link.client.roundTripMs;
  const [longer, other] = isLonger ? [from, to] : [to, from];
  const within = from.link === to.link ? [] : [other.transfers.throttle];
  return longer.transfers.lineUse(options, within);
}

interface AttemptOptions extends CopyBetweenOptions {
  readonly symlinks: 'follow' | 'skip';
  readonly journal: Journal | undefined;
  readonly line: LineUse;
  readonly tell: ((transferred: number, total: number, file: FileProgress) => void) | undefined;
}

async function attempt(from: ServerEnd, to: ServerEnd, options: AttemptOptions): Promise<TreeReport> {
  const { signal, symlinks, confirm = true, preserveMtime, preserveMode, allowGrowth } = options;
  const { journal, tell, line } = options;
  const { client } = to.transfers;
  const isDirectory = await findsDirectory(from, signal);
  const [real, there] = await checkApart(from, to, isDirectory, signal);
  const ends = [endOf(from), endOf(to)] as const;
  // A file that is emptied when it is opened for writing must not be the source.
  const { atomic: isAtomic, mayOverwriteInPlace } = resolveAtomic(options.atomic ?? 'preferred');
  const atomic = isAtomic || (!isDirectory && (await mayBeSame(ends, signal)));
  const look = confirm ? (file: Buffer) => client.stat(file, { signal }) : undefined;
  const preserved = { preserveMtime, preserveMode };
  const attempts = { journal, carefulLength: journal?.carefulLength };
  const shared = { ...line, signal, atomic, ...preserved, allowGrowth, ...attempts, confirm: look };
  const [source, target] = [placeOf(from), placeOf(to)];
  if (isDirectory) {
    const isNew = await makeDirectories(client, to.path, undefined, { signal });
    if (from.link !== to.link && isWithin(there, real)) {
      await checkNotInSource(from, to, isNew, signal);
    }
    const tree = { symlinks, isNew, recurse: true, mayOverwriteInPlace, onProgress: tell };
    return copyTree(source, target, { ...shared, ...tree });
  }
  const report = new ReportWriter();
  const path = source.fileSystem.textOf(source.path);
  const note = (written: string) => report.noteInPlace(written);
  const { bytes } = await copyFile(source, target, {
    ...shared,
    onRefusal: (error) => report.noteNotPreserved(path, error),
    inPlace: mayOverwriteInPlace
      ? new InPlace({ note, signal, check: () => checkNotSame(ends, signal) })
      : undefined,
    followLink: true,
    onProgress: (transferred, total) => {
      const filesDone = Number(transferred === total);
      tell?.(transferred, total, { path, bytes: transferred, filesDone, filesKnown: 1 });
    },
  });
  report.noteCopied({ type: 'file', path, target: target.fileSystem.textOf(target.path), bytes });
  return report.finish();
}

async function findsDirectory(
  { transfers, path }: ServerEnd,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { client } = transfers;
  const looking = statWithType(client, path, { signal });
  return (await explain(looking, 'stat', { client, path, options: { signal } })).isDirectory();
}

function forCall(end: ServerEnd, options: CopyBetweenOptions): ServerEnd {
  return { ...end, transfers: end.transfers.forCall(options) };
}

function placeOf({ transfers, path }: ServerEnd): Place {
  return { fileSystem: transfers.remote, path };
}

function endOf({ transfers: { client }, path }: ServerEnd): FileOnServer {
  return { client, path };
}

/** To open a file for writing empties it, and a directory that is copied into itself has no end. Gives the real paths. */
async function checkApart(
  from: ServerEnd,
  to: ServerEnd,
  isDirectory: boolean,
  signal: AbortSignal | undefined,
): Promise<readonly [string, string]> {
  const [source, target] = await Promise.all([
    realPath(from.transfers.client, from.path, signal),
    realPath(to.transfers.client, to.path, signal),
  ]);
  if (from.link !== to.link) return [source, target];
  if (source === target) {
    const shown = `${quote(from.path)} and ${quote(to.path)}`;
    throw new SftpError('EINVAL', `copyBetween: ${shown} are the same`);
  }
  if (isDirectory && isWithin(target, source)) throw liesIn(to, from);
  return [source, target];
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** Over two connections to one server, what is made through one of them is there through the other. */
async function checkNotInSource(
  from: ServerEnd,
  to: ServerEnd,
  isNew: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { client, remote } = to.transfers;
  const within = { fileSystem: remote, path: remote.join(to.path, PROBE) };
  const probe = temporaryPath(within);
  const { WRITE, CREAT, EXCL } = OPEN_FLAGS;
  const handle = await unlessRefused(client.open(probe, WRITE | CREAT | EXCL, { signal }));
  if (handle === undefined) return;
  try {
    await client.close(handle, { signal });
    if ((await unlessRefused(from.transfers.client.lstat(probe, { signal }))) === undefined) return;
  } finally {
    await client.remove(probe).catch(() => leaveTemporary(within, probe));
  }
  if (isNew) await client.rmdir(to.path).catch(() => {});
  throw liesIn(to, from);
}

function liesIn(to: ServerEnd, from: ServerEnd): SftpError {
  return new SftpError('EINVAL', `copyBetween: ${quote(to.path)} lies in ${quote(from.path)}`);
}

/** Servers tell none of what is not there yet: then of the nearest directory that is. */
async function realPath(client: SftpClient, path: Buffer, signal: AbortSignal | undefined): Promise<string> {
  try {
    const real = await client.realpath(path, { signal });
    return real.toString('latin1').replace(/\/+$/, '');
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    const parent = directoryName(path);
    const name = baseName(path).toString('latin1');
    if (parent.equals(path) || name === path.toString('latin1')) return path.toString('latin1');
    return `${await realPath(client, parent, signal)}/${name}`;
  }
}
