/** Copying from one server to another: the bytes stream through this program, and none of it is kept. */
import type { Buffer } from 'node:buffer';
import { checkCallback, checkChoice } from '../arguments.js';
import { SftpError, SftpStatusError } from '../errors.js';
import { baseName, directoryName, quote } from '../remote-path.js';
import { type RetryOptions, retryPolicy } from '../retry.js';
import { statWithType } from '../session/file-type.js';
import type { SftpClient } from '../session/sftp-client.js';
import type { SpeedOptions } from '../speed.js';
import { unmarked } from '../transfer/caller-error.js';
import type { LineUse } from '../transfer/copy-content.js';
import { copyFile } from '../transfer/copy-file.js';
import { copyTree } from '../transfer/copy-tree.js';
import type { Place } from '../transfer/file-system.js';
import type { Journal } from '../transfer/journal.js';
import { measured } from '../transfer/progress.js';
import type { FileProgress } from '../transfer/tree-progress.js';
import { ReportWriter, type TreeReport } from '../transfer/tree-report.js';
import { makeDirectories } from './directories.js';
import type { Link } from './link.js';
import { persist } from './persistence.js';
import type { TreeProgressCallback } from './transfer-options.js';
import type { Transfers } from './transfers.js';

/** Options of {@link copyBetween}; `concurrency` and `channels` default to those of the connection with the longer line. */
export interface CopyBetweenOptions extends SpeedOptions {
  /** Ends the copy with the signal's reason; both connections stay usable. */
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes arrive: never backwards, and the last time with `transferred === total`. */
  readonly callback?: TreeProgressCallback | undefined;
  /** Gives the copies the modification times of the sources. Default: false. */
  readonly preserveMtime?: boolean | undefined;
  /** Gathers each file under a temporary name, and renames it when all is there. Default: true. */
  readonly atomic?: boolean | undefined;
  /** Asks the second server for the size of what has arrived. Default: true. */
  readonly confirm?: boolean | undefined;
  /** What to do with the symbolic links of a directory. Default: `skip`. */
  readonly symlinks?: 'follow' | 'skip' | undefined;
  /**
   * As the option of {@link connect}, for this copy: whichever connection is lost is made again, and the copy goes on
   * from where it was. Default: what the connections were given.
   */
  readonly retry?: RetryOptions | false | undefined;
}

/** A path on one of the servers, as it is sent. */
export interface ServerEnd {
  readonly link: Link;
  readonly transfers: Transfers;
  readonly path: Buffer;
}

export async function copyBetweenServers(
  from: ServerEnd,
  to: ServerEnd,
  options: CopyBetweenOptions,
): Promise<TreeReport> {
  const { signal, callback, symlinks = 'skip' } = options;
  checkCallback(callback);
  checkChoice(symlinks, ['follow', 'skip'], 'symlinks');
  const retry = options.retry === undefined ? (from.link.retry ?? to.link.retry) : retryPolicy(options.retry);
  const persistence = { retry, signal, resumes: false, target: to.transfers.remote };
  const line = lineUse(from, to, options);
  const tell = measured<FileProgress>(callback);
  const copying = persist([from.link, to.link], persistence, (journal) =>
    attempt(from, to, { ...options, symlinks, journal, tell, line }),
  );
  return unmarked(copying);
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
  const { signal, symlinks, atomic = true, confirm = true, preserveMtime, journal, tell, line } = options;
  const { client } = to.link;
  const isDirectory = await findsDirectory(from, signal);
  if (from.link === to.link) await checkApart(from, to, isDirectory, signal);
  const look = confirm ? (file: Buffer) => client.stat(file, { signal }) : undefined;
  const shared = { ...line, signal, atomic, preserveMtime, journal, confirm: look };
  const [source, target] = [placeOf(from), placeOf(to)];
  if (isDirectory) {
    const isNew = await makeDirectories(client, to.path, undefined, { signal });
    return copyTree(source, target, { ...shared, symlinks, isNew, recurse: true, onProgress: tell });
  }
  const report = new ReportWriter();
  const path = source.fileSystem.textOf(source.path);
  const { bytes } = await copyFile(source, target, {
    ...shared,
    onProgress: (transferred, total) => {
      journal?.noteAdvance();
      const filesDone = Number(transferred === total);
      tell?.(transferred, total, { path, bytes: transferred, filesDone, filesKnown: 1 });
    },
  });
  report.noteCopied({ type: 'file', path, target: target.fileSystem.textOf(target.path), bytes });
  return report.finish();
}

async function findsDirectory({ link, path }: ServerEnd, signal: AbortSignal | undefined): Promise<boolean> {
  return (await statWithType(link.client, path, { signal })).isDirectory();
}

function placeOf({ transfers, path }: ServerEnd): Place {
  return { fileSystem: transfers.remote, path };
}

/** To open a file for writing empties it, and a directory that is copied into itself has no end. */
async function checkApart(
  from: ServerEnd,
  to: ServerEnd,
  isDirectory: boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  const [source, target] = await Promise.all(
    [from, to].map(({ link, path }) => realPath(link.client, path, signal)),
  );
  const shown = `${quote(from.path)} and ${quote(to.path)}`;
  if (source === target) throw new SftpError('EINVAL', `copyBetween: ${shown} are the same`);
  if (isDirectory && target?.startsWith(`${source}/`)) {
    throw new SftpError('EINVAL', `copyBetween: ${quote(to.path)} lies in ${quote(from.path)}`);
  }
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
