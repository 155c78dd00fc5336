/** Finding paths that fit a pattern, going only where the pattern leads, with one listing for each directory. */
import { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { attributesOf, readPacked } from '../../session/directory-reader.js';
import { lstatWithType, statWithType } from '../../session/quirks/file-type.js';
import type { OperationOptions, SftpClient } from '../../session/sftp-client.js';
import { LongWork } from '../../shared/event-loop.js';
import { baseName, type PathKey, pathKey, pathOfKey, type RemotePath } from '../../shared/remote-path.js';
import { TaskGroup } from '../../transfer/engine/task-group.js';
import { Window } from '../../transfer/engine/window.js';
import { unlessCode } from '../../transfer/file-system.js';
import { checkDepth } from '../../transfer/tree/ancestors.js';
import type { FileAttributes } from '../../wire/attributes.js';
import { PackedEntries, type PackedEntry } from '../../wire/packed-entries.js';
import { expandBraces, isHidden, parseSegment, type Segment } from './glob-pattern.js';
import { checkName } from './walk.js';

/** Directories and single entries that are looked at at once. */
const MAX_ASIDE = 64;
/** What the listings may take in memory that are looked at beside others. */
const MAX_ASIDE_BYTES = 24 * 1024 * 1024;
/** What the paths that fit may take, and with them the other listings. */
const MAX_FOUND_BYTES = 96 * 1024 * 1024;
const MAX_BYTES = 128 * 1024 * 1024;

/** A path that fits. */
export interface Match {
  /** As the pattern leads to it. */
  readonly path: Buffer;
  /** Of the entry itself, a link's own; `undefined`: the path came from the pattern alone, and is there. */
  readonly attributes: FileAttributes | undefined;
}

/**
 * All paths that fit, once each, sorted by their bytes, which in UTF-8 is the order of code points.
 *
 * @param resolve the path as it is sent
 * @throws SftpError (`LIMIT`) the listings, or the paths that fit, take too much memory
 */
export async function findMatches(
  client: SftpClient,
  pattern: string,
  resolve: (path: RemotePath) => Buffer,
  options: OperationOptions,
): Promise<Iterable<Match>> {
  return matchesOf(await findPacked(client, pattern, resolve, options));
}

/** As {@link findMatches}, but as entries whose names are paths, of the type `unknown` where the pattern alone led there. */
export async function findPacked(
  client: SftpClient,
  pattern: string,
  resolve: (path: RemotePath) => Buffer,
  options: OperationOptions,
): Promise<PackedEntries> {
  const search = new Search(client, resolve, options);
  // `{a,}` may leave nothing, which names nothing.
  const parsed = expandBraces(pattern)
    .filter((each) => each !== '')
    .map(parsePattern);
  for (const root of ['', '/']) {
    const rests = new Set(parsed.filter((each) => each.root === root).map(({ rest }) => rest));
    if (rests.size > 0) search.start(Buffer.from(root), rests);
  }
  return search.matches();
}

/** What is left of a pattern at some path. There is one object for each place in a pattern, so that a set holds it once. */
interface Rest {
  /** `undefined`: nothing is left, the path fits. */
  readonly segment: Segment | undefined;
  readonly next: Rest | undefined;
  /** The pattern ends with a `/`. */
  readonly onlyDirectories: boolean;
}

function parsePattern(pattern: string): { readonly root: '' | '/'; readonly rest: Rest } {
  const text = pattern.replace(/\\(.)/gsu, (escaped, character) => (character === '/' ? '/' : escaped));
  const onlyDirectories = text.endsWith('/');
  const names = text
    .split('/')
    .filter((name, at, all) => name !== '' && !(name === '**' && all[at - 1] === '**'));
  let rest: Rest = { segment: undefined, next: undefined, onlyDirectories };
  for (const name of names.reverse()) rest = { segment: parseSegment(name), next: rest, onlyDirectories };
  return { root: text.startsWith('/') ? '/' : '', rest };
}

/** What is left of patterns behind a name. */
interface Further {
  readonly rests: Set<Rest>;
  /** What begins with the `**` that has led to it: such links are not entered, since they may lead round in circles. */
  readonly deep: Set<Rest>;
}

/** A directory to be searched. */
interface Place {
  /** What has led here, empty or with a `/` at the end. */
  readonly directory: Buffer;
  readonly rests: ReadonlySet<Rest>;
  readonly depth: number;
  /** What the listings take with which its own counts. */
  readonly budget: Budget;
}

/** A name in it; without an entry it is not known from a listing. */
interface Child extends Pick<Place, 'depth' | 'budget'> {
  readonly path: Buffer;
  readonly entry: PackedEntry | undefined;
}

interface Budget {
  readonly isAside: boolean;
  bytes: number;
}

/** The listings beside others take too much: this one is repeated when its turn has come. */
class TooMuchAside extends Error {}

class Search {
  readonly #client: SftpClient;
  readonly #resolve: (path: RemotePath) => Buffer;
  readonly #tasks: TaskGroup;
  readonly #places = new Window({ max: MAX_ASIDE });
  readonly #turn = new Window({ max: 1 });
  readonly #work = new LongWork();
  readonly #aside: Budget = { isAside: true, bytes: 0 };
  readonly #awaited: Budget = { isAside: false, bytes: 0 };
  /** Paths as names. */
  readonly #found = new PackedEntries();
  #foundBytes = 0;
  /** Nothing more begins beside others. */
  #isNarrow = false;

  constructor(client: SftpClient, resolve: (path: RemotePath) => Buffer, { signal }: OperationOptions) {
    this.#client = client;
    this.#resolve = resolve;
    this.#tasks = new TaskGroup(signal);
  }

  start(directory: Buffer, rests: ReadonlySet<Rest>): void {
    this.#tasks.add(this.#search({ directory, rests, depth: 0, budget: this.#awaited }));
  }

  async matches(): Promise<PackedEntries> {
    await this.#tasks.settle();
    return this.#found;
  }

  async #search({ directory, rests: given, depth, budget }: Place): Promise<void> {
    const rests = withoutDirectories(given);
    const literals = literalsOf(rests);
    if ([...rests].some(({ segment }) => segment === undefined)) this.#add(directory);
    const isListed = [...rests].some(({ segment }) => segment !== undefined && segment.kind !== 'literal');
    const held = { bytes: 0 };
    try {
      const entries = isListed ? await this.#list(directory, budget, held) : undefined;
      for (const entry of entriesOf(entries)) {
        await this.#work.step();
        const { name } = entry;
        const further = furtherAt(rests, name, literals);
        literals.delete(pathKey(name));
        if (further === undefined) continue;
        checkName(name, directory);
        const path = Buffer.concat([directory, name]);
        await this.#visit({ path, entry: { ...entry, name: path }, depth: depth + 1, budget }, further);
      }
      for (const [key, further] of literals) {
        const name = pathOfKey(key);
        // A complete listing without a name is the answer to a question for it.
        if (entries !== undefined && !isDots(name)) continue;
        const path = Buffer.concat([directory, name]);
        await this.#visit({ path, entry: undefined, depth: depth + 1, budget }, further);
      }
    } finally {
      budget.bytes -= held.bytes;
    }
  }

  async #visit(child: Child, { rests, deep }: Further): Promise<void> {
    const { path, entry } = child;
    const further = new Set<Rest>();
    for (const rest of rests) {
      if (rest.segment !== undefined) further.add(rest);
      else if (!rest.onlyDirectories && entry !== undefined) this.#add(path, entry);
      else await this.#beside(child, () => this.#addIfThere(child, rest));
    }
    if (entry !== undefined && !mayBeDirectory(entry)) return;
    if (deep.size > 0)
      await this.#beside(child, (budget) => this.#descend({ ...child, budget }, further, deep));
    else if (further.size > 0)
      await this.#beside(child, (budget) => this.#enter({ ...child, budget }, further));
  }

  /** Beside the others as long as these are few; else at once, so that none of them has to be kept in mind. */
  async #beside({ budget }: Child, work: (budget: Budget) => Promise<void>): Promise<void> {
    const isWide = !this.#isNarrow && this.#aside.bytes < MAX_ASIDE_BYTES / 2;
    if (!isWide || !this.#places.tryAcquire(1)) return work(budget);
    const working = work(this.#aside)
      .finally(() => this.#places.release(1))
      .catch((error) => this.#inTurn(error, work));
    this.#tasks.add(working);
  }

  async #inTurn(error: unknown, work: (budget: Budget) => Promise<void>): Promise<void> {
    if (!(error instanceof TooMuchAside)) throw error;
    this.#isNarrow = true;
    await this.#turn.use(1, this.#tasks.signal, () => work(this.#awaited));
  }

  async #descend(child: Child, further: ReadonlySet<Rest>, deep: ReadonlySet<Rest>): Promise<void> {
    const { path, depth } = child;
    if (!(await this.#isItselfDirectory(child))) {
      if (further.size > 0) await this.#enter(child, further);
      return;
    }
    checkDepth(depth + 1, path);
    for (const { next, onlyDirectories } of deep) {
      if (onlyDirectories && next?.segment === undefined) this.#add(below(path));
    }
    await this.#enter(child, new Set([...further, ...deep]));
  }

  #enter({ path, depth, budget }: Child, rests: ReadonlySet<Rest>): Promise<void> {
    return this.#search({ directory: below(path), rests, depth, budget });
  }

  #add(path: Buffer, entry: PackedEntry = { name: path, type: 'unknown', attributes: {} }): void {
    this.#foundBytes += PackedEntries.lengthOf(entry);
    if (this.#foundBytes > MAX_FOUND_BYTES) throw tooMuch('the paths that fit', MAX_FOUND_BYTES);
    this.#found.add(entry);
  }

  /** As what: whatever it is, or a directory. */
  async #addIfThere({ path, entry }: Child, { onlyDirectories }: Rest): Promise<void> {
    const resolved = this.#resolve(path);
    if (!onlyDirectories) {
      if (await unlessMissing(this.#client.lstat(resolved, this.#asking))) this.#add(path);
    } else if (entry?.type === 'directory') this.#add(below(path));
    else {
      const attributes = await unlessMissing(statWithType(this.#client, resolved, this.#asking));
      if (attributes?.isDirectory()) this.#add(below(path));
    }
  }

  async #isItselfDirectory({ path, entry }: Child): Promise<boolean> {
    const isKnown = entry !== undefined && entry.type !== 'unknown';
    const asking = isKnown
      ? entry
      : unlessMissing(lstatWithType(this.#client, this.#resolve(path), this.#asking));
    return (await asking)?.type === 'directory';
  }

  /** `undefined`: there is nothing that may be listed. */
  #list(directory: Buffer, budget: Budget, held: { bytes: number }): Promise<PackedEntries | undefined> {
    const path = this.#resolve(directory.length === 0 ? '.' : directory);
    const charge = (bytes: number) => {
      held.bytes += bytes;
      budget.bytes += bytes;
      if (budget.isAside && budget.bytes > MAX_ASIDE_BYTES) throw new TooMuchAside();
      if (!budget.isAside && budget.bytes + this.#foundBytes > MAX_BYTES)
        throw tooMuch('its listings', MAX_BYTES);
    };
    const packing = { onBegin: () => charge(-held.bytes), onEntry: charge };
    return unlessMissing(readPacked(this.#client, path, { ...this.#asking, ...packing }));
  }

  get #asking(): OperationOptions {
    return { signal: this.#tasks.signal };
  }
}

/** One after the other, with names that may be kept. */
function* entriesOf(entries: PackedEntries | undefined): Generator<PackedEntry, void, undefined> {
  if (entries === undefined) return;
  for (const batch of entries.drain((entry) => ({ ...entry, name: Buffer.from(entry.name) }))) yield* batch;
}

/** Repeated paths once. */
function* matchesOf(found: PackedEntries): Generator<Match, void, undefined> {
  let last: number | undefined;
  for (const position of found.sorted()) {
    if (last !== undefined && found.compare(last, position) === 0) continue;
    last = position;
    const entry = found.at(position);
    const path = Buffer.from(entry.name);
    const isKnown = entry.type !== 'unknown';
    yield { path, attributes: isKnown ? attributesOf({ ...entry, name: baseName(path) }) : undefined };
  }
}

function tooMuch(what: string, bytes: number): SftpError {
  const most = `${bytes / 1024 / 1024} MiB`;
  return new SftpError(
    'LIMIT',
    `The search was given up: ${what} take more than ${most}; use a narrower pattern`,
  );
}

/** A `**` may also stand for no directory at all. */
function withoutDirectories(given: ReadonlySet<Rest>): ReadonlySet<Rest> {
  const rests = new Set(given);
  for (const { segment, next } of rests) {
    if (segment?.kind === 'directories' && next?.segment !== undefined) rests.add(next);
  }
  return rests;
}

/** The names that patterns tell, and what is left of the patterns behind them. */
function literalsOf(rests: ReadonlySet<Rest>): Map<PathKey, Further> {
  const literals = new Map<PathKey, Further>();
  for (const { segment, next } of rests) {
    if (segment?.kind !== 'literal' || next === undefined) continue;
    const key = pathKey(segment.name);
    const known = literals.get(key)?.rests ?? new Set<Rest>();
    literals.set(key, { rests: known.add(next), deep: new Set() });
  }
  return literals;
}

/** What is left behind a name to which some of the patterns lead, if there is one. */
function furtherAt(
  rests: ReadonlySet<Rest>,
  name: Buffer,
  literals: ReadonlyMap<PathKey, Further>,
): Further | undefined {
  const further = literals.get(pathKey(name)) ?? { rests: new Set(), deep: new Set() };
  for (const rest of rests) {
    const { segment, next } = rest;
    if (segment?.kind === 'pattern' && segment.matches(name)) {
      if (next !== undefined) further.rests.add(next);
    } else if (segment?.kind === 'directories' && !isHidden(name)) {
      further.deep.add(rest);
      if (next !== undefined && next.segment === undefined && !next.onlyDirectories) further.rests.add(next);
    }
  }
  return further.rests.size + further.deep.size > 0 ? further : undefined;
}

/** Listings leave these two out. */
function isDots(name: Buffer): boolean {
  return ['.', '..'].includes(name.toString('latin1'));
}

function below(path: Buffer): Buffer {
  return Buffer.concat([path, Buffer.from('/')]);
}

function mayBeDirectory({ type }: PackedEntry): boolean {
  return type === 'directory' || type === 'symlink' || type === 'unknown';
}

/** As in a shell, what is not there or may not be looked at matches nothing. */
function unlessMissing<T>(asking: Promise<T>): Promise<T | undefined> {
  return unlessCode(asking, 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP');
}
