/** One directory of a mirror, listed on both sides. Links of the target are never entered. */
import { Buffer } from 'node:buffer';
import { untilAborted } from '../../shared/abort.js';
import { type PathKey, pathKey, pathOfKey } from '../../shared/remote-path.js';
import { PackedEntries } from '../../wire/packed-entries.js';
import { CallerError } from '../caller-error.js';
import { Window } from '../engine/window.js';
import { type DirectoryEntry, type FileInfo, followLink, type Place } from '../file-system.js';
import { isBeingWritten, readTemporaryName } from '../resume/temporary-file.js';
import { Ancestors, checkDepth, checkEntryCount, realPathOf } from '../tree/ancestors.js';
import { leadsOutside } from '../tree/copy-link.js';
import { type EntryFilter, passes } from '../tree/entry-filter.js';
import type { MirrorEntry } from './mirror-step.js';
import {
  DirectoryEntries,
  INDEX_BYTES,
  type MirrorDirectory,
  type Note,
  note,
  publicEntry,
} from './mirror-tree.js';

export interface MirrorListingOptions {
  readonly signal?: AbortSignal | undefined;
  /** Links of the source: what they lead to, the links themselves, or nothing. */
  readonly symlinks: 'follow' | 'copy' | 'skip';
  /** Whether the target is listed also where the source has nothing. */
  readonly withExtras: boolean;
  /** The target is there. */
  readonly hasTarget: boolean;
  /** False for what is left alone on both sides. */
  readonly filter?: EntryFilter<MirrorEntry> | undefined;
}

export const NOT_MIRRORED = ': it is not mirrored';
/** What each directory takes beside its entries and its key, which is long far down. */
const DIRECTORY_BYTES = 800;
/** Directories that are read at once. */
export const MAX_LISTINGS = 32;
/** Questions about single entries on the way at once. */
const MAX_QUESTIONS = 64;

/** A directory of either side or both, by its key; `''` is the root. */
export interface Branch {
  readonly key: PathKey;
  readonly depth: number;
  readonly onSource: boolean;
  readonly onTarget: boolean;
  /** Of the source, where links are followed. */
  readonly ancestors: Ancestors | undefined;
}

/** What was found in a directory. */
export interface Listing {
  readonly directory: MirrorDirectory;
  /** It holds something on the target's side that must stay. */
  readonly isHeld: boolean;
  /** Programs that were killed have left something there. */
  readonly isAbandoned: boolean;
  /** Those to go on with, by their indexes. */
  readonly branches: ReadonlyMap<number, Branch>;
}

/** What listing a directory takes and tells on the way. */
export interface ListingCharge {
  /** So many bytes more of memory: of what the server sends, or of what lies on our own disk. */
  charge(bytes: number, isLocal: boolean): void;
  close(closing: Promise<void>): void;
}

export class Lister {
  readonly #source: Place;
  readonly #target: Place;
  readonly #options: MirrorListingOptions;
  readonly #questions = new Window({ max: MAX_QUESTIONS });
  readonly #listings: Window;

  constructor(source: Place, target: Place, options: MirrorListingOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    const max = Math.min(source.fileSystem.maxOpenFiles, target.fileSystem.maxOpenFiles, MAX_LISTINGS);
    this.#listings = new Window({ max });
  }

