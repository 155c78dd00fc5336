/**
 * Waiting for what others do on the server. SFTP tells nobody of changes, so that listings are compared, one after
 * the other: while the consumer is busy, nothing is asked.
 */
import { Buffer } from 'node:buffer';
import { TimeoutError } from '../../errors.js';
import { attributesOf } from '../../session/directory-reader.js';
import type { SftpClient } from '../../session/sftp-client.js';
import { FirstOf } from '../../shared/abort.js';
import { kindOf } from '../../shared/arguments.js';
import { LongWork } from '../../shared/event-loop.js';
import type { OptionTable } from '../../shared/option-checks.js';
import { printable } from '../../shared/printable.js';
import { forEachLimited } from '../../shared/promises.js';
import { baseName, decodePath, encodePath, type RemotePath } from '../../shared/remote-path.js';
import { pause } from '../../shared/retry.js';
import { unlessCode } from '../../transfer/file-system.js';
import type { FileAttributes } from '../../wire/attributes.js';
import type { PackedEntry } from '../../wire/packed-entries.js';
import { findPacked } from './glob.js';
import { Level, merged, NOTHING } from './level.js';
import { Stability } from './stability.js';
import { differences, holdBack, lookBelow, type WatchEvent, type WatchedTree } from './watched-tree.js';

