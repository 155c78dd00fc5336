/** Whether a file of the target is what the source has. */

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { LineUse } from './copy-content.js';
import { copyDirectly } from './copy-directly.js';
import type { Place } from './file-system.js';
import { pathOf, publicEntry } from './mirror-listing.js';
import type { ListedEntry, Listing, MirrorEntry, MirrorReason } from './mirror-plan.js';
import { SinkTarget } from './sink.js';
import { TaskGroup } from './task-group.js';
import { Window } from './window.js';

/**
 * How a mirror finds out whether two files are the same: `size-mtime` and `size` by the listing, `checksum` by
 * reading both; or a function that tells whether they are.
 */
export type MirrorComparison =
  | 'size-mtime'
  | 'size'
  | 'checksum'
  | ((source: MirrorEntry, target: MirrorEntry) => boolean | Promise<boolean>);

interface Sides {
  readonly source: Place;
  readonly target: Place;
  readonly line: LineUse;
  readonly signal?: AbortSignal | undefined;
}

/** Files that are read for their checksums at once; each is there twice. */
const MAX_COMPARISONS = 16;

type Compare = (
  key: string,
  from: ListedEntry,
  to: ListedEntry,
  sides: Sides,
) => Promise<MirrorReason | undefined>;

/** For the files that both sides have: in what they differ. Those that are not in it are the same. */
export async function findDifferences(
  source: Listing,
  target: Listing,
  compare: MirrorComparison,
  sides: Sides,
): Promise<ReadonlyMap<string, MirrorReason>> {
  const differences = new Map<string, MirrorReason>();
  const tasks = new TaskGroup(sides.signal);
  const slots = new Window({ max: MAX_COMPARISONS });
  const differ: Compare = typeof compare === 'function' ? byFunction(compare) : COMPARISONS[compare];
  const compareAll = async () => {
    for (const [key, from] of source) {
      const to = target.get(key);
      if (from.leftOut !== undefined || from.type !== 'file' || to?.type !== 'file') continue;
      await slots.acquire(1, tasks.signal);
      const task = differ(key, from, to, { ...sides, signal: tasks.signal }).then((difference) => {
        if (difference !== undefined) differences.set(key, difference);
      });
      tasks.add(task.finally(() => slots.release(1)));
    }
  };
  tasks.add(compareAll());
  await tasks.settle();
  return differences;
}

const COMPARISONS: Readonly<Record<'size-mtime' | 'size' | 'checksum', Compare>> = {
  'size-mtime': async (_key, from, to) => sizeDifference(from, to) ?? mtimeDifference(from, to),
  size: async (_key, from, to) => sizeDifference(from, to),
  checksum: async (key, from, to, sides) => {
    const isTold = from.size !== undefined && to.size !== undefined;
    return (isTold ? sizeDifference(from, to) : undefined) ?? (await contentDifference(key, sides));
  },
};

function byFunction(compare: Exclude<MirrorComparison, string>): Compare {
  return async (_key, from, to) =>
    (await compare(publicEntry(from), publicEntry(to))) ? undefined : 'custom';
}

/** Sizes that nobody tells cannot be relied on. */
function sizeDifference(from: ListedEntry, to: ListedEntry): MirrorReason | undefined {
  return from.size !== undefined && from.size === to.size ? undefined : 'size';
}

/** SFTP carries whole seconds; a server that tells no times is taken by its sizes. */
function mtimeDifference(from: ListedEntry, to: ListedEntry): MirrorReason | undefined {
  if (from.mtime === undefined || to.mtime === undefined) return undefined;
  return Math.floor(from.mtime) === Math.floor(to.mtime) ? undefined : 'mtime';
}

async function contentDifference(key: string, sides: Sides): Promise<MirrorReason | undefined> {
  const digests = [sides.source, sides.target].map((side) =>
    checksum({ ...side, path: pathOf(side, key) }, sides),
  );
  await Promise.allSettled(digests);
  const [from, to] = await Promise.all(digests);
  return from === to ? undefined : 'content';
}

async function checksum(place: Place, { line, signal }: Sides): Promise<string> {
  const hash = createHash('sha256');
  const open = SinkTarget.prepare({ write: (chunk: Buffer) => void hash.update(chunk) });
  const target = {
    fileSystem: {
      chunkLength: { read: 0, write: Number.POSITIVE_INFINITY },
      textOf: () => 'its checksum',
      openTarget: async () => open(),
    },
    path: Buffer.alloc(0),
  };
  // Our own disk is no part of the line.
  const throttle = place.fileSystem.isLocal ? undefined : line.throttle;
  await copyDirectly(place, target, { ...line, throttle, signal });
  return hash.digest('hex');
}
