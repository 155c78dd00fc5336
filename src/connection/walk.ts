/**
 * Everything below a directory, in order, while the listings of what comes next are already on their way: a deep
 * tree over a slow line costs about one turn of the line per level, not per directory.
 */
import { Buffer } from 'node:buffer';
import { onAbort } from '../abort.js';
import { checkChoice, checkUint32 } from '../arguments.js';
import { SftpError, SftpStatusError } from '../errors.js';
import { printable } from '../printable.js';
import { decodePath, joinPath, quote } from '../remote-path.js';
import { readDirectory } from '../session/directory-reader.js';
import { lstatWithType, statWithType } from '../session/file-type.js';
import { realPathOr } from '../session/real-path.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { hasCode } from '../transfer/file-system.js';
import { objectionTo } from '../transfer/local-names.js';
import { Window } from '../transfer/window.js';
import type { FileAttributes } from '../wire/attributes.js';
import { byName } from './directories.js';

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
export interface WalkOptions extends OperationOptions {
  /** How deep to go; 1: the entries of the directory itself only. Default: 64, and deeper is an error. */
  readonly maxDepth?: number | undefined;
  /**
   * `report`: links are entries like others, and not entered. `follow`: what they lead to takes their place; a link
   * to a directory above it ends the walk with an `SftpError` (`ELOOP`). `skip`: they are left out. Default: `report`.
   */
  readonly symlinks?: 'report' | 'follow' | 'skip' | undefined;
  /** False for what shall be neither reported nor entered. Called ahead of the entries, in no certain order. */
  readonly filter?: ((entry: WalkEntry) => boolean) | undefined;
  /** Called for a directory that cannot be listed, and the walk goes on. Default: the walk rejects. */
  readonly onError?: ((error: SftpStatusError, path: string) => void) | undefined;
}

const MAX_DEPTH = 64;
/** Listings on the way at once: each is two turns of the line, and small. */
const MAX_LISTINGS = 128;
/** There are servers with few handles that do not tell, and others who need some. */
const MAX_LISTINGS_UNTOLD = 64;
/** How often a directory is tried that cannot be opened beside others, with half of them each time. */
const MAX_ATTEMPTS = 6;
/** Some handles are left for others. */
const SPARE_HANDLES = 8;
/** Entries that are listed and not yet asked for; beyond that only what is next is listed. */
const MAX_WAITING_ENTRIES = 50_000;
/** Questions about single entries on the way at once. */
const MAX_QUESTIONS = 64;

interface Directory {
  readonly path: Buffer;
  /** As the caller wrote it. */
  readonly shown: Buffer;
  readonly depth: number;
  /** The paths without links from the root down to it; empty unless links are followed. */
  readonly ancestors: readonly string[];
  listing?: Promise<readonly Found[]>;
}

interface Found {
  readonly entry: WalkEntry;
  readonly directory: Directory | undefined;
}

/** @param shown the root as the caller wrote it; `path`: as it is sent */
export function walkTree(
  client: SftpClient,
  path: Buffer,
  shown: Buffer,
  options: WalkOptions,
): AsyncGenerator<WalkEntry, void, undefined> {
  checkChoice(options.symlinks ?? 'report', ['report', 'follow', 'skip'], 'symlinks');
  if (options.maxDepth !== undefined) checkUint32('maxDepth', options.maxDepth);
  return new TreeWalk(client, options).entries(path, shown);
}

class TreeWalk {
  readonly #client: SftpClient;
  readonly #options: WalkOptions;
  readonly #abort = new AbortController();
  readonly #questions = new Window({ max: MAX_QUESTIONS });
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new Set<Promise<void>>();
  /** The next one last. */
  readonly #ahead: Directory[] = [];
  /** Those of {@link #running} that are with the server. */
  readonly #reading = new Set<Promise<unknown>>();
  /** What was found out about the server's handles. */
  #maxHandles = Number.POSITIVE_INFINITY;
  #waitingEntries = 0;

  constructor(client: SftpClient, options: WalkOptions) {
    this.#client = client;
    this.#options = options;
  }

