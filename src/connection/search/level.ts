/**
 * What a look at a directory has found, in little memory, beside what the look before it had found. An entry may stand
 * for what it was then, or be left out, as long as it is not to be told of.
 */
import type { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { PackedEntries, type PackedEntry } from '../../wire/packed-entries.js';
import type { Entries } from './walk.js';

/** Notes of entries: left out; what it was before stands for it. */
const LEFT_OUT = 1;
const OLDER = 2;
/** What entries may take that stand for others, and each of them beside its own bytes. */
const MAX_OLDER_BYTES = 24 * 1024 * 1024;
const OLDER_BYTES = 48;

/** Entries in the order of their names; of those with one name the first counts. */
export class Level {
  readonly entries: PackedEntries;
  readonly order: Uint32Array;
  /** Since when each has been as it is, in milliseconds, where somebody asks for it; `NaN`: nobody has told. */
  readonly sinceMs: Float64Array;
  readonly #older = new PackedEntries();
  /** By the positions of the entries for which they stand. */
  readonly #olderAt = new Map<number, number>();
  #olderBytes = 0;

  constructor({ entries, order }: Entries, { isTimed }: { readonly isTimed: boolean }) {
    this.entries = entries;
    this.order = order;
    this.sinceMs = new Float64Array(isTimed ? order.length : 0).fill(Number.NaN);
  }

  get length(): number {
    return this.order.length;
  }

  /** Shares its memory with many others. */
  nameAt(place: number): Buffer {
    return this.entries.nameAt(this.#positionAt(place));
  }

  /** As it was listed. */
  listedAt(place: number): PackedEntry {
    return this.entries.at(this.#positionAt(place));
  }

  /** What counts there; `undefined`: nothing does. */
  entryAt(place: number | undefined): PackedEntry | undefined {
    if (place === undefined) return undefined;
    const position = this.#positionAt(place);
    const note = this.entries.noteAt(position);
    if (note === LEFT_OUT) return undefined;
    return note === OLDER ? this.#older.at(this.#olderAt.get(position) ?? 0) : this.entries.at(position);
  }

  /** Puts what was asked about an entry in the place of what was listed. */
  learn(place: number, asked: Pick<PackedEntry, 'type' | 'attributes'>): void {
    this.entries.setAttributes(this.#positionAt(place), asked);
  }

  leaveOut(place: number): void {
    this.entries.setNote(this.#positionAt(place), LEFT_OUT);
  }

  /** @throws SftpError (`LIMIT`) too much is kept in that way */
  keepOlder(place: number, entry: PackedEntry): void {
    const position = this.#positionAt(place);
    this.#olderBytes += OLDER_BYTES + PackedEntries.lengthOf(entry);
    if (this.#olderBytes > MAX_OLDER_BYTES) {
      const most = `${MAX_OLDER_BYTES / 1024 / 1024} MiB`;
      throw new SftpError('LIMIT', `The watch ends: the files that are being written take more than ${most}`);
    }
    this.#olderAt.set(position, this.#older.add(entry));
    this.entries.setNote(position, OLDER);
  }

  /** The place of the next name. */
  behind(place: number): number {
    let next = place + 1;
    while (next < this.length && this.compare(place, this, next) === 0) next += 1;
    return next;
  }

  compare(place: number, other: Level, otherPlace: number): number {
    return this.entries.compare(this.#positionAt(place), other.#positionAt(otherPlace), other.entries);
  }

  #positionAt(place: number): number {
    return this.order[place] ?? 0;
  }
}

/** One name in two looks, as its places in them; `undefined`: it is not there. */
export interface Pair {
  readonly before: number | undefined;
  readonly now: number | undefined;
}

export const NOTHING = new Level(
  { entries: new PackedEntries(), order: new Uint32Array(0) },
  { isTimed: false },
);

/** All names of both, in order. */
export function* merged(before: Level, now: Level): Generator<Pair, void, undefined> {
  let [left, right] = [0, 0];
  while (left < before.length || right < now.length) {
    const order = orderOf(before, left, now, right);
    const pair = { before: order <= 0 ? left : undefined, now: order >= 0 ? right : undefined };
    if (order <= 0) left = before.behind(left);
    if (order >= 0) right = now.behind(right);
    yield pair;
  }
}

function orderOf(before: Level, left: number, now: Level, right: number): number {
  if (left >= before.length) return 1;
  return right >= now.length ? -1 : before.compare(left, now, right);
}

/** A write within the second of the last one leaves the time as it was, but hardly the size. */
export function isUnchanged(
  { attributes: before }: Pick<PackedEntry, 'attributes'>,
  { attributes: now }: Pick<PackedEntry, 'attributes'>,
): boolean {
  return before.size === now.size && before.mtime === now.mtime;
}
