/**
 * What lies on both sides of one directory of a mirror, packed: a million entries on one side take some 70 MiB. The names
 * are sorted by bytes, and each has one index, for what the source has there and for what the target has.
 */
import type { Buffer } from 'node:buffer';
import { type PathKey, pathKey, pathOfKey } from '../../shared/remote-path.js';
import type { FileType } from '../../wire/attributes.js';
import { PackedEntries, type PackedEntry } from '../../wire/packed-entries.js';
import type { MirrorEntry, MirrorReason } from './mirror-step.js';

/** Why an entry is left out, or in what two files differ. `filtered` is left out of the plan too. */
const NOTES = [
  ...(['filtered', 'special-file', 'symlink', 'broken-link', 'outside-link', 'loop', 'unsafe-name'] as const),
  ...(['size', 'mtime', 'content', 'custom'] as const),
] as const;

export type Note = (typeof NOTES)[number];

const DIFFERENCES: readonly Note[] = ['size', 'mtime', 'content', 'custom'];

/** No position. */
const NONE = 0xffff_ffff;

/** What an index takes, with the step of the plan that it becomes. */
export const INDEX_BYTES = 80;

/** The entries of both sides while they are listed. The text of a link stands where listings have their long names. */
export class DirectoryEntries {
  readonly source = new PackedEntries();
  readonly target = new PackedEntries();

  /** The directory whose entries lie at these positions of either side. */
  merged(key: PathKey, source: readonly number[], target: readonly number[]): MirrorDirectory {
    const left = withoutRepeated(this.source, source);
    const right = withoutRepeated(this.target, target);
    const from = new Uint32Array(left.length + right.length);
    const to = new Uint32Array(left.length + right.length);
    let count = 0;
    for (let at = 0, other = 0; at < left.length || other < right.length; count += 1) {
      const order = this.#compare(left[at], right[other]);
      from[count] = order > 0 ? NONE : (left[at] ?? NONE);
      to[count] = order < 0 ? NONE : (right[other] ?? NONE);
      if (order <= 0) at += 1;
      if (order >= 0) other += 1;
    }
    this.source.trim();
    this.target.trim();
    return new MirrorDirectory(this, key, { from: from.slice(0, count), to: to.slice(0, count) });
  }

  /** Names that are refused are none that the other side may have too. */
  #compare(from: number | undefined, to: number | undefined): number {
    if (to === undefined) return -1;
    if (from === undefined) return 1;
    const order = this.source.compare(from, to, this.target);
    if (order !== 0) return order;
    if (noteAt(this.source, from) === 'unsafe-name') return -1;
    return noteAt(this.target, to) === 'unsafe-name' ? 1 : 0;
  }
}

/** Sorted; names that stand there twice are refused, but for the first. */
function withoutRepeated(entries: PackedEntries, positions: readonly number[]): Uint32Array {
  const sorted = entries.sorted(positions);
  for (let index = 1; index < sorted.length; index += 1) {
    const [last = NONE, position = NONE] = [sorted[index - 1], sorted[index]];
    if (entries.compare(last, position) === 0) note(entries, position, 'unsafe-name');
  }
  return sorted;
}

export function note(entries: PackedEntries, position: number, what: Note): void {
  entries.setNote(position, NOTES.indexOf(what) + 1);
}

function noteAt(entries: PackedEntries, position: number): Note | undefined {
  return NOTES[entries.noteAt(position) - 1];
}

export class MirrorDirectory {
  readonly key: PathKey;
  readonly #entries: DirectoryEntries;
  readonly #from: Uint32Array;
  readonly #to: Uint32Array;

  constructor(
    entries: DirectoryEntries,
    key: PathKey,
    { from, to }: { readonly from: Uint32Array; readonly to: Uint32Array },
  ) {
    this.key = key;
    this.#entries = entries;
    this.#from = from;
    this.#to = to;
  }

  get count(): number {
    return this.#from.length;
  }

  keyAt(index: number): PathKey {
    const { entries, position } = this.#place(index);
    return childKey(this.key, entries.nameAt(position));
  }

  sourceAt(index: number): number | undefined {
    return positionOf(this.#from[index]);
  }

  sourceType(index: number): FileType | undefined {
    const position = positionOf(this.#from[index]);
    return position === undefined ? undefined : this.#entries.source.typeAt(position);
  }

  targetType(index: number): FileType | undefined {
    const position = positionOf(this.#to[index]);
    return position === undefined ? undefined : this.#entries.target.typeAt(position);
  }

  source(index: number): PackedEntry | undefined {
    const position = positionOf(this.#from[index]);
    return position === undefined ? undefined : this.#entries.source.at(position);
  }

  target(index: number): PackedEntry | undefined {
    const position = positionOf(this.#to[index]);
    return position === undefined ? undefined : this.#entries.target.at(position);
  }

  /** Why it is left out. */
  leftOut(index: number): Exclude<MirrorReason, 'same'> | 'filtered' | undefined {
    const { entries, position } = this.#place(index);
    const what = noteAt(entries, position);
    return what === undefined || DIFFERENCES.includes(what) ? undefined : what;
  }

  /** In what the files of both sides differ. */
  difference(index: number): MirrorReason | undefined {
    const { entries, position } = this.#place(index);
    const what = noteAt(entries, position);
    return what !== 'filtered' && what !== undefined && DIFFERENCES.includes(what) ? what : undefined;
  }

  note(index: number, what: Note): void {
    const { entries, position } = this.#place(index);
    note(entries, position, what);
  }

  /** Of the source, where it has one. */
  #place(index: number): { readonly entries: PackedEntries; readonly position: number } {
    const from = positionOf(this.#from[index]);
    return from === undefined
      ? { entries: this.#entries.target, position: this.#to[index] ?? NONE }
      : { entries: this.#entries.source, position: from };
  }
}

function positionOf(position: number | undefined): number | undefined {
  return position === NONE ? undefined : position;
}

function childKey(directory: PathKey, name: Buffer): PathKey {
  const key = pathKey(name);
  return directory === '' ? key : (`${directory}/${key}` as PathKey);
}

/** What callers are shown of an entry. */
export function publicEntry(key: PathKey, { type, attributes }: PackedEntry): MirrorEntry {
  const { size, mtime } = attributes;
  return { path: pathOfKey(key).toString(), type, size, mtime };
}
