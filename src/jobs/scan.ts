/** What is new in a directory since the last time, by whatever program that was. */
import { Buffer } from 'node:buffer';
import type { WalkEntry } from '../connection/search/walk.js';
import type { Connection } from '../connection.js';
import { SftpError } from '../errors.js';
import { checkChoice, checkCount } from '../shared/arguments.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import { encodePath, quote, type RemotePath } from '../shared/remote-path.js';
import { readTemporaryName } from '../transfer/resume/temporary-file.js';
import type { EntryFilter } from '../transfer/tree/entry-filter.js';
import {
  checkState,
  hashOf,
  MAX_PENDING,
  packSeen,
  type ScanState,
  type ScanStore,
  unpackSeen,
} from './scan-state.js';
import { idOf, jsonPath } from './step.js';

/** Options of {@link scan}. */
export interface ScanOptions {
  /** What the last scan gave. Default: none, everything is new. Not together with `store`. */
  readonly state?: ScanState | undefined;
  /** Where the state is kept, under `key`; `commit` of the result saves it. */
  readonly store?: ScanStore | undefined;
  /** Default: the path of the directory. */
  readonly key?: string | undefined;
  /**
   * `entities` remembers every file that is there, and finds also those that were moved in with an old time. `timestamp`
   * remembers only the latest time and the last hour before it, for directories of any size; it misses files that are moved
   * in with an older time. Default: `entities`.
   */
  readonly strategy?: 'entities' | 'timestamp' | undefined;
  /**
   * Milliseconds for which size and time of a file must stay the same before it counts as complete, seen by two scans at
   * least. 0 takes every file at once, for writers that rename when they are done. Default: 10,000.
   */
  readonly settle?: number | undefined;
  /** Also what is in directories below. Default: false. */
  readonly recursive?: boolean | undefined;
  /** True keeps an entry; false leaves it out, and a directory with all below it. */
  readonly filter?: EntryFilter<WalkEntry> | undefined;
  /** The name of the server in the ids. Default: the fingerprint of its host key. */
  readonly server?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS: OptionTable<ScanOptions> = {
  ...{ state: 'checked', store: 'checked', key: 'string', strategy: 'checked', settle: 'checked' },
  ...{ recursive: 'boolean', filter: 'function', server: 'string', signal: 'signal' },
};

/** A file that is new, as plain JSON. */
export interface ScannedFile {
  readonly v: 1;
  /** A hash of server, directory, path, size and time: use it as the id of a job, and a repetition is known. */
  readonly id: string;
  /** Below the directory; a name that is not UTF-8 is `pathBase64`. */
  readonly path?: string | undefined;
  readonly pathBase64?: string | undefined;
  readonly size: number | null;
  /** Seconds since 1970, by the server's clock. */
  readonly mtime: number | null;
}

/** What a scan has found. */
export interface ScanResult {
  /** New or changed since the state, sorted by path. */
  readonly files: readonly ScannedFile[];
  /** To be given to the next scan. Save it once the files are in a queue, and before anything is done with them. */
  readonly state: ScanState;
  /** How many files may still be written, and are looked at again the next time. */
  readonly pending: number;
  /**
   * Saves the state in the store. Call it when the files are in the queue.
   *
   * @throws SftpError (`STATE_CONFLICT`) another program has saved one meanwhile: its files have the same ids
   */
  commit(): Promise<void>;
}

/** Files so much older than the latest one are not remembered one by one. */
const OVERLAP_S = 60 * 60;
const DAY_S = 24 * OVERLAP_S;

/**
 * Lists the files of a directory that are new or changed since the last scan. Only times of the server are compared with
 * each other, so that its clock may be wrong. Partial files of tsftp are left out.
 *
 * @throws TypeError an option is invalid; SftpError (`LIMIT`) more than 100,000 files with the strategy `entities`
 *
 * @example
 * const { files, commit } = await scan(sftp, '/outgoing', { store });
 * for (const file of files) await queue.add('fetch', file, { jobId: file.id });
 * await commit();
 */
export async function scan(
  connection: Connection,
  directory: RemotePath,
  options: ScanOptions = {},
): Promise<ScanResult> {
  const { strategy, settle, key, stored, last } = await prepare(directory, options);
  const { server = connection.remoteServerKey.fingerprint, store } = options;
  const root = encodePath(directory, 'directory');
  const scanning = new Scan({ last, strategy, settle, server, root });
  const { recursive = false, filter, signal } = options;
  const walking = { signal, filter, ...(!recursive && { maxDepth: 1 }) };
  for await (const entry of connection.walk(directory, walking)) scanning.take(entry);
  const result = scanning.finish();
  const commit = async () => {
    if (store === undefined) throw new TypeError('commit needs the option store: save state yourself');
    if (await store.set(key, result.state, stored?.version)) return;
    const text = `Another program has saved a newer state of ${quote(directory)}: scan again`;
    throw new SftpError('STATE_CONFLICT', text);
  };
  return { ...result, commit };
}

async function prepare(directory: RemotePath, options: ScanOptions) {
  checkOptions(options, OPTIONS, { of: 'scan' });
  const { strategy = 'entities', settle = 10_000, store, state } = options;
  checkChoice(strategy, ['entities', 'timestamp'], 'strategy');
  checkCount('settle', settle);
  if (store !== undefined && state !== undefined) throw new TypeError('Give state or store, and not both');
  const key = options.key ?? encodePath(directory, 'directory').toString();
  const stored = await store?.get(key);
  const given = stored?.state ?? state;
  const last = given === undefined ? undefined : checkState(given, strategy);
  return { strategy, settle, key, stored, last };
}

interface ScanContext {
  readonly last: ScanState | undefined;
  readonly strategy: ScanState['strategy'];
  readonly settle: number;
  readonly server: string;
  readonly root: Buffer;
}

class Scan {
  readonly #context: ScanContext;
  readonly #before: ReadonlySet<string>;
  readonly #seen = new Map<string, number>();
  readonly #pending = new Map<string, readonly [number, number, number]>();
  readonly #files: ScannedFile[] = [];
  readonly #nowMs = Date.now();
  #latest: number;
  /** Of those that are not ready, and more than are remembered. */
  #earliestLeft = Number.POSITIVE_INFINITY;

