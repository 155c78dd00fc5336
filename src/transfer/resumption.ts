/** Going on with what an earlier attempt has left of a file. */
import { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { MAX_SPREAD } from './copy-content.js';
import { type Cancellable, isMissing, type Place, type SourceFile } from './file-system.js';
import { type Beginning, drop, type Journal, rest } from './journal.js';
import type { Leftovers } from './leftovers.js';
import { releaseTemporary, restingPath, temporaryPath, UNKNOWN_SOURCE } from './temporary-file.js';

/** How far from each end of what is there it is compared with the source. */
const CHECKED_LENGTH = 256 * 1024;

export interface FindOptions extends Cancellable {
  readonly journal: Journal | undefined;
  /** Looks for what earlier programs have left, where given. */
  readonly leftovers: Leftovers | undefined;
}

/**
 * Finds content to go on with, and takes it under a name of our own, so that nobody else does. It is compared with
 * the source at both its ends; what differs is removed.
 */
export async function findBeginning(
  file: SourceFile,
  source: string,
  target: Place,
  { journal, leftovers, signal }: FindOptions,
): Promise<Beginning | undefined> {
  if (source === UNKNOWN_SOURCE) return undefined;
  const found =
    journal?.takeBeginning(target) ?? (leftovers && (await claim(source, target, leftovers, signal)));
  if (found === undefined) return undefined;
  try {
    if (await isUsable(found, file, source, target, signal)) return found;
  } catch (error) {
    if (journal?.goesOnAfter(error)) journal.noteBeginning(target, found);
    else if (leftovers !== undefined) await rest(target, found).catch(() => {});
    throw error;
  }
  if (!found.path.equals(target.path)) await drop(target, found.path);
  return undefined;
}

async function isUsable(
  { path, bytes, source: itsSource }: Beginning,
  file: SourceFile,
  source: string,
  target: Place,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { size = 0 } = file.info;
  if (itsSource !== source || bytes === 0 || bytes > size) return false;
  return isSame(file, { ...target, path }, bytes, signal);
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

async function isSame(
  file: SourceFile,
  target: Place,
  bytes: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { fileSystem, path } = target;
  const there = await fileSystem.openSource(path, { signal }).catch((error) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (there === undefined) return false;
  const length = Math.min(CHECKED_LENGTH, bytes);
  try {
    for (const start of new Set([bytes - length, 0])) {
      const [ours, theirs] = await Promise.all([
        readPart(file, start, length, signal),
        readPart(there, start, length, signal),
      ]);
      if (ours.length < length || !ours.equals(theirs)) return false;
    }
    return true;
  } finally {
    await there.close({ signal });
  }
}

/** Small enough for every server. */
const PART_LENGTH = 32 * 1024;

async function readPart(
  file: SourceFile,
  start: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const offsets = Array.from({ length: Math.ceil(length / PART_LENGTH) }, (_, index) => index * PART_LENGTH);
  const parts = await Promise.all(
    offsets.map((offset) => readWhole(file, start + offset, Math.min(PART_LENGTH, length - offset), signal)),
  );
  return Buffer.concat(parts);
}

async function readWhole(
  file: SourceFile,
  start: number,
  length: number,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let count = 0;
  while (count < length) {
    const more = await file.read(start + count, length - count, { signal });
    if (more === null) break;
    for (const piece of more) {
      pieces.push(piece);
      count += piece.length;
    }
  }
  return Buffer.concat(pieces);
}