  async root(): Promise<Branch> {
    const { signal, symlinks, hasTarget } = this.#options;
    const isFollowed = symlinks === 'follow';
    const ancestors = isFollowed ? new Ancestors(await realPathOf(this.#source, { signal })) : undefined;
    return { key: pathKey(Buffer.alloc(0)), depth: 0, onSource: true, onTarget: hasTarget, ancestors };
  }

  /** A directory that cannot be read is an error: half a listing is no ground for deleting. */
  async list(branch: Branch, charge: ListingCharge): Promise<Listing> {
    const { key, onSource, onTarget, depth } = branch;
    checkDepth(depth, shownPath(this.#source, key), NOT_MIRRORED);
    const found = new Found(branch, charge);
    const [source, target] = await allSettled([
      onSource ? this.#positionsOf(this.#source, found) : [],
      onTarget ? this.#positionsOf(this.#target, found) : [],
    ]);
    const directory = found.entries.merged(key, source, target);
    const branches = new Map<number, Branch>();
    let keyBytes = 0;
    for (let index = 0; index < directory.count; index += 1) {
      if (this.#options.filter !== undefined) await this.#applyFilter(directory, index);
      const leftOut = directory.leftOut(index);
      const isRefused = leftOut === 'unsafe-name' || leftOut === 'filtered';
      if (isRefused && directory.targetType(index) !== undefined) found.isHeld = true;
      if (leftOut !== undefined) continue;
      const below = this.#below(directory, index, found);
      if (below === undefined) continue;
      branches.set(index, below);
      keyBytes += below.key.length;
    }
    if (branches.size > 0) charge.charge(branches.size * DIRECTORY_BYTES + keyBytes, this.#isLocal);
    return { directory, branches, isHeld: found.isHeld, isAbandoned: found.isAbandoned };
  }

  get #isLocal(): boolean {
    return this.#source.fileSystem.isLocal && this.#target.fileSystem.isLocal;
  }

  #below(directory: MirrorDirectory, index: number, { branch, realPaths }: Found): Branch | undefined {
    const onSource = directory.sourceType(index) === 'directory';
    const mayDiffer = onSource || this.#options.withExtras;
    const onTarget = mayDiffer && directory.targetType(index) === 'directory';
    if (!onSource && !onTarget) return undefined;
    const key = directory.keyAt(index);
    const depth = branch.depth + 1;
    if (!onSource || branch.ancestors === undefined)
      return { key, depth, onSource, onTarget, ancestors: undefined };
    const real = realPaths.get(directory.sourceAt(index) ?? -1);
    const ancestors =
      real === undefined
        ? branch.ancestors.below(key.slice(key.lastIndexOf('/') + 1))
        : new Ancestors(real, branch.ancestors);
    return { key, depth, onSource, onTarget, ancestors };
  }

  /** What either side's entry is refused for is left alone on both. */
  async #applyFilter(directory: MirrorDirectory, index: number): Promise<void> {
    const { filter } = this.#options;
    if (filter === undefined || directory.leftOut(index) === 'unsafe-name') return;
    const key = directory.keyAt(index);
    for (const entry of [directory.source(index), directory.target(index)]) {
      if (entry === undefined) continue;
      if (await untilAborted(chooses(filter, publicEntry(key, entry)), this.#options.signal)) continue;
      return directory.note(index, 'filtered');
    }
  }

  /** Where the entries of one side lie, with what the listing leaves open asked for. */
  async #positionsOf(side: Place, found: Found): Promise<number[]> {
    const { fileSystem } = side;
    const { signal } = this.#options;
    const { key } = found.branch;
    const positions: number[] = [];
    const inBackground = (closing: Promise<void>) => found.charge.close(closing);
    await this.#listings.use(1, signal, async () => {
      for await (const batch of fileSystem.list(pathOf(side, key), { signal, inBackground })) {
        await this.#takeBatch(side, found, batch, positions);
        checkEntryCount(positions.length, shownPath(side, key), NOT_MIRRORED);
      }
    });
    return positions;
  }

  async #takeBatch(
    side: Place,
    found: Found,
    batch: readonly DirectoryEntry[],
    positions: number[],
  ): Promise<void> {
    const questions: Promise<void>[] = [];
    for (const { name, info } of batch) {
      if (this.#isUnfinished(side, name, found)) continue;
      const add = (judged: Judged) => void positions.push(this.#add(side, found, name, judged));
      if (this.#isRefused(side, name)) add({ info, what: 'unsafe-name' });
      else if (this.#isOpen(side, info))
        questions.push(this.#examine(side, found.branch, { name, info }).then(add));
      else add(this.#judge(side, info));
    }
    await allSettled(questions);
  }

  #add(side: Place, { entries, charge, realPaths }: Found, name: Buffer, judged: Judged): number {
    const { info, what, link, real } = judged;
    const { type, size, mode, atime, mtime } = info;
    const packed = side === this.#source ? entries.source : entries.target;
    const entry = { name, type, attributes: { size, mode, atime, mtime }, longname: link };
    const length = PackedEntries.lengthOf(entry) + INDEX_BYTES + 2 * (real?.length ?? 0);
    charge.charge(length, side.fileSystem.isLocal);
    const position = packed.add(entry);
    if (what !== undefined) note(packed, position, what);
    if (real !== undefined) realPaths.set(position, real);
    return position;
  }

  /** A name to which either side objects. */
  #isRefused(side: Place, name: Buffer): boolean {
    if (side.fileSystem.objectionTo(name) !== undefined) return true;
    return side === this.#source && this.#target.fileSystem.objectionTo(name) !== undefined;
  }

  /** A file that somebody still writes, or may go on with, is none of the tree. */
  #isUnfinished(side: Place, name: Buffer, found: Found): boolean {
    const told = readTemporaryName(name);
    if (told === undefined) return false;
    if (side === this.#source) return true;
    if (told.writer !== undefined && isBeingWritten(name, told.writer) === false) found.isAbandoned = true;
    else found.isHeld = true;
    return true;
  }

  /** The listing does not tell all of it. */
  #isOpen(side: Place, { type }: FileInfo): boolean {
    const { symlinks } = this.#options;
    const asksLinks = symlinks === 'copy' || (symlinks === 'follow' && side === this.#source);
    return type === 'unknown' || (type === 'symlink' && asksLinks);
  }

  async #examine(side: Place, branch: Branch, { name, info: listed }: DirectoryEntry): Promise<Judged> {
    const path = side.fileSystem.join(pathOf(side, branch.key), name);
    const { fileSystem } = side;
    const { signal } = this.#options;
    const isSource = side === this.#source;
    const info =
      listed.type === 'unknown' ? await this.#ask(() => fileSystem.lstat(path, { signal })) : listed;
    if (info.type === 'symlink' && this.#options.symlinks === 'copy') {
      const link = await this.#ask(() => fileSystem.readLink(path, { signal }));
      return { info, link, what: isSource && leadsOutside(link, branch.depth) ? 'outside-link' : undefined };
    }
    const isFollowed = info.type === 'symlink' && isSource && this.#options.symlinks === 'follow';
    return isFollowed ? this.#follow(path, info, branch) : this.#judge(side, info);
  }

  #judge(side: Place, info: FileInfo): Judged {
    if (side !== this.#source || info.type === 'file' || info.type === 'directory') return { info };
    return { info, what: info.type === 'symlink' ? 'symlink' : 'special-file' };
  }

  async #follow(path: Buffer, link: FileInfo, branch: Branch): Promise<Judged> {
    const { signal } = this.#options;
    const place = { ...this.#source, path };
    const info = await this.#ask(() => followLink(place, { signal }));
    if (info === undefined) return { info: link, what: 'broken-link' };
    if (info.type !== 'directory') return this.#judge(this.#source, info);
    const real = await this.#ask(() => realPathOf(place, { signal }));
    return branch.ancestors?.includes(real) ? { info, what: 'loop' } : { info, real };
  }

  #ask<T>(question: () => Promise<T>): Promise<T> {
    return this.#questions.use(1, this.#options.signal, question);
  }
}

/** What has been found in a directory so far. */
class Found {
  readonly branch: Branch;
  readonly charge: ListingCharge;
  readonly entries = new DirectoryEntries();
  /** The paths without links of the directories to which links lead, by their positions. */
  readonly realPaths = new Map<number, string>();
  isHeld = false;
  isAbandoned = false;

  constructor(branch: Branch, charge: ListingCharge) {
    this.branch = branch;
    this.charge = charge;
  }
}

/** What an entry turned out to be. */
interface Judged {
  readonly info: FileInfo;
  /** Why it is left out. */
  readonly what?: Note | undefined;
  /** What a link says, where links are mirrored. */
  readonly link?: Buffer | undefined;
  /** Where a directory really lies to which a link has led. */
  readonly real?: string | undefined;
}

/** The path of a key on one side. */
export function pathOf({ fileSystem, path }: Place, key: PathKey): Buffer {
  return key === '' ? path : fileSystem.join(path, pathOfKey(key));
}

/** As `Promise.all`, and nothing is left running where one fails. */
async function allSettled<T extends readonly unknown[]>(tasks: { [K in keyof T]: T[K] | Promise<T[K]> }) {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}

/** The path of a key for people: only the root's tells the side. */
export function shownPath({ fileSystem, path }: Place, key: PathKey): Buffer | string {
  return key === '' ? fileSystem.textOf(path) : pathOfKey(key);
}

/** What the caller's filter throws is not a failure of the mirror. */
async function chooses(filter: EntryFilter<MirrorEntry>, entry: MirrorEntry): Promise<boolean> {
  try {
    return await passes(filter, entry);
  } catch (error) {
    throw new CallerError(error);
  }
}
