/**
 * The steps of a mirror, one after the other: both trees are walked at the same time, sorted, and merged directory by
 * directory. What comes next is listed ahead, as far as memory allows, so that a deep tree on a slow network costs about
 * one round trip for each level. Nothing is kept of a directory that has been left.
 */
import type { SftpError } from '../../errors.js';
import type { PathKey } from '../../shared/remote-path.js';
import { isAnswer, isFatal } from '../copy-failure.js';
import type { LineUse } from '../engine/copy-content.js';
import type { Place } from '../file-system.js';
import { leaveTemporary, temporaryPath } from '../resume/temporary-file.js';
import { tooMuch } from '../tree/ancestors.js';
import { ListingAhead, WalkedDirectory } from '../tree/listing-ahead.js';
import { Comparison, type MirrorComparison } from './mirror-comparison.js';
import {
  type Branch,
  Lister,
  type Listing,
  MAX_LISTINGS,
  type MirrorListingOptions,
  NOT_MIRRORED,
  pathOf,
  shownPath,
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
  readonly onAbandoned?: ((key: PathKey) => void) | undefined;
  /** Called before the step of a directory that is left alone, as it cannot be listed. Left out: that ends the walk. */
  readonly onUnreadable?: ((step: MirrorStep, error: unknown) => void) | undefined;
}

/** What the entries may take in memory that a server lists in the directories that the walk has come to. */
const MAX_REACHED_BYTES = 168 * 1024 * 1024;

/** Of a million single ones, what is awaited for each piles up as garbage faster than it is collected. */
const MAX_BATCH = 256;

/** A directory of both trees. A server must not fill the memory; what lies on our own disk is bounded by the disk. */
class Node extends WalkedDirectory<Listing> {
  readonly branch: Branch;
  /** It makes room for what the source has there. */
  readonly isReplaced: boolean;
  children: ReadonlyMap<number, Node> = new Map();
  /** Why it cannot be listed. */
  failure: unknown;

  constructor(branch: Branch, isReplaced: boolean) {
    super();
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
  readonly #ahead: ListingAhead<Listing, Node>;
  readonly #lister: Lister;
  readonly #comparison: Comparison | undefined;
  #listedBytes = 0;
  #serverBytes = 0;
  #timesRefused: Promise<boolean> | undefined;

  constructor(source: Place, target: Place, options: MirrorWalkOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#ahead = new ListingAhead({
      list: (node) => this.#list(node),
      maxListings: () => MAX_LISTINGS,
      maxBytes: MAX_REACHED_BYTES,
      tooMuch: ({ branch }) => this.#tooMuch(branch),
    });
    const { signal } = this.#ahead;
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
    this.#ahead.begin(this.#options.signal);
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
        this.#ahead.signal.throwIfAborted();
      }
      await this.#ahead.allClosed();
    } finally {
      await this.#ahead.end();
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
      const mayGoOn = this.#options.onUnreadable !== undefined && !this.#ahead.signal.aborted;
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
    this.#ahead.setReached(node, true);
    try {
      const listing = await this.#unlessUnreadable(node, this.#ahead.listingOf(node));
      if (listing === undefined || listing.isHeld) return true;
      for (const child of node.children.values()) if (await this.#holds(child)) return true;
      return false;
    } finally {
      this.#ahead.setReached(node, false);
      if (this.#ahead.isFull) this.#release(node);
    }
  }

  async #reach(node: Node, isFree: boolean): Promise<Level> {
    const listing = await this.#ahead.reach(node);
    this.#listedBytes += node.bytes;
    this.#serverBytes += node.limitedBytes;
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
    this.#ahead.release(node);
  }

  async #list(node: Node): Promise<Listing> {
    const listing = await this.#lister.list(node.branch, {
      charge: (bytes, isLocal) => this.#ahead.charge(node, bytes, isLocal ? 0 : bytes),
      close: (closing) => this.#ahead.close(closing),
    });
    await this.#comparison?.noteDifferences(listing.directory);
    if (node.isOver) return listing;
    node.children = childrenOf(node, listing);
    this.#ahead.add([...node.children.values()]);
    return listing;
  }

  #tooMuch({ key }: Branch): SftpError {
    const side = this.#source.fileSystem.isLocal ? this.#target : this.#source;
    const what = 'more entries, with those of its parent directories, than there may be';
    return tooMuch(shownPath(side, key), what + NOT_MIRRORED);
  }

  /** Where the server lets no times be set, those of what was mirrored before say nothing, and only sizes do. */
  async #areTimesRefused(key: PathKey): Promise<boolean> {
    const { fileSystem, path } = this.#target;
    const { preserveMtime, dryRun } = this.#options;
    if (!preserveMtime || fileSystem.refusesTimes === undefined) return false;
    this.#timesRefused ??= (async () => {
      const target = { fileSystem, path: pathOf({ fileSystem, path }, key) };
      const newFile = dryRun ? undefined : temporaryPath(target);
      try {
        return (
          (await fileSystem.refusesTimes?.(target.path, { signal: this.#ahead.signal, newFile })) ?? false
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
