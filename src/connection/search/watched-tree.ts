/** What lies in a directory and below it at two looks, and what has happened between them. */
import { Buffer } from 'node:buffer';
import { attributesOf } from '../../session/directory-reader.js';
import type { SftpClient } from '../../session/sftp-client.js';
import { LongWork } from '../../shared/event-loop.js';
import { decodePath, type PathKey, pathKey } from '../../shared/remote-path.js';
import type { FileAttributes } from '../../wire/attributes.js';
import type { PackedEntry } from '../../wire/packed-entries.js';
import { isUnchanged, Level, merged, NOTHING } from './level.js';
import type { Stability } from './stability.js';
import { append, walkTree } from './walk.js';

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

/** Directories by their paths. */
export type WatchedTree = ReadonlyMap<PathKey, Level>;

/** What one look may take in memory: a million entries with names of 20 bytes. Two are kept at a time. */
const MAX_BYTES = 80 * 1024 * 1024;

interface LookOptions {
  readonly recursive: boolean;
  /** Somebody will note since when entries have been as they are. */
  readonly isTimed: boolean;
  readonly signal: AbortSignal;
}

/**
 * Of a directory that could not be listed this time, what was known before is taken to be there still.
 *
 * @throws SftpError (`LIMIT`) there is more than fits into memory
 */
export async function lookBelow(
  client: SftpClient,
  { path, shown }: { readonly path: Buffer; readonly shown: Buffer },
  known: WatchedTree,
  { recursive, isTimed, signal }: LookOptions,
): Promise<WatchedTree> {
  const found = new Map<PathKey, Level>();
  const unreadable: string[] = [];
  const options = {
    signal,
    ...(recursive ? {} : { maxDepth: 1 }),
    onError: (error: { readonly code: string }, _: string, failed: Uint8Array) => {
      if (Buffer.compare(failed, shown) === 0) throw error;
      // A directory below may go while it is looked at, and its content with it.
      if (error.code !== 'ENOENT') unreadable.push(pathKey(failed));
    },
  };
  const keeping = {
    maxBytes: MAX_BYTES,
    onLevel: (directory: Buffer, level: Pick<Level, 'entries' | 'order'>) =>
      void found.set(pathKey(directory), new Level(level, { isTimed })),
  };
  for await (const _ of walkTree(client, path, shown, options, keeping));
  if (unreadable.length === 0) return found;
  for (const [key, level] of known) {
    if (unreadable.some((path) => key === path || key.startsWith(`${path}/`))) found.set(key, level);
  }
  return found;
}

/** A file that is new or has changed, and may still be written, stays as it was known before. */
export async function holdBack(known: WatchedTree, found: WatchedTree, stability: Stability): Promise<void> {
  const work = new LongWork();
  for (const [key, now] of found) {
    const before = known.get(key) ?? NOTHING;
    // It could not be listed this time.
    if (before === now) continue;
    for (const { before: last, now: place } of merged(before, now)) {
      await work.step();
      if (place === undefined) continue;
      stability.note(before, now, { before: last, now: place });
      if (!stability.isStable(now, place)) holdFileBack(now, place, before.entryAt(last));
    }
  }
}

function holdFileBack(now: Level, place: number, told: PackedEntry | undefined): void {
  const entry = now.listedAt(place);
  if (entry.type !== 'file') return;
  if (told === undefined) now.leaveOut(place);
  else if (told.type === 'file' && !isUnchanged(told, entry)) now.keepOlder(place, told);
}

/** What has gone first, then what is new or has changed, both by path. A directory changes only with its kind. */
export async function* differences(
  root: Buffer,
  before: WatchedTree,
  after: WatchedTree,
): AsyncGenerator<WatchEvent, void, undefined> {
  const work = new LongWork();
  for (const [path, last, now] of namesOfBoth(root, before, after)) {
    await work.step();
    if (last === undefined || last.type === now?.type) continue;
    yield { type: 'removed', ...pathsOf(path()), previous: attributesOf(last) };
  }
  for (const [path, last, now] of namesOfBoth(root, before, after)) {
    await work.step();
    if (now === undefined) continue;
    if (last?.type !== now.type) {
      yield { type: 'created', ...pathsOf(path()), attributes: attributesOf(now) };
    } else if (now.type !== 'directory' && !isUnchanged(last, now)) {
      const attributes = attributesOf(now);
      yield { type: 'changed', ...pathsOf(path()), attributes, previous: attributesOf(last) };
    }
  }
}

function pathsOf(pathBytes: Buffer) {
  return { path: decodePath(pathBytes), pathBytes };
}

type NameOfBoth = readonly [() => Buffer, PackedEntry | undefined, PackedEntry | undefined];

const SLASH = Buffer.from('/');

/** Everything that is in one of them, sorted by the bytes of the paths. */
function* namesOfBoth(
  directory: Buffer,
  before: WatchedTree,
  after: WatchedTree,
): Generator<NameOfBoth, void, undefined> {
  const key = pathKey(directory);
  const [old, now] = [before.get(key) ?? NOTHING, after.get(key) ?? NOTHING];
  // What is in `a` comes behind `a-b`, as a slash comes behind some characters. Of names that wait, of which one begins
  // with the other, the longer one is the later one, and its turn comes first.
  const waiting: Buffer[] = [];
  for (const pair of merged(old, now)) {
    const name = pair.now === undefined ? old.nameAt(pair.before ?? 0) : now.nameAt(pair.now);
    for (let next = waiting.at(-1); next && comesBehind(name, next); next = waiting.at(-1)) {
      waiting.pop();
      yield* namesOfBoth(append(directory, next), before, after);
    }
    const path = () => append(directory, name);
    yield [path, old.entryAt(pair.before), now.entryAt(pair.now)];
    const isEntered = isDirectory(old, pair.before) || isDirectory(now, pair.now);
    if (isEntered) waiting.push(Buffer.from(name));
  }
  for (const next of waiting.reverse()) yield* namesOfBoth(append(directory, next), before, after);
}

/** Whether a name comes behind what is in a directory. */
function comesBehind(name: Buffer, directory: Buffer): boolean {
  return Buffer.compare(name, Buffer.concat([directory, SLASH])) > 0;
}

function isDirectory(level: Level, place: number | undefined): boolean {
  return place !== undefined && level.listedAt(place).type === 'directory';
}
