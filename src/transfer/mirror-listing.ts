/**
 * What lies on both sides of a mirror. Both trees are listed side by side, and the target's only where that can
 * make a difference. Links of the target are never entered.
 */
import { Buffer } from 'node:buffer';
import { SftpError } from '../errors.js';
import { quote } from '../remote-path.js';
import { type DirectoryEntry, type FileInfo, type FileSystem, hasCode, type Place } from './file-system.js';
import type { ListedEntry, Listing, MirrorEntry, MirrorStep } from './mirror-plan.js';
import { TaskGroup } from './task-group.js';
import { isAbandoned, readTemporaryName } from './temporary-file.js';
import { Window } from './window.js';

export interface ListingOptions {
  readonly signal?: AbortSignal | undefined;
  /** Links of the source: what they lead to, the links themselves, or nothing. */
  readonly symlinks: 'follow' | 'copy' | 'skip';
  /** Whether the target is listed also where the source has nothing. */
  readonly withExtras: boolean;
  /** The target is there. */
  readonly hasTarget: boolean;
  /** False for what is left alone on both sides. */
  readonly filter?: ((entry: MirrorEntry) => boolean) | undefined;
}

export interface Listings {
  readonly source: Listing;
  readonly target: Listing;
  /** Names that no path can be made of. */
  readonly refused: readonly MirrorStep[];
  /** Directories of the target that hold something that is not in the listing. */
  readonly held: ReadonlySet<string>;
  /** What programs that were killed have left in the target. */
  readonly abandoned: readonly Buffer[];
}

/** Deeper trees are taken for a loop, or for an attack. */
const MAX_DEPTH = 64;
const MAX_ENTRIES_PER_DIRECTORY = 1_000_000;
/** Directories that are read at once. */
const MAX_LISTINGS = 32;
/** Questions about single entries on the way at once. */
const MAX_QUESTIONS = 64;

/** Lists both trees. The first directory that cannot be read ends it: half a listing is no ground for deleting. */
export function listBoth(source: Place, target: Place, options: ListingOptions): Promise<Listings> {
  return new Lister(source, target, options).run();
}

/** A directory of either side or both, by its key; `''` is the root. */
interface Branch {
  readonly key: string;
  readonly depth: number;
  readonly onSource: boolean;
  readonly onTarget: boolean;
  /** The paths without links from the root down to it; only kept where links are followed. */
  readonly ancestors: readonly string[];
}

type Found = ListedEntry & { readonly real?: string | undefined };

class Lister {
  readonly #source: Place;
  readonly #target: Place;
  readonly #options: ListingOptions;
  readonly #tasks: TaskGroup;
  readonly #listings: Window;
  readonly #questions = new Window({ max: MAX_QUESTIONS });
  readonly #found = { source: new Map<string, ListedEntry>(), target: new Map<string, ListedEntry>() };
  readonly #refused: MirrorStep[] = [];
  readonly #held = new Set<string>();
  readonly #abandoned: Buffer[] = [];

  constructor(source: Place, target: Place, options: ListingOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#tasks = new TaskGroup(options.signal);
    const max = Math.min(source.fileSystem.maxOpenFiles, target.fileSystem.maxOpenFiles, MAX_LISTINGS);
    this.#listings = new Window({ max });
  }

