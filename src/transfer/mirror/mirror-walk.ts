/**
 * The steps of a mirror, one after the other: both trees are walked at the same time, sorted, and merged directory by
 * directory. What comes next is listed ahead, as far as memory allows, so that a deep tree on a slow network costs about
 * one round trip for each level. Nothing is kept of a directory that has been left.
 */
import { SftpError } from '../../errors.js';
import { onAbort } from '../../shared/abort.js';
import { isAnswer, isFatal } from '../copy-failure.js';
import type { LineUse } from '../engine/copy-content.js';
import type { Place } from '../file-system.js';
import { leaveTemporary, temporaryPath } from '../resume/temporary-file.js';
import { Comparison, type MirrorComparison } from './mirror-comparison.js';
import {
  type Branch,
  Lister,
  type Listing,
  MAX_LISTINGS,
  type MirrorListingOptions,
  pathOf,
  tooMuch,
} from './mirror-listing.js';
import { type Decision, decide, goesOnBelow, PlannedStep, type PlanOptions } from './mirror-plan.js';
import type { MirrorStep } from './mirror-step.js';

export interface MirrorWalkOptions extends MirrorListingOptions, PlanOptions {
  /** How files are compared; `undefined`: not at all, where only what is extra matters. */
  readonly compare: MirrorComparison | undefined;
  readonly line: LineUse;
  readonly preserveMtime: boolean;
  /** Nothing is written, not even to try something. */
  readonly dryRun: boolean;
  /** Called with directories of the target in which programs that were killed have left something. */
  readonly onAbandoned?: ((key: string) => void) | undefined;
  /** Called before the step of a directory that is left alone, as it cannot be listed. Left out: that ends the walk. */
  readonly onUnreadable?: ((step: MirrorStep, error: unknown) => void) | undefined;
}

/** What the entries may take in memory that a server lists in the directories that the walk has come to. */
const MAX_REACHED_BYTES = 168 * 1024 * 1024;
/** And what is listed ahead, wherever that is. */
const MAX_AHEAD_BYTES = 32 * 1024 * 1024;

/** Of a million single ones, what is awaited for each piles up as garbage faster than it is collected. */
const MAX_BATCH = 256;

/** What is listed ahead takes too much: this directory is listed again when the walk comes to it. */
class TooFarAhead extends Error {}

/** A directory that is listed or will be. */
class Node {
  readonly branch: Branch;
  /** It makes room for what the source has there. */
  readonly isReplaced: boolean;
  listing: Promise<Listing> | undefined;
  children: ReadonlyMap<number, Node> = new Map();
  /** What its entries take: of a server, and in all. */
  serverBytes = 0;
  bytes = 0;
  isReached = false;
  /** The walk does not come to it any more. */
  isOver = false;
  /** Why it cannot be listed. */
  failure: unknown;

  constructor(branch: Branch, isReplaced: boolean) {
    this.branch = branch;
    this.isReplaced = isReplaced;
  }
}

/** A directory that the walk is in. */
interface Level {
  readonly node: Node;
  readonly listing: Listing;
  next: number;
  /** Nothing in it must stay, nor below. */
  readonly isFree: boolean;
}

export class MirrorWalk {
  readonly #source: Place;
  readonly #target: Place;
  readonly #options: MirrorWalkOptions;
  readonly #abort = new AbortController();
  readonly #lister: Lister;
  readonly #comparison: Comparison | undefined;
  readonly #running = new Set<Promise<unknown>>();
  readonly #closing = new Set<Promise<void>>();
  /** The next one last. */
  readonly #ahead: Node[] = [];
  #reachedBytes = 0;
  #aheadBytes = 0;
  #listedBytes = 0;
  #serverBytes = 0;
  #timesRefused: Promise<boolean> | undefined;

  constructor(source: Place, target: Place, options: MirrorWalkOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    const { signal } = this.#abort;
    this.#lister = new Lister(source, target, { ...options, signal });
    const { compare, line } = options;
    const goesOn = options.onUnreadable !== undefined;
    if (compare !== undefined)
      this.#comparison = new Comparison(compare, { source, target, line, signal, goesOn });
  }

