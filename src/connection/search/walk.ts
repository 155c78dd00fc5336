/**
 * Everything below a directory, in order, while the listings of what comes next are already on their way: a deep
 * tree over a slow line costs about one round trip per level, not per directory.
 */
import { Buffer } from 'node:buffer';
import { SftpError, SftpStatusError } from '../../errors.js';
import { attributesOf, readPacked } from '../../session/directory-reader.js';
import { lstatWithType, statWithType } from '../../session/quirks/file-type.js';
import { explain } from '../../session/quirks/likely-cause.js';
import type { OperationOptions, SftpClient } from '../../session/sftp-client.js';
import { unlessRefused } from '../../session/status-error.js';
import { untilAborted } from '../../shared/abort.js';
import { checkChoice, checkUint32 } from '../../shared/arguments.js';
import { LongWork } from '../../shared/event-loop.js';
import { CALL_OPTIONS, type CallOptions, type OptionTable } from '../../shared/option-checks.js';
import { printable } from '../../shared/printable.js';
import { childPath, decodePath, pathKey, quote } from '../../shared/remote-path.js';
import { Window } from '../../transfer/engine/window.js';
import { unlessCode } from '../../transfer/file-system.js';
import { objectionTo } from '../../transfer/local/local-names.js';
import { Ancestors, checkDepth } from '../../transfer/tree/ancestors.js';
import { type EntryFilter, passes } from '../../transfer/tree/entry-filter.js';
import { ListingAhead, WalkedDirectory } from '../../transfer/tree/listing-ahead.js';
import type { FileAttributes } from '../../wire/attributes.js';
import { PackedEntries } from '../../wire/packed-entries.js';

/** Something that was found below a directory. */
export interface WalkEntry {
  /** As the directory was written, with what leads down from it: `walk('pub')` gives `pub/example/a.txt`. */
  readonly path: string;
  /** The same as bytes, for names that are not UTF-8. */
  readonly pathBytes: Uint8Array;
  /** Of what a link leads to, where links are followed and it leads to something; else its own. */
  readonly attributes: FileAttributes;
  /** 1 for what lies in the directory itself. */
  readonly depth: number;
}

/** Options of {@link Connection.walk}. */
export interface WalkOptions extends CallOptions {
  /** How deep to go; 1: the entries of the directory itself only. Default: 64, and deeper is an error. */
  readonly maxDepth?: number | undefined;
  /**
   * `report`: links are entries like others, and not entered. `follow`: what they lead to takes their place; a link
   * to a directory above it ends the walk with an `SftpError` (`ELOOP`). `skip`: they are left out. Default: `report`.
   */
  readonly symlinks?: 'report' | 'follow' | 'skip' | undefined;
  /** True keeps an entry; false neither reports nor enters it. Called ahead of the entries, in no certain order. */
  readonly filter?: EntryFilter<WalkEntry> | undefined;
  /** Called for a directory that cannot be listed, and the walk goes on. Default: the walk rejects. */
  readonly onError?: ((error: SftpStatusError, path: string, pathBytes: Uint8Array) => void) | undefined;
}

export const WALK_OPTIONS: OptionTable<WalkOptions> = {
  ...CALL_OPTIONS,
  maxDepth: 'checked',
  symlinks: 'checked',
  filter: 'function',
  onError: 'function',
};

/** Listings on the way at once: each is two round trips, and small. */
const MAX_LISTINGS = 128;
/** There are servers with few handles that do not tell, and others who need some. */
const MAX_LISTINGS_UNTOLD = 64;
/** Some handles are left for others. */
const SPARE_HANDLES = 8;
/** Entries that are listed and not yet asked for; beyond that only what is next is listed. */
const MAX_WAITING_ENTRIES = 50_000;
/** Questions about single entries on the way at once. */
const MAX_QUESTIONS = 64;
/** Entries that are looked at together. */
const STEP = 1000;
/** What a directory takes that is kept, beside its entries. */
const LEVEL_BYTES = 1024;
/** What the listings may take in memory that the walk has come to. */
const MAX_REACHED_BYTES = 128 * 1024 * 1024;

/** For those who keep what is found as it is listed, in little memory. */
export interface Keeping {
  /** Takes a directory that has been listed; what is asked about its entries later is set in them. */
  readonly onLevel: (shown: Buffer, level: Entries) => void;
  /** What all of it may take in memory. */
  readonly maxBytes: number;
}

/** The entries of a directory, and their positions in the order of their names. */
export interface Entries {
  readonly entries: PackedEntries;
  readonly order: Uint32Array;
}

class Directory extends WalkedDirectory<Level> {
  readonly path: Buffer;
  /** As the caller wrote it. */
  readonly shown: Buffer;
  readonly depth: number;
  /** Only where links are followed. */
  readonly ancestors: Ancestors | undefined;