  async run(): Promise<Listings> {
    const ancestors = this.#options.symlinks === 'follow' ? [await this.#realPath(this.#source, '')] : [];
    const { hasTarget: onTarget } = this.#options;
    this.#tasks.add(this.#list({ key: '', depth: 0, onSource: true, onTarget, ancestors }));
    await this.#tasks.settle();
    return { ...this.#found, refused: this.#refused, held: this.#held, abandoned: this.#abandoned };
  }

  async #list(branch: Branch): Promise<void> {
    const { key, onSource, onTarget, depth } = branch;
    if (depth > MAX_DEPTH) throw tooMuch(this.#source, key, `more than ${MAX_DEPTH} levels of directories`);
    const [source, target] = await allSettled([
      onSource ? this.#entriesOf(this.#source, branch) : new Map<string, Found>(),
      onTarget ? this.#entriesOf(this.#target, branch) : new Map<string, Found>(),
    ]);
    this.#applyFilter(source, target);
    for (const [child, entry] of source) this.#found.source.set(child, entry);
    for (const [child, entry] of target) this.#found.target.set(child, entry);
    for (const child of new Set([...source.keys(), ...target.keys()])) {
      this.#enter(child, source.get(child), target.get(child), branch);
    }
  }

  #enter(key: string, from: Found | undefined, to: Found | undefined, parent: Branch): void {
    if (from?.leftOut !== undefined) return;
    const onSource = from?.type === 'directory';
    const onTarget = to?.type === 'directory' && (onSource || this.#options.withExtras);
    if (!onSource && !onTarget) return;
    const ancestors = from?.real === undefined ? [] : [...parent.ancestors, from.real];
    this.#tasks.add(this.#list({ key, depth: parent.depth + 1, onSource, onTarget, ancestors }));
  }

  /** What either side's entry is refused for is left alone on both. */
  #applyFilter(source: Map<string, Found>, target: Map<string, Found>): void {
    const { filter } = this.#options;
    if (filter === undefined) return;
    const out = [...source, ...target].filter(([, entry]) => !filter(publicEntry(entry)));
    for (const [key] of out) {
      if (target.delete(key)) this.#hold(key);
      source.delete(key);
    }
  }

