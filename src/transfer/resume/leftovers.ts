/**
 * What earlier copies have left in a directory: content that may be gone on with, and files of programs that were
 * killed, which are removed. Nothing is touched that somebody may still write, or that is not ours. Each directory is
 * looked at once in a while.
 */
import type { Buffer } from 'node:buffer';
import { setTimeout } from 'node:timers/promises';
import { type PathKey, pathKey } from '../../shared/remote-path.js';
import type { Cancellable, FileInfo, FileSystem, Place } from '../file-system.js';
import { UNKNOWN_INFO } from '../memory.js';
import {
  isBeingWritten,
  ownerMark,
  readTemporaryName,
  type TemporaryName,
  takeBlindness,
  targetMark,
} from './temporary-file.js';

interface Leftover extends TemporaryName {
  readonly path: Buffer;
  readonly info: FileInfo;
  /** `undefined` where nobody can tell. */
  readonly isWritten: false | undefined;
}

const HOUR_S = 60 * 60;
const DAY_S = 24 * HOUR_S;
/**
 * A writer who is out of sight, and has written nothing for so long, has been given up: another one may go on with it
 * after an hour, which costs the first one his copy at most, and it is removed after a day. Nobody resumes after a week.
 */
const MAX_SILENCE_S = HOUR_S;
const MAX_AGE_S = DAY_S;
const MAX_RESTING_AGE_S = 7 * DAY_S;
/** By how much the clocks of two machines may differ before files of silent writers stay where they are. */
const MAX_SKEW_S = HOUR_S / 2;
/** A file gets the time of its source at its end: what looks old may be new, and is looked at a second time. */
const SECOND_LOOK_MS = 2_000;
/** A directory of more entries is not read to its end only to tidy up. */
const MAX_ENTRIES = 10_000;
/** Directories that are remembered, and for how long. */
const MAX_DIRECTORIES = 10_000;
const MEMORY_MS = 30_000;

/** What is remembered of a directory. */
interface Directory {
  readonly lookedAtMs: number;
  readonly found: Promise<Leftover[]>;
  newFile?: Promise<FileInfo>;
}

export class Leftovers {
  readonly #directories = new Map<PathKey, Directory>();
  readonly #secondLookMs: number;

  constructor({ secondLookMs = SECOND_LOOK_MS }: { readonly secondLookMs?: number } = {}) {
    this.#secondLookMs = secondLookMs;
  }

  /** Removes what dead programs have left in a directory, save for what somebody may come back for by his name. */
  async tidy(directory: Place, options: Cancellable): Promise<void> {
    const found = await this.#of(directory, options).found;
    const mayBeDead = found.filter((one) => isDead(one, Date.now() / 1000 + MAX_SKEW_S));
    // Most often there is none, and then nobody need ask whose it is, and what time it is there.
    if (mayBeDead.length === 0) return;
    const usual = await this.newFile(directory, options);
    const dead = mayBeDead.filter((one) => isOurs(one.info, usual) && isDead(one, timeOf(usual)));
    await this.#remove(directory.fileSystem, dead, options);
    takeFrom(found, dead);
  }

  /**
   * At the end of a transfer that resumes: what it has not come for goes too. And after a lost connection what a server
   * has made so late that no look at the beginning could find it.
   */
  async tidyBehind(directory: Place, options: Cancellable & { readonly resumes: boolean }): Promise<void> {
    const isBlind = takeBlindness(directory.path);
    if (isBlind) this.#directories.delete(pathKey(directory.path));
    // That it cannot be done is no failure of the transfer.
    if (isBlind || options.resumes) await this.tidy(directory, options).catch(() => {});
  }

  /**
   * Unfinished content for a target, from the same source, whose writer is gone, or has been given up, or calls himself
   * what the caller does. It is not told a second time; what there is for the target from other sources is removed.
   */
  async find(
    target: Place,
    source: string,
    { signal, owner }: Cancellable & { readonly owner?: string | undefined },
  ): Promise<readonly Buffer[]> {
    const directory = directoryOf(target);
    const { fileSystem } = target;
    const found = await this.#of(directory, { signal }).found;
    const mark = targetMark(target);
    const candidates = found.filter((one) => one.target === mark);
    if (candidates.every((one) => isResting(one, source))) return [];
    const usual = await this.newFile(directory, { signal });
    const isGivenUp = ({ isWritten, info }: Leftover) =>
      isWritten === false || timeOf(usual) - timeOf(info) > MAX_SILENCE_S;
    const own = candidates.filter((one) => isOurs(one.info, usual));
    const stale = own.filter((one) => one.source !== source && isGivenUp(one));
    const isWanted = (one: Leftover) =>
      one.source === source &&
      !isResting(one, source) &&
      (isGivenUp(one) || one.owner === ownerMark(owner ?? ''));
    const wanted = own.filter(isWanted);
    takeFrom(found, [...stale, ...wanted]);
    await this.#remove(fileSystem, stale, { signal });
    return wanted.map(({ path }) => path);
  }

