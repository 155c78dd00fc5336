/**
 * The directories that a walk comes to, listed ahead as far as memory allows, so that a deep tree on a slow network costs
 * about one round trip for each level, not for each directory.
 */
import { SftpError } from '../../errors.js';
import { onAbort } from '../../shared/abort.js';

/** What the listings may take in memory to which the walk has not come yet. */
const MAX_AHEAD_BYTES = 32 * 1024 * 1024;

/** What is listed ahead takes too much: this directory is listed again when the walk comes to it. */
class TooFarAhead extends Error {}

/** A directory that is listed or will be. */
export class WalkedDirectory<Listing> {
  listing: Promise<Listing> | undefined;
  /** What its entries take in memory, and how much of that is limited when the walk has come to it. */
  bytes = 0;
  limitedBytes = 0;
  isReached = false;
  /** The walk does not come to it any more. */
  isOver = false;
}

export interface ListingAheadOptions<Directory, Listing> {
  readonly list: (directory: Directory) => Promise<Listing>;
  /** How many listings may run at once. */
  readonly maxListings: () => number;
  /** Whether more may be listed ahead, as far as somebody else knows. Default: always. */
  readonly isWanted?: () => boolean;
  /** What the listings may take in memory to which the walk has come. */
  readonly maxBytes: number;
  /** The error if they take more. */
  readonly tooMuch: (directory: Directory) => SftpError;
  /** What has been listed is kept by somebody when the walk leaves it, and is limited from the beginning. */
  readonly keepsAll?: boolean;
}

export class ListingAhead<Listing, Directory extends WalkedDirectory<Listing>> {
  readonly #options: ListingAheadOptions<Directory, Listing>;
  readonly #abort = new AbortController();
  /** For everything that the walk asks for: it is aborted at the end of the walk. */
  readonly signal: AbortSignal = this.#abort.signal;
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new Set<Promise<void>>();
  /** The next one last. */
  readonly #waiting: Directory[] = [];
  #callOff: (() => void) | undefined;
  #reachedBytes = 0;
  #aheadBytes = 0;

  constructor(options: ListingAheadOptions<Directory, Listing>) {
    this.#options = options;
  }

  /** @param outside aborts the walk */
  begin(outside: AbortSignal | undefined): void {
    outside?.throwIfAborted();
    this.#callOff = onAbort(outside, (reason) => this.#abort.abort(reason));
  }

  /** Nothing is left running when it resolves. */
  async end(): Promise<void> {
    this.#callOff?.();
    this.#abort.abort(new SftpError('ABORTED', 'The walk is over'));
    await Promise.all(this.#running);
    await Promise.allSettled(this.#closing);
  }

  /** Nobody waits for a directory to be closed, but for the end of the walk. */
  close(closing: Promise<void>): void {
    const tracked = closing.finally(() => this.#closing.delete(tracked));
    tracked.catch(() => {});
    this.#closing.add(tracked);
  }

  async allClosed(): Promise<void> {
    await Promise.all(this.#closing);
  }

  /** The walk will come to these next, in this order. */
  add(directories: readonly Directory[]): void {
    for (const directory of directories.toReversed()) this.#waiting.push(directory);
  }

  /** The walk has come to a directory. */
  reach(directory: Directory): Promise<Listing> {
    this.setReached(directory, true);
    return this.listingOf(directory);
  }

  async listingOf(directory: Directory): Promise<Listing> {
    try {
      directory.listing ??= this.#start(directory);
      return await directory.listing;
    } catch (error) {
      if (!(error instanceof TooFarAhead)) throw error;
      directory.listing = this.#start(directory);
      return directory.listing;
    }
  }

  /** The walk does not come to it any more: nothing is kept of it. */
  leave(directory: Directory): void {
    directory.isOver = true;
    this.release(directory);
  }

  /** Keeps nothing of what was listed; it can be listed again. */
  release(directory: Directory): void {
    directory.listing = undefined;
    if (!this.#options.keepsAll) this.discharge(directory);
  }

  /** Counts what a directory takes with those that the walk has come to, or with those that are listed ahead. */
  setReached(directory: Directory, isReached: boolean): void {
    const { bytes, limitedBytes } = directory;
    this.discharge(directory);
    directory.isReached = isReached;
    this.#count(directory, bytes, limitedBytes);
  }

  /** So many bytes more of memory; `limitedBytes` of them are limited when the walk has come to it. */
  charge(directory: Directory, bytes: number, limitedBytes = bytes): void {
    const { maxBytes, keepsAll, tooMuch } = this.#options;
    this.#count(directory, bytes, limitedBytes);
    if (!directory.isReached && this.#aheadBytes > MAX_AHEAD_BYTES) throw new TooFarAhead();
    const keptBytes = keepsAll ? this.#reachedBytes + this.#aheadBytes : this.#reachedBytes;
    if ((directory.isReached || keepsAll) && keptBytes > maxBytes) throw tooMuch(directory);
  }

  /** What has been listed of it does not count any more. */
  discharge(directory: Directory): void {
    this.#count(directory, -directory.bytes, -directory.limitedBytes);
  }

  #count(directory: Directory, bytes: number, limitedBytes: number): void {
    directory.bytes += bytes;
    directory.limitedBytes += limitedBytes;
    if (directory.isReached) this.#reachedBytes += limitedBytes;
    else this.#aheadBytes += bytes;
  }

  /** So much is listed ahead that no more listings begin. */
  get isFull(): boolean {
    return this.#aheadBytes >= MAX_AHEAD_BYTES / 2;
  }

  /** Begins with what comes next. */
  lookAhead(): void {
    const { maxListings, isWanted } = this.#options;
    while (this.#running.size < maxListings() && !this.isFull && isWanted?.() !== false) {
      const next = this.#waiting.pop();
      if (next === undefined || this.signal.aborted) return;
      if (next.isOver || next.isReached || next.listing !== undefined) continue;
      next.listing = this.#start(next);
    }
  }

  #start(directory: Directory): Promise<Listing> {
    const listing = this.#options.list(directory);
    const discharge = () => this.discharge(directory);
    // The walk gets the failure when it comes there, which it may never do.
    const settled = listing
      .then(() => directory.isOver && discharge(), discharge)
      .finally(() => {
        this.#running.delete(settled);
        this.lookAhead();
      });
    this.#running.add(settled);
    return listing;
  }
}
