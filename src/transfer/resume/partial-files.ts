/**
 * The partial files of a transfer. Those of its own attempts are in its {@link Journal}, with what was confirmed to them;
 * those of earlier runs lie beside the target, and {@link Leftovers} finds them.
 */
import type { Buffer } from 'node:buffer';
import { isLost } from '../../shared/retry.js';
import { MAX_SPREAD } from '../engine/copy-content.js';
import type { Cancellable, FileInfo, Place, ReopenedFile, SourceFile } from '../file-system.js';
import type { Journal } from './journal.js';
import { isOurs, type Leftovers } from './leftovers.js';
import { drop, type PartialFile, rest } from './partial-file.js';
import { type ComparisonOptions, isBeginning } from './prefix-comparison.js';
import {
  leaveBlindly,
  leaveTemporary,
  restingPath,
  temporaryPath,
  UNKNOWN_SOURCE,
} from './temporary-file.js';

export interface FindOptions extends Cancellable, Pick<ComparisonOptions, 'throttle'> {
  readonly journal: Journal | undefined;
  /** Looks for what earlier programs have left, where given. */
  readonly leftovers: Leftovers | undefined;
  /** What the caller calls himself. */
  readonly owner?: string | undefined;
}

export interface LeaveOptions extends Cancellable {
  readonly journal?: Journal | undefined;
  /** Takes it for a later run, where given. */
  readonly resume?: Leftovers | undefined;
}

/** Content that may be the beginning of a file, and how far it can be trusted. */
type Found = PartialFile & { readonly depth: ComparisonOptions['depth'] | 'none' };

/**
 * Finds content to go on with, and takes it under a name of our own, so that nobody else does. It is compared with
 * the source; what differs is removed.
 */
export async function findPartial(
  file: SourceFile,
  source: string,
  target: Place,
  options: FindOptions,
): Promise<PartialFile | undefined> {
  if (source === UNKNOWN_SOURCE) return undefined;
  const { journal, leftovers, signal, throttle } = options;
  const noted = journal?.takePartial(target);
  const keepNoted = (error: unknown) => {
    if (noted !== undefined) journal?.notePartial(target, noted);
    throw error;
  };
  const found = noted
    ? await reopened(noted, target, signal).catch(keepNoted)
    : leftovers && (await claim(source, target, leftovers, options));
  if (found === undefined) {
    if (noted !== undefined && !noted.path.equals(target.path))
      await drop(target, noted.path, { journal, signal });
    return undefined;
  }
  try {
    if (await isUsable(found, file, source, target, { throttle, signal })) return found;
  } catch (error) {
    await found.reopened?.close().catch(() => {});
    if (journal?.goesOnAfter(error)) journal.notePartial(target, found);
    else if (leftovers !== undefined) await rest(target, found, { signal }).catch(() => {});
    throw error;
  }
  await found.reopened?.close().catch(() => {});
  if (!found.path.equals(target.path)) await drop(target, found.path, { journal, signal });
  return undefined;
}

/** What a copy leaves that has failed: for the next attempt, for a later run, or nothing. */
export async function leavePartial(
  target: Place,
  partial: PartialFile,
  error: unknown,
  { journal, resume, signal }: LeaveOptions,
): Promise<void> {
  const { path } = partial;
  if (journal?.goesOnAfter(error)) return journal.notePartial(target, partial);
  // What was written in place is the caller's.
  if (path.equals(target.path)) return;
  if (!target.fileSystem.isReachable) leaveBlindly(target, path);
  else if (resume !== undefined && partial.bytes > 0 && partial.source !== UNKNOWN_SOURCE)
    await rest(target, partial, { signal }).catch(() => {});
  else return drop(target, path, { journal, signal });
  resume?.forget(target);
}

/**
 * What this very transfer has written was confirmed to it, and is not read again. Where it is written in place, the file is
 * the caller's.
 */
async function reopened(
  { path, bytes, source }: PartialFile,
  target: Place,
  signal: AbortSignal | undefined,
): Promise<Found | undefined> {
  const found = { path, bytes, source, depth: 'none' } as const;
  if (path.equals(target.path)) return found;
  const file = await target.fileSystem.reopen(path, { signal });
  return file && { ...found, reopened: file };
}

async function isUsable(
  { path, bytes, source: itsSource, reopened, depth }: Found,
  file: SourceFile,
  source: string,
  target: Place,
  options: Omit<ComparisonOptions, 'depth'>,
): Promise<boolean> {
  const { size = 0 } = file.info;
  if (itsSource !== source || bytes === 0 || bytes > size) return false;
  // A server that has crashed meanwhile may have lost what it had confirmed.
  if (depth === 'none') return (reopened?.info.size ?? bytes) >= bytes;
  return isBeginning(file, reopened?.content ?? { ...target, path }, bytes, { ...options, depth });
}

async function claim(
  source: string,
  target: Place,
  leftovers: Leftovers,
  { signal, owner }: FindOptions,
): Promise<Found | undefined> {
  const candidates = async function* () {
    yield { path: restingPath(target, source), spare: 0 };
    // Its writer may have died between two writes of which only the later one arrived.
    for (const path of await leftovers.find(target, source, { signal, owner }))
      yield { path, spare: MAX_SPREAD };
  };
  try {
    for await (const { path, spare } of candidates()) {
      const file = await target.fileSystem.reopen(path, { signal });
      const found = file && (await adopt(file, path, { target, source, leftovers, signal, owner }));
      if (found !== undefined) return { ...found, bytes: Math.max(0, found.bytes - spare) };
      await file?.close();
    }
  } catch (error) {
    // That nothing can be found is no failure of the copy.
    if (isLost(error) || signal?.aborted) throw error;
  }
  return undefined;
}

interface Adoption extends Cancellable {
  readonly target: Place;
  readonly source: string;
  readonly leftovers: Leftovers;
  readonly owner: string | undefined;
}

/** Takes it where it is ours for certain; only one of all who try succeeds. */
async function adopt(
  file: ReopenedFile,
  from: Buffer,
  { target, source, leftovers, signal, owner }: Adoption,
): Promise<Found | undefined> {
  const { fileSystem } = target;
  const { directory } = fileSystem.split(target.path);
  const usual = await leftovers.newFile({ fileSystem, path: directory }, { signal });
  if (!isOurs(file.info, usual) || (file.links ?? 1) !== 1) return undefined;
  const path = temporaryPath(target, source, owner);
  try {
    await fileSystem.rename(from, path, {});
    if (!(await file.isAt(path))) return undefined;
  } catch (error) {
    leaveTemporary(target, path);
    if (isLost(error)) throw error;
    return undefined;
  }
  const isAlone = isOursAlone(await fileSystem.stat(directory, { signal }), usual);
  const depth = isAlone ? 'hashes' : 'everything';
  return { path, bytes: file.info.size ?? 0, source, reopened: file, depth };
}

/** Whether nobody else can have laid anything into a directory. */
function isOursAlone({ uid, mode }: FileInfo, usual: FileInfo): boolean {
  return uid !== undefined && uid === usual.uid && mode !== undefined && (mode & 0o022) === 0;
}
