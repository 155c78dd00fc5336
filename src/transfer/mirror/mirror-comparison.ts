/** Whether a file of the target is what the source has. */

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { untilAborted } from '../../shared/abort.js';
import { forEachLimited } from '../../shared/promises.js';
import type { PathKey } from '../../shared/remote-path.js';
import { copyDirectly } from '../copy-directly.js';
import { isFatal } from '../copy-failure.js';
import type { LineUse } from '../engine/copy-content.js';
import { Window } from '../engine/window.js';
import type { Place } from '../file-system.js';
import { sftpTime } from '../sftp-time.js';
import { SinkTarget } from '../streams/sink.js';
import { pathOf } from './mirror-listing.js';
import type { MirrorEntry } from './mirror-step.js';
import { type MirrorDirectory, type Note, publicEntry } from './mirror-tree.js';

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
  /** What cannot be read is taken to differ: to copy it fails, and that is told. */
  readonly goesOn?: boolean | undefined;
}

/** Files that are read for their checksums at once; each is there twice. */
const MAX_COMPARISONS = 16;

/** A file that both sides have. */
interface Pair {
  readonly key: PathKey;
  readonly from: MirrorEntry;
  readonly to: MirrorEntry;
}

interface IndexedPair extends Pair {
  readonly index: number;
}

type Difference = Extract<Note, 'size' | 'mtime' | 'content' | 'custom'>;
type Compare = (pair: Pair, sides: Sides) => Promise<Difference | undefined>;

/** Finds out in what the files differ that both sides of a directory have. */
export class Comparison {
  readonly #compare: MirrorComparison;
  readonly #sides: Sides;
  readonly #slots = new Window({ max: MAX_COMPARISONS });

  constructor(compare: MirrorComparison, sides: Sides) {
    this.#compare = compare;
    this.#sides = sides;
  }

  /** Notes it in the directory. */
  async noteDifferences(directory: MirrorDirectory): Promise<void> {
    const compare = this.#compare;
    if (compare === 'size' || compare === 'size-mtime') {
      for (const { index, ...pair } of pairsOf(directory)) {
        const difference = compare === 'size' ? sizeDifference(pair) : timeDifference(pair);
        if (difference !== undefined) directory.note(index, difference);
      }
      return;
    }
    await this.#compareContents(directory, compare === 'checksum' ? contentDifference : byFunction(compare));
  }

  async #compareContents(directory: MirrorDirectory, differ: Compare): Promise<void> {
    const compareOne = async ({ index, ...pair }: IndexedPair, signal: AbortSignal) => {
      const comparing = () => differ(pair, { ...this.#sides, signal });
      const difference = await this.#slots.use(1, signal, comparing);
      if (difference !== undefined) directory.note(index, difference);
    };
    await forEachLimited(pairsOf(directory), MAX_COMPARISONS, compareOne, this.#sides);
  }
}

function* pairsOf(directory: MirrorDirectory): Generator<IndexedPair, void, undefined> {
  for (let index = 0; index < directory.count; index += 1) {
    const isPair = directory.sourceType(index) === 'file' && directory.targetType(index) === 'file';
    const [from, to] = isPair ? [directory.source(index), directory.target(index)] : [];
    if (from === undefined || to === undefined || directory.leftOut(index) !== undefined) continue;
    const key = directory.keyAt(index);
    yield { index, key, from: publicEntry(key, from), to: publicEntry(key, to) };
  }
}

function byFunction(compare: Exclude<MirrorComparison, string>): Compare {
  return async ({ from, to }, { signal }) => {
    const answer = Promise.resolve(compare(from, to));
    return (await untilAborted(answer, signal)) ? undefined : 'custom';
  };
}

/** Sizes that nobody tells cannot be relied on. */
function sizeDifference({ from, to }: Pair): Difference | undefined {
  return from.size !== undefined && from.size === to.size ? undefined : 'size';
}

/** SFTP carries whole seconds; a server that tells no times is taken by its sizes. */
function timeDifference(pair: Pair): Difference | undefined {
  const { from, to } = pair;
  const difference = sizeDifference(pair);
  if (difference !== undefined || from.mtime === undefined || to.mtime === undefined) return difference;
  return sftpTime(from.mtime) === sftpTime(to.mtime) ? undefined : 'mtime';
}

async function contentDifference(pair: Pair, sides: Sides): Promise<Difference | undefined> {
  const { key, from, to } = pair;
  const isTold = from.size !== undefined && to.size !== undefined;
  if (isTold && sizeDifference(pair) !== undefined) return 'size';
  const digests = [sides.source, sides.target].map((side) =>
    checksum({ ...side, path: pathOf(side, key) }, sides),
  );
  await Promise.allSettled(digests);
  try {
    const [one, other] = await Promise.all(digests);
    return one === other ? undefined : 'content';
  } catch (error) {
    if (!sides.goesOn || isFatal(error) || sides.signal?.aborted) throw error;
    return 'content';
  }
}

async function checksum(place: Place, { line, signal }: Sides): Promise<string> {
  const hash = createHash('sha256');
  const open = SinkTarget.prepare({ write: (chunk: Buffer) => void hash.update(chunk) });
  const target = {
    fileSystem: {
      chunkLength: { read: 0, write: Number.POSITIVE_INFINITY },
      isLocal: true,
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
