/**
 * What a mirror is going to do, worked out from what lies on both sides before anything is touched. The plan that
 * a dry run shows is the plan that is carried out.
 */
import { Buffer } from 'node:buffer';
import type { FileType } from '../wire/attributes.js';

/** Something that lies on one of the two sides of a mirror. */
export interface MirrorEntry {
  /** Below the mirrored directory, with `/` on every system. */
  readonly path: string;
  readonly type: FileType;
  /** Bytes; `undefined` where nobody tells. */
  readonly size: number | undefined;
  /** Last modification, seconds since 1970. */
  readonly mtime: number | undefined;
}

/** Why a mirror does what it does to a path, or leaves it alone. */
export type MirrorReason =
  /** The target has nothing there: `create`. */
  | 'missing'
  /** It differs in size, in time, in content, in where a link leads, or in the view of your function: `update`. */
  | 'size'
  | 'mtime'
  | 'content'
  | 'link'
  | 'custom'
  /** It is the same: `keep`. */
  | 'same'
  /** The source has nothing there: `delete`, or `keep` where nothing may be deleted. */
  | 'extra'
  /** The two sides differ in type: `delete` and `create`, or `skip` where nothing may be deleted. */
  | 'type'
  /** What is below may not be touched, so that the directory stays: `keep`. */
  | 'not-empty'
  /** Left out of the source, and whatever the target has there stays: `skip`. */
  | 'special-file'
  | 'symlink'
  | 'broken-link'
  | 'loop'
  /** A name that would lead elsewhere, or that stands twice in one directory: `skip`. */
  | 'unsafe-name';

/** One thing that a mirror does, or leaves undone. */
export interface MirrorStep {
  readonly action: 'create' | 'update' | 'delete' | 'keep' | 'skip';
  /** Below the mirrored directory, with `/` on every system. */
  readonly path: string;
  /** The same as bytes, for names that are not UTF-8. */
  readonly pathBytes: Uint8Array;
  /** Of what is created, updated, deleted, kept or skipped. */
  readonly type: FileType;
  readonly reason: MirrorReason;
  /** What it copies, as far as the listing tells; 0 for all but files that are created or updated. */
  readonly bytes: number;
}

/** An entry as the listing gives it, beside its key: its path byte by byte (latin1). */
export interface ListedEntry extends MirrorEntry {
  /** What a link says, where links are mirrored. */
  readonly link?: Buffer | undefined;
  /** Why a source's entry is left out. */
  readonly leftOut?: MirrorReason | undefined;
}

/** By keys, which no two entries of one side share. */
export type Listing = ReadonlyMap<string, ListedEntry>;

export interface PlanOptions {
  readonly delete: boolean;
  /** Tells in what files that both sides have differ. */
  readonly differences: ReadonlyMap<string, MirrorReason>;
  /** Directories of the target that hold something that must stay. */
  readonly held?: ReadonlySet<string> | undefined;
}

/** The steps, sorted by path, a directory before its content, what is in the way before what replaces it. */
export function planMirror(source: Listing, target: Listing, options: PlanOptions): readonly MirrorStep[] {
  return new Planner(source, target, options).plan();
}

class Planner {
  readonly #source: Listing;
  readonly #target: Listing;
  readonly #options: PlanOptions;
  readonly #steps: MirrorStep[] = [];
  /** Everything below it is left alone. */
  #blocked: string | undefined;
  /** Everything below it makes room for what the source has there. */
  #replaced: string | undefined;

  constructor(source: Listing, target: Listing, options: PlanOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
  }

  plan(): readonly MirrorStep[] {
    const keys = [...new Set([...this.#source.keys(), ...this.#target.keys()])].sort(byDepthFirst);
    for (const key of keys) {
      if (isBelow(key, this.#blocked)) continue;
      const from = this.#source.get(key);
      const to = this.#target.get(key);
      if (from?.leftOut !== undefined) {
        this.#add('skip', key, from, from.leftOut);
        this.#blocked = key;
      } else if (from === undefined) this.#planExtra(key, to);
      else if (to === undefined) this.#add('create', key, from, 'missing');
      else if (from.type === to.type) this.#planPair(key, from, to);
      else this.#planConflict(key, from, to);
    }
    return this.#steps;
  }

  #planExtra(key: string, entry: ListedEntry | undefined): void {
    if (entry === undefined) return;
    if (!this.#options.delete) {
      this.#add('keep', key, entry, 'extra');
      this.#blocked = key;
    } else if (this.#options.held?.has(key)) this.#add('keep', key, entry, 'not-empty');
    else this.#add('delete', key, entry, isBelow(key, this.#replaced) ? 'type' : 'extra');
  }

  #planPair(key: string, from: ListedEntry, to: ListedEntry): void {
    const difference =
      from.type === 'symlink' ? linkDifference(from, to) : this.#options.differences.get(key);
    if (difference === undefined) this.#add('keep', key, from, 'same');
    else this.#add('update', key, from, difference);
  }

  #planConflict(key: string, from: ListedEntry, to: ListedEntry): void {
    if (!this.#options.delete || this.#options.held?.has(key)) {
      this.#add('skip', key, from, 'type');
      this.#blocked = key;
      return;
    }
    this.#add('delete', key, to, 'type');
    this.#add('create', key, from, 'type');
    this.#replaced = key;
  }

  #add(action: MirrorStep['action'], key: string, entry: ListedEntry, reason: MirrorReason): void {
    const copies = entry.type === 'file' && (action === 'create' || action === 'update');
    const { path, type, size = 0 } = entry;
    const pathBytes = Buffer.from(key, 'latin1');
    this.#steps.push({ action, path, pathBytes, type, reason, bytes: copies ? size : 0 });
  }
}

function linkDifference(from: ListedEntry, to: ListedEntry): MirrorReason | undefined {
  return from.link !== undefined && to.link !== undefined && from.link.equals(to.link) ? undefined : 'link';
}

function isBelow(key: string, directory: string | undefined): boolean {
  return directory !== undefined && key.startsWith(`${directory}/`);
}

/** The path byte by byte. */
export function keyOf({ pathBytes }: MirrorStep): string {
  return Buffer.from(pathBytes).toString('latin1');
}

/** As if the separator came before every other character. */
export function byDepthFirst(left: string, right: string): number {
  const [one, other] = [left.replaceAll('/', '\0'), right.replaceAll('/', '\0')];
  return one < other ? -1 : Number(one > other);
}