  async *entries(path: Buffer, shown: Buffer): AsyncGenerator<WalkEntry, void, undefined> {
    const { signal, symlinks } = this.#options;
    signal?.throwIfAborted();
    const callOff = onAbort(signal, (reason) => this.#abort.abort(reason));
    try {
      const ancestors = symlinks === 'follow' ? [await this.#realPath(path)] : [];
      const levels = [(await this.#listingOf({ path, shown, depth: 0, ancestors })).values()];
      for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
        const { value: found, done } = level.next();
        if (done) levels.pop();
        else {
          this.#abort.signal.throwIfAborted();
          this.#waitingEntries -= 1;
          this.#lookAhead();
          yield found.entry;
          if (found.directory) levels.push((await this.#listingOf(found.directory)).values());
        }
      }
      await Promise.all(this.#closing);
    } finally {
      callOff();
      this.#abort.abort(new SftpError('ABORTED', 'The walk is over'));
      await Promise.all(this.#running);
      await Promise.all(this.#closing);
    }
  }

  get #asking(): OperationOptions {
    return { signal: this.#abort.signal };
  }

  #listingOf(directory: Directory): Promise<readonly Found[]> {
    directory.listing ??= this.#start(directory);
    return directory.listing;
  }

  #start(directory: Directory): Promise<readonly Found[]> {
    const listing = this.#list(directory);
    // Whoever comes to it gets the failure; nobody may ever come.
    const settled = listing
      .catch(() => {})
      .finally(() => {
        this.#running.delete(settled);
        this.#lookAhead();
      });
    this.#running.add(settled);
    return listing;
  }

  /** Nobody waits for a directory to be closed, but for the end of the walk. */
  #close(closing: Promise<void>): void {
    const tracked = closing.finally(() => this.#closing.delete(tracked));
    this.#closing.add(tracked);
  }

  /** A server tells its limits soon after the walk has begun. */
  get #maxListings(): number {
    const { maxOpenHandles: told } = this.#client.limits;
    const most = told === undefined ? MAX_LISTINGS_UNTOLD : Math.min(MAX_LISTINGS, told - SPARE_HANDLES);
    return Math.max(1, Math.min(most, this.#maxHandles));
  }

  /** Begins with what comes next, as far as handles and memory allow. */
  #lookAhead(): void {
    while (this.#running.size < this.#maxListings && this.#waitingEntries < MAX_WAITING_ENTRIES) {
      const next = this.#ahead.pop();
      if (next === undefined || this.#abort.signal.aborted) return;
      void this.#listingOf(next);
    }
  }

  async #list(directory: Directory): Promise<readonly Found[]> {
    const found = await this.#foundIn(directory);
    this.#waitingEntries += found.length;
    const directories = found.flatMap((one) => one.directory ?? []);
    this.#ahead.push(...directories.reverse());
    return found;
  }

  async #foundIn(directory: Directory): Promise<readonly Found[]> {
    try {
      const entries = await this.#read(directory);
      entries.sort(byName);
      const found = await Promise.all(entries.map((entry) => this.#find(directory, entry)));
      return found.filter((one) => one !== undefined);
    } catch (error) {
      const { onError } = this.#options;
      if (onError === undefined || !(error instanceof SftpStatusError)) throw error;
      onError(error, decodePath(directory.shown));
      return [];
    }
  }

  /** A failure beside others may be a lack of handles: it is tried again beside half as many. */
  async #read(directory: Directory): Promise<FileAttributes[]> {
    for (let attempt = 1; ; attempt += 1) {
      while (this.#holding.length >= this.#maxHandles) await Promise.race(this.#holding);
      const before = this.#holding.length;
      const reading = readDirectory(this.#client, directory.path, {
        ...this.#asking,
        inBackground: (closing) => this.#close(closing),
      });
      const settled = reading.catch(() => {}).finally(() => this.#reading.delete(settled));
      this.#reading.add(settled);
      try {
        return await reading;
      } catch (error) {
        this.#reading.delete(settled);
        const beside = Math.max(before, this.#holding.length);
        if (!mayLackHandles(error) || beside === 0 || attempt === MAX_ATTEMPTS) throw error;
        this.#maxHandles = Math.max(1, Math.min(this.#maxHandles, Math.floor(beside / 2)));
      }
    }
  }

  /** All that hold a handle or ask for one. */
  get #holding(): readonly Promise<unknown>[] {
    return [...this.#reading, ...this.#closing];
  }

  async #find(parent: Directory, listed: FileAttributes): Promise<Found | undefined> {
    const name = Buffer.from(listed.filenameBytes);
    checkName(name, parent.shown);
    const path = joinPath(parent.path, name);
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
    if (filter?.(entry) === false) return undefined;
    const isEntered = attributes.isDirectory() && depth < maxDepth;
    if (!isEntered) return { entry, directory: undefined };
    if (depth >= MAX_DEPTH) {
      throw new SftpError('LIMIT', `${quote(shown)} has more than ${MAX_DEPTH} levels of directories`);
    }
    const ancestors = symlinks === 'follow' ? await this.#ancestors(parent, path, name, isLink) : [];
    return { entry, directory: { path, shown, depth, ancestors } };
  }

  /** What a link leads to; `undefined`: nothing. */
  #target(path: Buffer): Promise<FileAttributes | undefined> {
    return this.#ask(async () => {
      try {
        return await statWithType(this.#client, path, this.#asking);
      } catch (error) {
        if (hasCode(error, 'ENOENT', 'ENOTDIR')) return undefined;
        throw error;
      }
    });
  }

  async #ancestors(
    parent: Directory,
    path: Buffer,
    name: Buffer,
    isLink: boolean,
  ): Promise<readonly string[]> {
    const { ancestors } = parent;
    const real = isLink
      ? await this.#ask(() => this.#realPath(path))
      : `${ancestors.at(-1)?.replace(/\/$/, '')}/${name.toString('latin1')}`;
    if (isLink && ancestors.includes(real)) {
      throw new SftpError('ELOOP', `${quote(path)} is a link to a directory above it, a loop without end`);
    }
    return [...ancestors, real];
  }

  /** Without REALPATH a path is known by itself; loops of links are then left at the greatest depth. */
  async #realPath(path: Buffer): Promise<string> {
    return (await realPathOr(this.#client, path, path, this.#asking)).toString('latin1');
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    await this.#questions.acquire(1, this.#abort.signal);
    try {
      return await question();
    } finally {
      this.#questions.release(1);
    }
  }
}

function mayLackHandles(error: unknown): boolean {
  return (
    error instanceof SftpStatusError && error.operation === 'opendir' && hasCode(error, 'FAILURE', 'EMFILE')
  );
}

/** A name with a separator would lead somewhere else. */
export function checkName(name: Buffer, directory: Buffer): void {
  const objection = objectionTo(name, 'linux');
  if (objection === undefined) return;
  const shown = printable(name.toString('utf8'), 300);
  throw new SftpError('UNSAFE_NAME', `The name '${shown}' in ${quote(directory)} is refused: ${objection}`);
}

function append(directory: Buffer, name: Buffer): Buffer {
  const separator = directory[directory.length - 1] === 0x2f ? '' : '/';
  return Buffer.concat([directory, Buffer.from(separator), name]);
}