  /** What all directories have taken that the walk has come to: of both sides, and of servers only. */
  get taken(): { readonly listedBytes: number; readonly serverBytes: number } {
    return { listedBytes: this.#listedBytes, serverBytes: this.#serverBytes };
  }

  /** Sorted by path, a directory before its content, what is in the way before what replaces it. */
  async *steps(): AsyncGenerator<PlannedStep, void, undefined> {
    for await (const batch of this.batches()) yield* batch;
  }

  /** The same, several at once. */
  async *batches(): AsyncGenerator<readonly PlannedStep[], void, undefined> {
    const { signal } = this.#options;
    signal?.throwIfAborted();
    const callOff = onAbort(signal, (reason) => this.#abort.abort(reason));
    try {
      const levels = [await this.#reach(new Node(await this.#lister.root(), false), false)];
      for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
        if (level.next >= level.listing.directory.count) {
          this.#leave(levels.pop()?.node);
          continue;
        }
        const { steps, below } = await this.#stepsAt(level);
        if (below !== undefined) levels.push(below);
        yield steps;
        this.#abort.signal.throwIfAborted();
      }
      await Promise.all(this.#closing);
    } finally {
      callOff();
      this.#abort.abort(new SftpError('ABORTED', 'The walk is over'));
      await Promise.allSettled([...this.#running, ...this.#closing]);
    }
  }

  /** Some of the next steps, and the directory to go on in. */
  async #stepsAt(
    level: Level,
  ): Promise<{ readonly steps: PlannedStep[]; readonly below?: Level | undefined }> {
    const { directory } = level.listing;
    const { permitted, delete: mayDelete } = this.#options;
    const { isReplaced } = level.node;
    const steps: PlannedStep[] = [];
    while (level.next < directory.count && steps.length < MAX_BATCH) {
      const index = level.next++;
      const child = level.node.children.get(index);
      const isHeld = child !== undefined && !level.isFree && (await this.#isHeld(level, index, child));
      const areTimesRefused =
        directory.difference(index) === 'mtime' && (await this.#areTimesRefused(directory.keyAt(index)));
      const rules = { delete: mayDelete, permitted, isReplaced, isHeld, areTimesRefused };
      const decisions = decide(directory, index, rules);
      const isFree = level.isFree || (child?.branch.onSource === false && !isHeld);
      // It is listed before anything is said of it: of what cannot be listed nothing is touched.
      const below = child && goesOnBelow(decisions) ? await this.#tryToReach(child, isFree) : undefined;
      const make = (decision: Decision) => new PlannedStep(decision, { directory, index, permitted });
      if (child?.failure === undefined) for (const decision of decisions) steps.push(make(decision));
      else steps.push(this.#leaveOut(make(['skip', 'unreadable']), child.failure));
      if (below !== undefined) return { steps, below };
      this.#leave(child);
    }
    return { steps };
  }

  #leaveOut(step: PlannedStep, failure: unknown): PlannedStep {
    this.#options.onUnreadable?.(step, failure);
    return step;
  }

  async #tryToReach(node: Node, isFree: boolean): Promise<Level | undefined> {
    return this.#unlessUnreadable(node, this.#reach(node, isFree));
  }

  async #unlessUnreadable<T>(node: Node, listing: Promise<T>): Promise<T | undefined> {
    try {
      return await listing;
    } catch (error) {
      const mayGoOn = this.#options.onUnreadable !== undefined && !this.#abort.signal.aborted;
      if (!mayGoOn || isFatal(error) || !isAnswer(error)) throw error;
      node.failure = error;
      return undefined;
    }
  }

  /** Whether a directory of the target that would be deleted holds something that must stay. */
  async #isHeld({ listing: { directory } }: Level, index: number, child: Node): Promise<boolean> {
    const isDeleted = this.#options.delete && directory.sourceType(index) !== 'directory';
    return isDeleted ? this.#holds(child) : false;
  }

  async #holds(node: Node): Promise<boolean> {
    this.#count(node, true);
    try {
      const listing = await this.#unlessUnreadable(node, this.#listingOf(node));
      if (listing === undefined || listing.isHeld) return true;
      for (const child of node.children.values()) if (await this.#holds(child)) return true;
      return false;
    } finally {
      this.#count(node, false);
      if (this.#aheadBytes > MAX_AHEAD_BYTES / 2) this.#release(node);
    }
  }

  /** Counts what a directory takes with those that the walk has come to, or with those that are listed ahead. */
  #count(node: Node, isReached: boolean): void {
    if (node.isReached === isReached) return;
    node.isReached = isReached;
    const sign = isReached ? 1 : -1;
    this.#aheadBytes -= sign * node.bytes;
    this.#reachedBytes += sign * node.serverBytes;
  }

  async #reach(node: Node, isFree: boolean): Promise<Level> {
    this.#count(node, true);
    const listing = await this.#listingOf(node);
    this.#listedBytes += node.bytes;
    this.#serverBytes += node.serverBytes;
    if (listing.isAbandoned) this.#options.onAbandoned?.(node.branch.key);
    return { node, listing, next: 0, isFree };
  }

  #leave(node: Node | undefined): void {
    if (node === undefined) return;
    node.isOver = true;
    this.#release(node);
  }

  /** Keeps nothing of what was listed. */
  #release(node: Node): void {
    for (const child of node.children.values()) this.#leave(child);
    node.children = new Map();
    node.listing = undefined;
    this.#discharge(node);
  }

