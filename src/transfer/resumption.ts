/** Going on with what an earlier attempt has left of a file. */
import type { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { MAX_SPREAD } from './copy-content.js';
import { type Cancellable, isMissing, type Place, type SourceFile } from './file-system.js';
import { type Beginning, drop, type Journal, rest } from './journal.js';
import type { Leftovers } from './leftovers.js';
import { type ComparisonOptions, isBeginning } from './prefix-comparison.js';
import { releaseTemporary, restingPath, temporaryPath, UNKNOWN_SOURCE } from './temporary-file.js';

export interface FindOptions extends Cancellable {
  readonly journal: Journal | undefined;
  /** Looks for what earlier programs have left, where given. */
  readonly leftovers: Leftovers | undefined;
}

/**
 * Finds content to go on with, and takes it under a name of our own, so that nobody else does. It is compared with
 * the source; what differs is removed.
 */
export async function findBeginning(
  file: SourceFile,
  source: string,
  target: Place,
  { journal, leftovers, signal }: FindOptions,
): Promise<Beginning | undefined> {
  if (source === UNKNOWN_SOURCE) return undefined;
  const noted = journal?.takeBeginning(target);
  const found = noted ?? (leftovers && (await claim(source, target, leftovers, signal)));
  if (found === undefined) return undefined;
  try {
    // What this very transfer has written is known; what was found may have had any fate since.
    const thoroughly = noted === undefined;
    if (await isUsable(found, file, source, target, { thoroughly, signal })) return found;
  } catch (error) {
    if (journal?.goesOnAfter(error)) journal.noteBeginning(target, found);
    else if (leftovers !== undefined) await rest(target, found).catch(() => {});
    throw error;
  }
  if (!found.path.equals(target.path)) await drop(target, found.path, journal);
  return undefined;
}

async function isUsable(
  { path, bytes, source: itsSource }: Beginning,
  file: SourceFile,
  source: string,
  target: Place,
  options: ComparisonOptions,
): Promise<boolean> {
  const { size = 0 } = file.info;
  if (itsSource !== source || bytes === 0 || bytes > size) return false;
  return isBeginning(file, { ...target, path }, bytes, options);
}

async function claim(
  source: string,
  target: Place,
  leftovers: Leftovers,
  signal: AbortSignal | undefined,
): Promise<Beginning | undefined> {
  await untilAborted(leftovers.settled(target), signal);
  const resting = await take(restingPath(target, source), source, target);
  if (resting !== undefined) {
    const { size = 0 } = await target.fileSystem.lstat(resting, { signal });
    return { path: resting, bytes: size, source };
  }
  const leftover = await leftovers.take(target, source, { signal }).catch(() => undefined);
  if (leftover === undefined) return undefined;
  const path = await take(leftover.path, source, target);
  // Its writer may have died between two writes of which only the later one arrived.
  return path === undefined ? undefined : { path, bytes: Math.max(0, leftover.size - MAX_SPREAD), source };
}

/** Only one of all who try succeeds. */
async function take(from: Buffer, source: string, target: Place): Promise<Buffer | undefined> {
  const path = temporaryPath(target, source);
  try {
    await target.fileSystem.rename(from, path);
    return path;
  } catch (error) {
    releaseTemporary(target, path);
    if (isMissing(error)) return undefined;
    throw error;
  }
}
