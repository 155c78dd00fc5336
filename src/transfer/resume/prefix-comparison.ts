/**
 * Whether what is there of a file is a beginning of its source. Where the server can tell hashes, all of it is
 * compared; otherwise both its ends and samples between them are read, in one round trip, or all of it where others may
 * have written it.
 */
import { Buffer } from 'node:buffer';
import { forEachLimited } from '../../shared/promises.js';
import type { Throttle } from '../engine/throttle.js';
import { type Cancellable, type Place, type SourceFile, unlessCode } from '../file-system.js';

export interface ComparisonOptions extends Cancellable {
  /**
   * How much is compared: hashes of everything where both sides tell any, else samples, where only we can have written
   * it; everything in any case where others can have.
   */
  readonly depth: 'hashes' | 'everything';
  readonly throttle?: Throttle | undefined;
}

interface Range {
  readonly start: number;
  readonly length: number;
}

/** How far from each end what is there is compared with the source. */
const END_LENGTH = 256 * 1024;
const SAMPLES = 8;
/** Small enough for every server. */
const PART_LENGTH = 32 * 1024;
const MAX_PARTS_AT_ONCE = 64;

/** @param there where so many `bytes` lie, of a file that nobody writes any more: open, or to be opened by its path */
export async function isBeginning(
  file: SourceFile,
  there: SourceFile | Place,
  bytes: number,
  options: ComparisonOptions,
): Promise<boolean> {
  if ('read' in there) return compare(file, there, bytes, options);
  const { signal } = options;
  const opened = await unlessCode(there.fileSystem.openSource(there.path, { signal }), 'ENOENT');
  if (opened === undefined) return false;
  try {
    return await compare(file, opened, bytes, options);
  } finally {
    await opened.close({ signal });
  }
}

async function compare(
  file: SourceFile,
  there: SourceFile,
  bytes: number,
  { signal, depth, throttle }: ComparisonOptions,
): Promise<boolean> {
  const isSame = await compareHashes(file, there, bytes, signal);
  if (isSame !== undefined) return isSame;
  const ranges = depth === 'everything' ? partsOf(0, bytes) : samplesOf(bytes);
  return compareRanges(file, there, ranges, { signal, throttle });
}

/** A hash is asked of so much at once; servers begin to refuse blocks at 256 bytes. */
const BLOCK_LENGTH = 4 * 1024 * 1024;
const MIN_BLOCK_LENGTH = 256;
const MAX_BLOCKS_AT_ONCE = 8;

/** `undefined` where either side cannot tell. */
async function compareHashes(
  file: SourceFile,
  there: SourceFile,
  bytes: number,
  signal: AbortSignal | undefined,
): Promise<boolean | undefined> {
  if (file.sha256 === undefined || there.sha256 === undefined || bytes < MIN_BLOCK_LENGTH) return undefined;
  let result: boolean | undefined = true;
  const compare = async ({ start, length }: Range, signal: AbortSignal) => {
    const hashes = [file, there].map((one) => one.sha256?.(start, length, { signal }));
    const [ours, theirs] = await Promise.all(hashes);
    if (ours === undefined || theirs === undefined) result = undefined;
    else if (result === true) result = Buffer.compare(ours, theirs) === 0;
  };
  const blocks = takeWhile(blocksOf(bytes), () => result === true);
  await forEachLimited(blocks, MAX_BLOCKS_AT_ONCE, compare, { signal });
  return result;
}

/** After a difference nothing more is asked. */
function* takeWhile<T>(items: Iterable<T>, goesOn: () => boolean): Generator<T> {
  for (const item of items) {
    if (!goesOn()) return;
    yield item;
  }
}

function* blocksOf(bytes: number): Generator<Range> {
  for (let start = 0; start < bytes; ) {
    const left = bytes - start;
    const length = left < BLOCK_LENGTH + MIN_BLOCK_LENGTH ? left : BLOCK_LENGTH;
    yield { start, length };
    start += length;
  }
}

async function compareRanges(
  file: SourceFile,
  there: SourceFile,
  ranges: Iterable<Range>,
  { signal, throttle }: Omit<ComparisonOptions, 'depth'>,
): Promise<boolean> {
  let isSame = true;
  const compare = async ({ start, length }: Range, signal: AbortSignal) => {
    await throttle?.take(length, signal);
    if (!isSame) return;
    const reading = [file, there].map((one) => readWhole(one, start, length, signal));
    const [ours, theirs] = await Promise.all(reading);
    if (ours?.length !== length || theirs === undefined || !ours.equals(theirs)) isSame = false;
  };
  const parts = takeWhile(ranges, () => isSame);
  await forEachLimited(parts, MAX_PARTS_AT_ONCE, compare, { signal });
  return isSame;
}

/**
 * Both ends, and one place of each eighth between them, another one every time: damage that covers such an eighth
 * is found for certain. What is hardly longer than that is compared as a whole.
 */
export function* samplesOf(bytes: number, random: () => number = Math.random): Generator<Range> {
  const middle = bytes - 2 * END_LENGTH;
  const stratum = Math.floor(middle / SAMPLES);
  if (stratum <= PART_LENGTH) {
    yield* partsOf(0, bytes);
    return;
  }
  yield* partsOf(0, END_LENGTH);
  for (let index = 0; index < SAMPLES; index += 1) {
    const offset = Math.floor(random() * (stratum - PART_LENGTH));
    yield { start: END_LENGTH + index * stratum + offset, length: PART_LENGTH };
  }
  yield* partsOf(bytes - END_LENGTH, bytes);
}

function* partsOf(start: number, end: number): Generator<Range> {
  for (let at = start; at < end; at += PART_LENGTH) {
    yield { start: at, length: Math.min(PART_LENGTH, end - at) };
  }
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