  #discharge(node: Node): void {
    if (node.isReached) this.#reachedBytes -= node.serverBytes;
    else this.#aheadBytes -= node.bytes;
    node.bytes = 0;
    node.serverBytes = 0;
  }

  async #listingOf(node: Node): Promise<Listing> {
    try {
      node.listing ??= this.#start(node);
      return await node.listing;
    } catch (error) {
      if (!(error instanceof TooFarAhead)) throw error;
      node.listing = this.#start(node);
      return node.listing;
    }
  }

  #start(node: Node): Promise<Listing> {
    const listing = this.#list(node);
    // The failure belongs to the step that comes here; there may be none.
    const settled = listing
      .catch(() => {})
      .finally(() => {
        this.#running.delete(settled);
        this.#lookAhead();
      });
    this.#running.add(settled);
    return listing;
  }

  async #list(node: Node): Promise<Listing> {
    const listing = await this.#lister
      .list(node.branch, {
        charge: (bytes, isLocal) => this.#charge(node, bytes, isLocal),
        close: (closing) => this.#close(closing),
      })
      .catch((error) => {
        this.#discharge(node);
        throw error;
      });
    await this.#comparison?.noteDifferences(listing.directory);
    if (node.isOver) {
      this.#discharge(node);
      return listing;
    }
    node.children = childrenOf(node, listing);
    for (const child of [...node.children.values()].reverse()) this.#ahead.push(child);
    return listing;
  }

  /** A server must not fill the memory; what lies on our own disk is bounded by the disk. */
  #charge(node: Node, bytes: number, isLocal: boolean): void {
    const serverBytes = isLocal ? 0 : bytes;
    node.bytes += bytes;
    node.serverBytes += serverBytes;
    if (!node.isReached) {
      this.#aheadBytes += bytes;
      if (this.#aheadBytes > MAX_AHEAD_BYTES) throw new TooFarAhead();
      return;
    }
    this.#reachedBytes += serverBytes;
    if (this.#reachedBytes <= MAX_REACHED_BYTES) return;
    const side = this.#source.fileSystem.isLocal ? this.#target : this.#source;
    throw tooMuch(
      side,
      node.branch.key,
      'more entries, with those of its parent directories, than there may be',
    );
  }

  /** Nobody waits for a directory to be closed, but for the end of the walk. */
  #close(closing: Promise<void>): void {
    const tracked = closing.finally(() => this.#closing.delete(tracked));
    tracked.catch(() => {});
    this.#closing.add(tracked);
  }

  /** Begins with what comes next. */
  #lookAhead(): void {
    while (this.#running.size < MAX_LISTINGS && this.#aheadBytes < MAX_AHEAD_BYTES / 2) {
      const next = this.#ahead.pop();
      if (next === undefined || this.#abort.signal.aborted) return;
      if (next.isOver || next.isReached || next.listing !== undefined) continue;
      next.listing = this.#start(next);
    }
  }

  /** Where the server lets no times be set, those of what was mirrored before say nothing, and only sizes do. */
  async #areTimesRefused(key: string): Promise<boolean> {
    const { fileSystem, path } = this.#target;
    const { preserveMtime, dryRun } = this.#options;
    if (!preserveMtime || fileSystem.refusesTimes === undefined) return false;
    this.#timesRefused ??= (async () => {
      const target = { fileSystem, path: pathOf({ fileSystem, path }, key) };
      const newFile = dryRun ? undefined : temporaryPath(target);
      try {
        return (
          (await fileSystem.refusesTimes?.(target.path, { signal: this.#abort.signal, newFile })) ?? false
        );
      } finally {
        if (newFile !== undefined) leaveTemporary(target, newFile);
      }
    })();
    return this.#timesRefused;
  }
}

/** A directory with another type on the source's side makes room, and so does all below it. */
function childrenOf(node: Node, { directory, branches }: Listing): ReadonlyMap<number, Node> {
  const children = new Map<number, Node>();
  for (const [index, branch] of branches) {
    const [from, to] = [directory.sourceType(index), directory.targetType(index)];
    const isInTheWay = from !== undefined && to !== undefined && from !== to;
    children.set(index, new Node(branch, node.isReplaced || isInTheWay));
  }
  return children;
}