  constructor(path: Buffer, shown: Buffer, depth: number, ancestors: Ancestors | undefined) {
    super();
    this.path = path;
    this.shown = shown;
    this.depth = depth;
    this.ancestors = ancestors;
  }
}

/** A directory that has been listed: its entries in order, some of them looked at. */
interface Level extends Entries {
  readonly directory: Directory;
  /** How many have been looked at. */
  seen: number;
  found: readonly Found[];
  /** How many of them have been given. */
  given: number;
}

interface Found {
  readonly entry: WalkEntry;
  readonly directory: Directory | undefined;
}

type FoundOrNot = Found | undefined;

/** @param shown the root as the caller wrote it; `path`: as it is sent */
export function walkTree(
  client: SftpClient,
  path: Buffer,
  shown: Buffer,
  options: WalkOptions,
  keeping?: Keeping,
): AsyncGenerator<WalkEntry, void, undefined> {
  checkChoice(options.symlinks ?? 'report', ['report', 'follow', 'skip'], 'symlinks');
  if (options.maxDepth !== undefined) checkUint32('maxDepth', options.maxDepth);
  return new TreeWalk(client, options, keeping).entries(path, shown);
}

class TreeWalk {
  readonly #client: SftpClient;
  readonly #options: WalkOptions;
  readonly #keeping: Keeping | undefined;
  readonly #ahead: ListingAhead<Level, Directory>;
  readonly #asking: OperationOptions;
  readonly #questions = new Window({ max: MAX_QUESTIONS });
  #waitingEntries = 0;