/** Options of {@link Connection.waitForFile}. */
export interface WaitForFileOptions {
  /**
   * Milliseconds for which nothing must have been written to the file. Modification times are whole seconds, so size and
   * time are watched for one second longer, and for two seconds at least. 0: as soon as it is there, also if it is still
   * being written. Default: 2,000.
   */
  readonly stableFor?: number | undefined;
  /** Milliseconds between two looks. Default: 1,000. */
  readonly pollInterval?: number | undefined;
  /** Milliseconds after which it rejects with a `TimeoutError`. Default: it waits without end. */
  readonly timeout?: number | undefined;
  /** Ends the waiting with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export const WAIT_OPTIONS: OptionTable<WaitForFileOptions> = {
  stableFor: 'checked',
  pollInterval: 'checked',
  timeout: 'checked',
  signal: 'signal',
};

/** A file that was waited for. */
export interface FoundFile {
  /** As {@link Connection.glob} gives it. */
  readonly path: string;
  /** The same as bytes, for names that are not UTF-8. */
  readonly pathBytes: Uint8Array;
  readonly attributes: FileAttributes;
}

/** Options of {@link Connection.watch}. */
export interface WatchOptions {
  /** Milliseconds between two looks. Default: 1,000. */
  readonly pollInterval?: number | undefined;
  /** Everything below the directory, not only what lies in it. Default: false. */
  readonly recursive?: boolean | undefined;
  /** Tells also what is there at first, as `created`. Default: false. */
  readonly initial?: boolean | undefined;
  /**
   * Tells of a new or changed file only when nothing has been written to it for so many milliseconds, in the way of
   * {@link WaitForFileOptions.stableFor}. Default: 0, every change at once.
   */
  readonly stableFor?: number | undefined;
  /** Ends the watch: the loop throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export const WATCH_OPTIONS: OptionTable<WatchOptions> = {
  pollInterval: 'checked',
  recursive: 'boolean',
  initial: 'boolean',
  stableFor: 'checked',
  signal: 'signal',
};

/** Time, so that tests need not wait. */
export interface Clock {
  /** Milliseconds, from anywhere. */
  now(): number;
  /** Rejects with the signal's reason as soon as that aborts, and leaves no timer behind. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
  /** Calls back once that time is over, unless the function that it gives is called before. */
  after(milliseconds: number, callback: () => void): () => void;
}

const realClock: Clock = {
  now: () => performance.now(),
  sleep: pause,
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

/** Whom the waiting is done for. */
export interface Watcher {
  readonly client: SftpClient;
  /** The path as it is sent. */
  readonly resolve: (path: RemotePath) => Buffer;
  /** Aborts when no call will be answered any more. */
  readonly closed: AbortSignal;
  /** Whether a look that failed may be taken again, over a connection that lives; by default it may not. */
  readonly restore?: ((error: unknown, signal: AbortSignal) => Promise<boolean>) | undefined;
  readonly clock?: Clock | undefined;
}

const POLL_INTERVAL_MS = 1000;
const STABLE_FOR_MS = 2000;
/** Longer timers fire at once. */
const MAX_MS = 2 ** 31 - 1;

/** A file that has been found is not there any more, or may not be looked at. */
const GONE = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES'] as const;

/** Links that are asked for at once. */
const MAX_QUESTIONS = 500;

export async function waitForFile(
  watcher: Watcher,
  pattern: string,
  options: WaitForFileOptions,
): Promise<FoundFile> {
  const { closed, clock = realClock } = watcher;
  const stability = stabilityFor(options.stableFor ?? STABLE_FOR_MS, clock);
  const pollMs = checkMilliseconds('pollInterval', options.pollInterval ?? POLL_INTERVAL_MS, 1);
  const { timeout } = options;
  if (timeout !== undefined) checkMilliseconds('timeout', timeout, 0);
  using abort = new FirstOf(closed, options.signal);
  const { signal } = abort;
  let known: Level = NOTHING;
  let candidates = 0;
  if (timeout !== undefined) {
    abort.callOffs.push(clock.after(timeout, () => abort.fail(timedOut(pattern, timeout, candidates))));
  }
  for (;;) {
    const found = await lookAgain(watcher, signal, () => lookFor(watcher, pattern, signal));
    stability.noteLook();
    let files = 0;
    const work = new LongWork();
    for (const { before, now } of merged(known, found)) {
      await work.step();
      const file = found.entryAt(now);
      if (now === undefined || file === undefined) continue;
      files += 1;
      stability.note(known, found, { before, now });
      if (stability.isStable(found, now)) return fileOf(file);
    }
    candidates = files;
    known = found;
    await clock.sleep(Math.min(pollMs, stability.nextInMs([found])), signal);
  }
}

/** The regular files that fit. A listing tells what an entry is; only links are asked for what they lead to. */
async function lookFor({ client, resolve }: Watcher, pattern: string, signal: AbortSignal): Promise<Level> {
  const entries = await findPacked(client, pattern, resolve, { signal });
  const level = new Level({ entries, order: entries.sorted() }, { isTimed: true });
  await forEachLimited(places(), MAX_QUESTIONS, judge, { signal });
  return level;

  function* places(): Generator<number, void, undefined> {
    for (let place = 0; place < level.length; place = level.behind(place)) yield place;
  }

  async function judge(place: number): Promise<void> {
    const listed = level.listedAt(place);
    if (!isTold(listed)) await ask(place, Buffer.from(listed.name));
    else if (listed.type !== 'file') level.leaveOut(place);
  }

  async function ask(place: number, path: Buffer): Promise<void> {
    const attributes = await unlessCode(client.stat(resolve(path), { signal }), ...GONE);
    if (attributes === undefined || !(attributes.isFile() || attributes.type === 'unknown')) {
      level.leaveOut(place);
    } else level.learn(place, { type: attributes.type, attributes });
  }
}

function isTold({ type, attributes: { size, mtime } }: PackedEntry): boolean {
  return type !== 'symlink' && type !== 'unknown' && size !== undefined && mtime !== undefined;
}

function fileOf(entry: PackedEntry): FoundFile {
  const pathBytes = Buffer.from(entry.name);
  const attributes = attributesOf({ ...entry, name: baseName(pathBytes) });
  return { path: decodePath(pathBytes), pathBytes, attributes };
}

function stabilityFor(stableForMs: number, clock: Clock): Stability {
  return new Stability(checkMilliseconds('stableFor', stableForMs, 0), () => clock.now());
}

/** A look that fails with the connection is taken again when that is back. */
async function lookAgain<T>(
  { restore = async () => false }: Watcher,
  signal: AbortSignal,
  look: () => Promise<T>,
): Promise<T> {
  for (;;) {
    try {
      return await look();
    } catch (error) {
      signal.throwIfAborted();
      if (!(await restore(error, signal))) throw error;
    }
  }
}

export async function* watchDirectory(
  watcher: Watcher,
  directory: RemotePath,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  const { client, resolve, closed, clock = realClock } = watcher;
  const pollMs = checkMilliseconds('pollInterval', options.pollInterval ?? POLL_INTERVAL_MS, 1);
  const { recursive = false, initial = false, stableFor = 0 } = options;
  const stability = stabilityFor(stableFor, clock);
  using abort = new FirstOf(closed, options.signal);
  const { signal } = abort;
  const root = encodePath(directory);
  let known: WatchedTree = new Map();
  const look = () => {
    const details = { recursive, isTimed: stableFor > 0, signal };
    const places = { path: resolve(directory), shown: root };
    return lookAgain(watcher, signal, () => lookBelow(client, places, known, details));
  };
  if (!initial) known = await look();
  for (let isFirst = initial; ; isFirst = false) {
    if (!isFirst) await clock.sleep(Math.min(pollMs, stability.nextInMs(known.values())), signal);
    const found = await look();
    stability.noteLook();
    if (stableFor > 0) await holdBack(known, found, stability);
    for await (const event of differences(root, known, found)) {
      signal.throwIfAborted();
      yield event;
    }
    known = found;
  }
}

function timedOut(pattern: string, timeoutMs: number, candidates: number): TimeoutError {
  const what =
    candidates === 0 ? 'no file fits' : `${candidates} files fit, but none of them has come to rest`;
  return new TimeoutError(`waitForFile '${printable(pattern, 300)}': ${what} after ${timeoutMs} ms`);
}

function checkMilliseconds(name: string, value: unknown, min: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${kindOf(value)}`);
  if (!(value >= min && value <= MAX_MS)) {
    throw new RangeError(`${name} ${value} is not between ${min} and ${MAX_MS} milliseconds`);
  }
  return value;
}