  constructor(context: ScanContext) {
    this.#context = context;
    this.#before = context.last === undefined ? new Set() : unpackSeen(context.last);
    this.#latest = context.last?.latest ?? Number.NEGATIVE_INFINITY;
  }

  take({ pathBytes, attributes }: WalkEntry): void {
    if (attributes.type !== 'file') return;
    const path = below(this.#context.root, pathBytes);
    const name = path.subarray(path.lastIndexOf(0x2f) + 1);
    if (readTemporaryName(name) !== undefined) return;
    const { size = -1, mtime = -1 } = attributes;
    const hash = hashOf(path, size, mtime);
    if (this.#before.has(hash)) {
      this.#seen.set(hash, mtime);
      return;
    }
    const pathHash = Buffer.from(hashOf(path), 'latin1').toString('base64');
    if (!this.#isNew(pathHash, mtime)) return;
    if (!this.#isSettled(pathHash, size, mtime)) return;
    this.#seen.set(hash, mtime);
    this.#latest = Math.max(this.#latest, mtime);
    const { server, root } = this.#context;
    const state = { size: size < 0 ? null : size, mtime: mtime < 0 ? null : mtime };
    const id = idOf({ server, context: ['scan', root.toString('latin1')], path, ...state });
    this.#files.push({ v: 1, id, ...jsonPath(path), ...state });
  }

  /** By the latest time of an earlier scan; what was not ready then is asked for by its name. */
  #isNew(pathHash: string, mtime: number): boolean {
    const { strategy, last } = this.#context;
    if (strategy === 'entities' || last === undefined || last.latest === null) return true;
    return mtime < 0 || mtime > last.latest - OVERLAP_S || Object.hasOwn(last.pending, pathHash);
  }

  #isSettled(pathHash: string, size: number, mtime: number): boolean {
    const { settle, last } = this.#context;
    if (settle === 0) return true;
    const known = Object.hasOwn(last?.pending ?? {}, pathHash) ? last?.pending[pathHash] : undefined;
    const [oldSize, oldMtime, sinceMs] = known ?? [];
    const isSame = oldSize === size && oldMtime === mtime;
    // Another machine's clock may be ahead of ours.
    const from = isSame && sinceMs !== undefined ? Math.min(sinceMs, this.#nowMs) : this.#nowMs;
    if (isSame && this.#nowMs - from >= settle) return true;
    if (this.#pending.size < MAX_PENDING) this.#pending.set(pathHash, [size, mtime, from]);
    else this.#earliestLeft = Math.min(this.#earliestLeft, mtime);
    return false;
  }

  finish(): Omit<ScanResult, 'commit'> {
    const { strategy } = this.#context;
    // A file with a time in the future must not hide all that come after it.
    const latestS = Math.min(this.#latest, this.#earliestLeft, this.#nowMs / 1000 + DAY_S);
    const isRemembered = (mtime: number) =>
      strategy === 'entities' || mtime < 0 || mtime > latestS - OVERLAP_S;
    const seen = [...this.#seen].filter(([, mtime]) => isRemembered(mtime)).map(([hash]) => hash);
    const latest = strategy === 'timestamp' && Number.isFinite(latestS) ? Math.floor(latestS) : null;
    const pending = Object.fromEntries(this.#pending);
    const state: ScanState = { v: 1, strategy, seen: packSeen(seen), latest, pending };
    return { files: this.#files, state, pending: this.#pending.size };
  }
}

/** The path of an entry without the directory that was scanned. */
function below(root: Buffer, path: Uint8Array): Buffer {
  const bytes = Buffer.from(path);
  const isRoot = root.length > 0 && bytes.subarray(0, root.length).equals(root);
  const start = isRoot && root.toString('latin1') !== '.' ? root.length : 0;
  let from = start;
  while (bytes[from] === 0x2f) from += 1;
  return bytes.subarray(from);
}