  /** Removes unfinished content for a target that is complete: what an owner has left, and what nobody has claimed. */
  async discard(target: Place, owner: string, options: Cancellable): Promise<void> {
    this.forget(target);
    const directory = directoryOf(target);
    const found = await this.#of(directory, options).found;
    const [mark, name] = [targetMark(target), ownerMark(owner)];
    const isNeedless = (one: Leftover) =>
      one.target === mark && (one.owner === name || (one.owner === undefined && one.writer === undefined));
    const needless = found.filter(isNeedless);
    if (needless.length === 0) return;
    const usual = await this.newFile(directory, options);
    const own = needless.filter((one) => isOurs(one.info, usual));
    takeFrom(found, own);
    for (const { path } of own) await directory.fileSystem.removeFile(path, {}).catch(() => {});
  }

  /** What a new file of ours is like there; asked once in a while. */
  newFile(directory: Place, options: Cancellable): Promise<FileInfo> {
    const { fileSystem, path } = directory;
    const known = this.#of(directory, options);
    known.newFile ??= fileSystem.newFile(path, options);
    // The next transfer tries for itself.
    known.newFile.catch(() => delete known.newFile);
    return known.newFile;
  }

  /** Something was left in the directory of a target just now. */
  forget(target: Place): void {
    this.#directories.delete(pathKey(directoryOf(target).path));
  }

  #of(directory: Place, options: Cancellable): Directory {
    const key = pathKey(directory.path);
    const known = this.#directories.get(key);
    const nowMs = performance.now();
    if (known !== undefined && nowMs - known.lookedAtMs < MEMORY_MS) return known;
    if (this.#directories.size >= MAX_DIRECTORIES) this.#directories.clear();
    const looking = { lookedAtMs: nowMs, found: look(directory, options) };
    this.#directories.set(key, looking);
    // The next transfer tries for itself.
    looking.found.catch(() => this.#directories.get(key) === looking && this.#directories.delete(key));
    return looking;
  }

  /** Somebody else may tidy up at the same time. */
  async #remove(fileSystem: FileSystem, dead: readonly Leftover[], options: Cancellable): Promise<void> {
    const [silent, gone] = [dead.filter(isOutOfSight), dead.filter((one) => !isOutOfSight(one))];
    for (const { path } of gone) await fileSystem.removeFile(path, {}).catch(() => {});
    if (silent.length === 0) return;
    await setTimeout(this.#secondLookMs, undefined, { ...(options.signal && { signal: options.signal }) });
    for (const { path, info } of silent) {
      const { size, mtime } = await fileSystem.lstat(path, options).catch(() => UNKNOWN_INFO);
      const isSame = size === info.size && mtime === info.mtime;
      if (isSame) await fileSystem.removeFile(path, {}).catch(() => {});
    }
  }
}

async function look({ fileSystem, path: directory }: Place, options: Cancellable): Promise<Leftover[]> {
  const found: Leftover[] = [];
  let count = 0;
  for await (const batch of fileSystem.list(directory, options)) {
    for (const { name, info } of batch) {
      const told = readTemporaryName(name);
      if (told === undefined || info.type !== 'file') continue;
      const isWritten = told.writer === undefined ? false : isBeingWritten(name, told.writer);
      if (isWritten === true) continue;
      const path = fileSystem.join(directory, name);
      // A listing need not tell whose it is.
      const seen = await fileSystem.lstat(path, options).catch(() => undefined);
      if (seen?.type === 'file') found.push({ ...told, path, info: seen, isWritten });
    }
    count += batch.length;
    if (count > MAX_ENTRIES) break;
  }
  return found;
}

/** What has a writer who is gone for certain goes at once, unless he has told by what name he comes back. */
function isDead({ writer, owner, isWritten, info }: Leftover, nowS: number): boolean {
  if (isWritten === false && writer !== undefined && owner === undefined) return true;
  const maxAgeS = writer === undefined || owner !== undefined ? MAX_RESTING_AGE_S : MAX_AGE_S;
  return nowS - timeOf(info) > maxAgeS;
}

/** Content of that source that nobody writes: a transfer that wants it knows its name. */
function isResting({ writer, source: itsSource }: Leftover, source: string): boolean {
  return writer === undefined && itsSource === source;
}

function isOutOfSight({ isWritten }: Leftover): boolean {
  return isWritten === undefined;
}

/** Whether a file belongs to whom our new files do, and nobody may write to it who may not write to those. */
export function isOurs({ uid, mode = 0 }: FileInfo, usual: FileInfo): boolean {
  return uid === usual.uid && (mode & 0o022 & ~(usual.mode ?? 0o777)) === 0;
}

/** What nobody tells is taken for new. */
function timeOf({ mtime = Date.now() / 1000 }: FileInfo): number {
  return mtime;
}

/** Others may have taken some of them meanwhile. */
function takeFrom(found: Leftover[], taken: readonly Leftover[]): void {
  for (const one of taken) {
    const at = found.indexOf(one);
    if (at >= 0) found.splice(at, 1);
  }
}

function directoryOf({ fileSystem, path }: Place): Place {
  return { fileSystem, path: fileSystem.split(path).directory };
}