  /** The whole listing, with what it leaves open asked for. */
  async #entriesOf(side: Place, branch: Branch): Promise<Map<string, Found>> {
    const { fileSystem } = side;
    const { signal } = this.#tasks;
    const entries: DirectoryEntry[] = [];
    await this.#listings.acquire(1, signal);
    try {
      const inBackground = (closing: Promise<void>) => this.#tasks.add(closing);
      for await (const batch of fileSystem.list(pathOf(side, branch.key), { signal, inBackground })) {
        entries.push(...batch);
        if (entries.length > MAX_ENTRIES_PER_DIRECTORY) {
          throw tooMuch(side, branch.key, `more than ${MAX_ENTRIES_PER_DIRECTORY} entries`);
        }
      }
    } finally {
      this.#listings.release(1);
    }
    const found = new Map<string, Found>();
    await allSettled(
      this.#safeEntries(side, branch, entries).map(async ([key, info]) => {
        found.set(key, await this.#examine(side, key, info, branch));
      }),
    );
    return found;
  }

  /** Names that either side objects to lead nowhere, and neither do those that are there twice. */
  #safeEntries(
    side: Place,
    { key }: Branch,
    entries: readonly DirectoryEntry[],
  ): (readonly [string, FileInfo])[] {
    const safe = new Map<string, FileInfo>();
    for (const { name, info } of entries) {
      const child = key === '' ? name.toString('latin1') : `${key}/${name.toString('latin1')}`;
      if (this.#isUnfinished(side, name, child)) continue;
      const objection =
        side.fileSystem.objectionTo(name) ??
        (side === this.#source && this.#target.fileSystem.objectionTo(name));
      if (!objection && !safe.has(child)) safe.set(child, info);
      else {
        const pathBytes = Buffer.from(child, 'latin1');
        const { type } = info;
        const path = pathBytes.toString();
        this.#refused.push({ action: 'skip', path, pathBytes, type, reason: 'unsafe-name', bytes: 0 });
        if (side === this.#target) this.#hold(child);
      }
    }
    return [...safe];
  }

  /** A file that somebody still writes, or may go on with, is none of the tree. */
  #isUnfinished(side: Place, name: Buffer, key: string): boolean {
    const told = readTemporaryName(name);
    if (told === undefined) return false;
    if (side === this.#source) return true;
    if (told.writer !== undefined && isAbandoned(name, told.writer)) this.#abandoned.push(pathOf(side, key));
    else this.#hold(key);
    return true;
  }

  async #examine(side: Place, key: string, listed: FileInfo, branch: Branch): Promise<Found> {
    const path = pathOf(side, key);
    const { fileSystem } = side;
    const { signal } = this.#tasks;
    const isSource = side === this.#source;
    const info =
      listed.type === 'unknown' ? await this.#ask(() => fileSystem.lstat(path, { signal })) : listed;
    const entry = entryOf(key, info);
    if (info.type === 'symlink') {
      if (this.#options.symlinks === 'copy') {
        return { ...entry, link: await this.#ask(() => fileSystem.readLink(path, { signal })) };
      }
      if (isSource) return this.#follow(key, entry, branch);
    }
    if (!isSource || info.type === 'file') return entry;
    if (info.type !== 'directory') return { ...entry, leftOut: 'special-file' };
    return this.#options.symlinks === 'follow' ? { ...entry, real: realBelow(branch, key) } : entry;
  }

  async #follow(key: string, link: Found, branch: Branch): Promise<Found> {
    if (this.#options.symlinks === 'skip') return { ...link, leftOut: 'symlink' };
    const { signal } = this.#tasks;
    const path = pathOf(this.#source, key);
    let info: FileInfo;
    try {
      info = await this.#ask(() => this.#source.fileSystem.stat(path, { signal }));
    } catch (error) {
      // Links that lead to each other lead nowhere either, and servers make no difference.
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'ELOOP')) return { ...link, leftOut: 'broken-link' };
      throw error;
    }
    const entry = entryOf(key, info);
    if (info.type === 'file') return entry;
    if (info.type !== 'directory') return { ...entry, leftOut: 'special-file' };
    const real = await this.#ask(() => this.#realPath(this.#source, key));
    return branch.ancestors.includes(real) ? { ...entry, leftOut: 'loop' } : { ...entry, real };
  }

  #hold(key: string): void {
    for (let at = key.lastIndexOf('/'); at > 0; at = key.lastIndexOf('/', at - 1))
      this.#held.add(key.slice(0, at));
  }

  async #realPath(side: Place, key: string): Promise<string> {
    const real = await side.fileSystem.realPath(pathOf(side, key), { signal: this.#tasks.signal });
    return real.toString('latin1');
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    await this.#questions.acquire(1, this.#tasks.signal);
    try {
      return await question();
    } finally {
      this.#questions.release(1);
    }
  }
}

/** The path of a key on one side. */
export function pathOf({ fileSystem, path }: Place, key: string): Buffer {
  return key === '' ? path : fileSystem.join(path, Buffer.from(key, 'latin1'));
}

function entryOf(key: string, { type, size, mtime }: FileInfo): Found {
  return { path: Buffer.from(key, 'latin1').toString(), type, size, mtime };
}

/** As `Promise.all`, and nothing is left running where one fails. */
async function allSettled<T extends readonly unknown[]>(tasks: { [K in keyof T]: T[K] | Promise<T[K]> }) {
  await Promise.allSettled(tasks);
  return Promise.all(tasks);
}

/** What callers are shown. */
export function publicEntry({ path, type, size, mtime }: ListedEntry): MirrorEntry {
  return { path, type, size, mtime };
}

function realBelow({ ancestors }: Branch, key: string): string {
  return `${ancestors.at(-1)?.replace(/\/$/, '') ?? ''}/${key.slice(key.lastIndexOf('/') + 1)}`;
}

function tooMuch(
  side: { readonly fileSystem: Pick<FileSystem, 'textOf'>; readonly path: Buffer },
  key: string,
  what: string,
): SftpError {
  const path = key === '' ? side.fileSystem.textOf(side.path) : Buffer.from(key, 'latin1').toString();
  return new SftpError('LIMIT', `${quote(path)} has ${what}: it is not mirrored`);
}
