/**
 * Waiting for what others do on the server. SFTP tells nobody of changes, so that listings are compared, one after
 * the other: while the consumer is busy, nothing is asked.
 */
import type { Buffer } from 'node:buffer';
import { onAbort } from '../abort.js';
import { kindOf } from '../arguments.js';
import { byCodePoint } from '../code-point-order.js';
import { SftpStatusError, TimeoutError } from '../errors.js';
import { printable } from '../printable.js';
import { encodePath, type RemotePath } from '../remote-path.js';
import { pause } from '../retry.js';
import type { SftpClient } from '../session/sftp-client.js';
import { hasCode } from '../transfer/file-system.js';
import type { FileAttributes } from '../wire/attributes.js';
import { findMatches } from './glob.js';
import { walkTree } from './walk.js';

/** Options of {@link Connection.waitForFile}. */
export interface WaitForFileOptions {
  /** Milliseconds for which size and modification time must not change. Default: 2,000; 0: as soon as it is there. */
  readonly stableFor?: number | undefined;
  /** Milliseconds between two looks. Default: 1,000. */
  readonly pollInterval?: number | undefined;
  /** Milliseconds after which it rejects with a `TimeoutError`. Default: it waits without end. */
  readonly timeout?: number | undefined;
  /** Ends the waiting with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** A file that was waited for. */
export interface FoundFile {
  /** As {@link Connection.glob} gives it. */
  readonly path: string;
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
  /** Ends the watch: the loop throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What has happened between two looks at a directory. */
export type WatchEvent =
  | {
      readonly type: 'created';
      readonly path: string;
      readonly pathBytes: Uint8Array;
      readonly attributes: FileAttributes;
    }
  | {
      readonly type: 'changed';
      readonly path: string;
      readonly pathBytes: Uint8Array;
      readonly attributes: FileAttributes;
      readonly previous: FileAttributes;
    }
  | {
      readonly type: 'removed';
      readonly path: string;
      readonly pathBytes: Uint8Array;
      readonly previous: FileAttributes;
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
  /** Aborts when the connection is closed. */
  readonly closed: AbortSignal;
  readonly clock?: Clock | undefined;
}

const POLL_INTERVAL_MS = 1000;
const STABLE_FOR_MS = 2000;
/** Longer timers fire at once. */
const MAX_MS = 2 ** 31 - 1;

interface Candidate extends FoundFile {
  /** Since when it has been as it is. */
  readonly sinceMs: number;
}

export async function waitForFile(
  { client, resolve, closed, clock = realClock }: Watcher,
  pattern: string,
  options: WaitForFileOptions,
): Promise<FoundFile> {
  const stableForMs = checkMilliseconds('stableFor', options.stableFor ?? STABLE_FOR_MS, 0);
  const pollMs = checkMilliseconds('pollInterval', options.pollInterval ?? POLL_INTERVAL_MS, 1);
  const { timeout } = options;
  if (timeout !== undefined) checkMilliseconds('timeout', timeout, 0);
  let known: ReadonlyMap<string, Candidate> = new Map();
  using abort = new Abort(closed, options.signal);
  const { signal } = abort;
  if (timeout !== undefined) {
    abort.callOffs.push(clock.after(timeout, () => abort.fail(timedOut(pattern, timeout, known.size))));
  }
  for (;;) {
    known = await look(known);
    const nowMs = clock.now();
    let waitMs = pollMs;
    for (const { path, attributes, sinceMs } of known.values()) {
      const leftMs = sinceMs + stableForMs - nowMs;
      if (leftMs <= 0) return { path, attributes };
      waitMs = Math.min(waitMs, leftMs);
    }
    await clock.sleep(waitMs, signal);
  }

  /** The regular files that fit, each with the time since which it has not changed. */
  async function look(before: ReadonlyMap<string, Candidate>): Promise<ReadonlyMap<string, Candidate>> {
    const paths = await findMatches(client, pattern, resolve, { signal });
    const found = await Promise.all(
      paths.map(async (path) => ({
        path,
        attributes: await unlessGone(client.stat(resolve(path), { signal })),
      })),
    );
    const nowMs = clock.now();
    const after = new Map<string, Candidate>();
    for (const { path, attributes } of found) {
      if (attributes === undefined || !(attributes.isFile() || attributes.type === 'unknown')) continue;
      const last = before.get(path);
      const isSame = last !== undefined && isUnchanged(last.attributes, attributes);
      after.set(path, { path, attributes, sinceMs: isSame ? last.sinceMs : nowMs });
    }
    return after;
  }
}

export async function* watchDirectory(
  { client, resolve, closed, clock = realClock }: Watcher,
  directory: RemotePath,
  options: WatchOptions,
): AsyncGenerator<WatchEvent, void, undefined> {
  const pollMs = checkMilliseconds('pollInterval', options.pollInterval ?? POLL_INTERVAL_MS, 1);
  const { recursive = false, initial = false } = options;
  using abort = new Abort(closed, options.signal);
  const { signal } = abort;
  const list = () => snapshot(client, resolve(directory), encodePath(directory), { recursive, signal });
  let known: Snapshot = initial ? new Map() : await list();
  for (let isFirst = initial; ; isFirst = false) {
    if (!isFirst) await clock.sleep(pollMs, signal);
    const found = await list();
    for (const event of differences(known, found)) {
      signal.throwIfAborted();
      yield event;
    }
    known = found;
  }
}

interface Seen {
  readonly path: string;
  readonly pathBytes: Uint8Array;
  readonly attributes: FileAttributes;
}

/** By paths as bytes in latin1. */
type Snapshot = ReadonlyMap<string, Seen>;

async function snapshot(
  client: SftpClient,
  path: Buffer,
  shown: Buffer,
  { recursive, signal }: { readonly recursive: boolean; readonly signal: AbortSignal },
): Promise<Snapshot> {
  const found = new Map<string, Seen>();
  const walk = walkTree(client, path, shown, {
    signal,
    ...(recursive ? {} : { maxDepth: 1 }),
    // A directory below may go while it is looked at, and its content with it.
    onError: (error, failed) => {
      if (failed === shown.toString() || !(error instanceof SftpStatusError && error.code === 'ENOENT'))
        throw error;
    },
  });
  for await (const { path, pathBytes, attributes } of walk) {
    found.set((pathBytes as Buffer).toString('latin1'), { path, pathBytes, attributes });
  }
  return found;
}

/** What has gone first, then what is new or has changed, both by path. A directory changes only with its kind. */
function differences(before: Snapshot, after: Snapshot): WatchEvent[] {
  const events: WatchEvent[] = [];
  for (const key of [...before.keys()].sort(byCodePoint)) {
    const last = before.get(key);
    const now = after.get(key);
    if (last === undefined || (now !== undefined && now.attributes.type === last.attributes.type)) continue;
    const { path, pathBytes, attributes: previous } = last;
    events.push({ type: 'removed', path, pathBytes, previous });
  }
  for (const key of [...after.keys()].sort(byCodePoint)) {
    const previous = before.get(key)?.attributes;
    const now = after.get(key);
    if (now === undefined) continue;
    if (previous?.type !== now.attributes.type) events.push({ type: 'created', ...now });
    else if (!now.attributes.isDirectory() && !isUnchanged(previous, now.attributes)) {
      events.push({ type: 'changed', ...now, previous });
    }
  }
  return events;
}

function isUnchanged(before: FileAttributes, after: FileAttributes): boolean {
  return before.size === after.size && before.mtime === after.mtime;
}

async function unlessGone(asking: Promise<FileAttributes>): Promise<FileAttributes | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return undefined;
    throw error;
  }
}

function timedOut(pattern: string, timeoutMs: number, candidates: number): TimeoutError {
  const what =
    candidates === 0 ? 'no file fits' : `${candidates} files fit, but none of them has come to rest`;
  return new TimeoutError(`waitForFile '${printable(pattern, 300)}': ${what} after ${timeoutMs} ms`);
}

/** Aborts with the first of some signals, and lets go of them at the end of the block. */
class Abort implements Disposable {
  readonly #controller = new AbortController();
  /** What is to be called off in the end. */
  readonly callOffs: (() => void)[] = [];

  constructor(...signals: readonly (AbortSignal | undefined)[]) {
    for (const signal of signals) {
      if (signal?.aborted) this.fail(signal.reason);
      this.callOffs.push(onAbort(signal, (reason) => this.fail(reason)));
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  fail(reason: unknown): void {
    this.#controller.abort(reason);
  }

  [Symbol.dispose](): void {
    for (const callOff of this.callOffs) callOff();
  }
}

function checkMilliseconds(name: string, value: unknown, min: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${kindOf(value)}`);
  if (!(value >= min && value <= MAX_MS)) {
    throw new RangeError(`${name} ${value} is not between ${min} and ${MAX_MS} milliseconds`);
  }
  return value;
}