  constructor(client: SftpClient, options: WalkOptions, keeping: Keeping | undefined) {
    this.#client = client;
    this.#options = options;
    this.#keeping = keeping;
    const maxBytes = keeping?.maxBytes ?? MAX_REACHED_BYTES;
    this.#ahead = new ListingAhead({
      list: (directory) => this.#list(directory),
      maxListings: () => this.#maxListings,
      isWanted: () => this.#waitingEntries < MAX_WAITING_ENTRIES,
      maxBytes,
      tooMuch: ({ shown }) => tooLarge(shown, maxBytes),
      keepsAll: keeping !== undefined,
    });
    this.#asking = { signal: this.#ahead.signal };
  }

  async *entries(path: Buffer, shown: Buffer): AsyncGenerator<WalkEntry, void, undefined> {
    const ahead = this.#ahead;
    ahead.begin(this.#options.signal);
    const work = new LongWork();
    try {
      const isFollowed = this.#options.symlinks === 'follow';
      const ancestors = isFollowed ? new Ancestors(await this.#realPath(path)) : undefined;
      const levels = [await ahead.reach(new Directory(path, shown, 0, ancestors))];
      for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
        const found = level.found[level.given] ?? (await this.#step(level));
        if (found === undefined) {
          levels.pop();
          ahead.leave(level.directory);
        } else {
          await work.step();
          ahead.signal.throwIfAborted();
          level.given += 1;
          this.#waitingEntries -= 1;
          ahead.lookAhead();
          yield found.entry;
          if (found.directory) levels.push(await ahead.reach(found.directory));
        }
      }
      await ahead.allClosed();
    } finally {
      await ahead.end();
    }
  }

  /** A server tells its limits soon after the walk has begun. */
  get #maxListings(): number {
    const { maxOpenHandles: told } = this.#client.limits;
    return told === undefined
      ? MAX_LISTINGS_UNTOLD
      : Math.max(1, Math.min(MAX_LISTINGS, told - SPARE_HANDLES));
  }

  async #list(directory: Directory): Promise<Level> {
    const listed = await this.#guard(directory, undefined, () => this.#read(directory));
    const entries = listed ?? new PackedEntries();
    const level = { directory, entries, order: entries.sorted(), seen: 0, found: [], given: 0 };
    if (listed !== undefined) this.#keep(level);
    this.#waitingEntries += level.order.length;
    await this.#step(level);
    return level;
  }

  #keep({ directory, entries, order }: Level): void {
    if (this.#keeping === undefined) return;
    this.#ahead.charge(directory, LEVEL_BYTES + order.byteLength);
    this.#keeping.onLevel(directory.shown, { entries, order });
  }

  /** Looks at the next entries, and returns the first of them to report, if there is one. */
  async #step(level: Level): Promise<Found | undefined> {
    const { directory, entries, order } = level;
    while (level.seen < order.length) {
      const step = Array.from(order.subarray(level.seen, level.seen + STEP), (position) =>
        attributesOf(entries.at(position)),
      );
      level.seen += step.length;
      const all = await this.#guard(directory, [], () =>
        Promise.all(step.map((entry) => this.#find(directory, entry))),
      );
      if (this.#keeping !== undefined) learn(level, step, all);
      level.found = all.filter((one) => one !== undefined);
      level.given = 0;
      this.#waitingEntries -= step.length - level.found.length;
      this.#ahead.add(level.found.flatMap((one) => one.directory ?? []));
      if (level.found.length > 0) break;
    }
    return level.found[level.given];
  }

  async #guard<T>(directory: Directory, without: T, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      const { onError } = this.#options;
      if (onError === undefined || !(error instanceof SftpStatusError)) throw error;
      onError(error, decodePath(directory.shown), directory.shown);
      return without;
    }
  }

  #read(directory: Directory): Promise<PackedEntries> {
    const { path } = directory;
    const reading = readPacked(this.#client, path, {
      ...this.#asking,
      inBackground: (closing) => this.#ahead.close(closing),
      onBegin: () => this.#ahead.discharge(directory),
      onEntry: (bytes) => this.#ahead.charge(directory, bytes),
    });
    return explain(reading, 'opendir', { client: this.#client, path, options: this.#asking });
  }

  async #find(parent: Directory, listed: FileAttributes): Promise<Found | undefined> {
    const name = Buffer.from(listed.filenameBytes);
    checkName(name, parent.shown);
    const path = childPath(parent.path, name);
    const shown = append(parent.shown, name);
    const { symlinks = 'report', maxDepth = Number.POSITIVE_INFINITY, filter } = this.#options;
    const itself =
      listed.type === 'unknown'
        ? await this.#ask(() => lstatWithType(this.#client, path, this.#asking))
        : listed;
    const isLink = itself.isSymbolicLink();
    if (isLink && symlinks === 'skip') return undefined;
    const attributes = isLink && symlinks === 'follow' ? ((await this.#target(path)) ?? itself) : itself;
    const depth = parent.depth + 1;
    const entry = { path: decodePath(shown), pathBytes: shown, attributes, depth };
    if (filter !== undefined && !(await this.#meanwhile(passes(filter, entry)))) return undefined;
    const isEntered = attributes.isDirectory() && depth < maxDepth;
    if (!isEntered) return { entry, directory: undefined };
    checkDepth(depth + 1, shown);
    const ancestors = isLink
      ? parent.ancestors?.through(path, await this.#ask(() => this.#realPath(path)))
      : parent.ancestors?.below(pathKey(name));
    return { entry, directory: new Directory(path, shown, depth, ancestors) };
  }

  /** Waits for the caller's code no longer than for the walk, and for the session. */
  #meanwhile<T>(answer: Promise<T>): Promise<T> {
    return untilAborted(untilAborted(answer, this.#ahead.signal), this.#client.ended);
  }

  /** What a link leads to; `undefined`: nothing. */
  #target(path: Buffer): Promise<FileAttributes | undefined> {
    return this.#ask(() => unlessCode(statWithType(this.#client, path, this.#asking), 'ENOENT', 'ENOTDIR'));
  }

  /** Without REALPATH a path is known by itself; loops of links are then left at the greatest depth. */
  async #realPath(path: Buffer): Promise<string> {
    return pathKey(await unlessRefused(this.#client.realpath(path, this.#asking), path));
  }

  #ask<T>(question: () => Promise<T>): Promise<T> {
    return this.#questions.use(1, this.#ahead.signal, question);
  }
}

/** Sets in the entries what was asked about those that have just been looked at, where the listing had not told. */
function learn({ entries, order, seen }: Level, step: readonly FileAttributes[], all: FoundOrNot[]): void {
  for (const [index, { type }] of step.entries()) {
    const position = order[seen - step.length + index];
    const asked = all[index]?.entry.attributes;
    if (type === 'unknown' && asked !== undefined && position !== undefined) {
      entries.setAttributes(position, { type: asked.type, attributes: asked });
    }
  }
}

function tooLarge(directory: Buffer, maxBytes: number): SftpError {
  const most = `${maxBytes / 1024 / 1024} MiB`;
  return new SftpError(
    'LIMIT',
    `The walk was given up at ${quote(directory)}: its listings take more than ${most}`,
  );
}

/** A name with a separator would lead somewhere else. */
export function checkName(name: Buffer, directory: Buffer): void {
  const objection = objectionTo(name, 'linux');
  if (objection === undefined) return;
  const shown = printable(name.toString('utf8'), 300);
  throw new SftpError('UNSAFE_NAME', `The name '${shown}' in ${quote(directory)} is refused: ${objection}`);
}

/** The path of an entry, as people see it. */
export function append(directory: Buffer, name: Buffer): Buffer {
  const separator = directory[directory.length - 1] === 0x2f ? '' : '/';
  return Buffer.concat([directory, Buffer.from(separator), name]);
}
