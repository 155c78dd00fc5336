/** What a scan remembers: plain JSON of bounded size. */
import { Buffer } from 'node:buffer';
import * as crypto from 'node:crypto';
import { SftpError } from '../errors.js';
import { kindOf } from '../shared/arguments.js';

/**
 * What a scan has seen: plain JSON, for a store. Its size is bounded: some 11 characters for each file that is there, and at
 * most 100,000 files; files that are not ready yet take more, and at most 10,000 of them are remembered.
 */
export interface ScanState {
  /** The version of this form. */
  readonly v: 1;
  readonly strategy: 'entities' | 'timestamp';
  /** Files that were reported, each a hash of path, size and time, together in base64. */
  readonly seen: string;
  /** `timestamp`: the latest modification time that was reported, by the server's clock, seconds since 1970. */
  readonly latest: number | null;
  /** Files that may still be written, by a hash of the path: size, time, and since when they are so (milliseconds). */
  readonly pending: Readonly<Record<string, readonly [size: number, mtime: number, sinceMs: number]>>;
}

/** Where states are kept, for several programs that scan the same directory. */
export interface ScanStore {
  /** `undefined`: there is none yet. `version` is whatever the store tells versions apart by. */
  get(key: string): Promise<{ readonly state: ScanState; readonly version: string } | undefined>;
  /** Saves it only if the version is still the given one (`undefined`: there is none): whether it was saved. */
  set(key: string, state: ScanState, version: string | undefined): Promise<boolean>;
}

const HASH_LENGTH = 8;
const MAX_SEEN = 100_000;
export const MAX_PENDING = 10_000;

export function hashOf(...parts: readonly (string | number | Uint8Array)[]): string {
  const hash = crypto.createHash('sha256');
  for (const part of parts) hash.update(typeof part === 'number' ? String(part) : part).update('\0');
  return hash.digest().subarray(0, HASH_LENGTH).toString('latin1');
}

export function packSeen(hashes: Iterable<string>): string {
  const sorted = [...hashes].sort();
  if (sorted.length > MAX_SEEN) {
    throw new SftpError(
      'LIMIT',
      `More than ${MAX_SEEN} files are in the directory that is scanned: move those that are done, or use the strategy 'timestamp'`,
    );
  }
  return Buffer.from(sorted.join(''), 'latin1').toString('base64');
}

export function unpackSeen({ seen }: ScanState): Set<string> {
  const text = Buffer.from(seen, 'base64').toString('latin1');
  const hashes = new Set<string>();
  for (let at = 0; at < text.length; at += HASH_LENGTH) hashes.add(text.slice(at, at + HASH_LENGTH));
  return hashes;
}

/** @throws TypeError it is not the state of a scan with this strategy */
export function checkState(state: unknown, strategy: ScanState['strategy']): ScanState {
  const { v, strategy: its, seen, pending, latest } = (state ?? {}) as Partial<ScanState>;
  const isState =
    v === 1 &&
    typeof seen === 'string' &&
    typeof pending === 'object' &&
    pending !== null &&
    latest !== undefined;
  if (!isState) throw new TypeError(`state must be what an earlier scan gave, not ${kindOf(state)}`);
  if (its !== strategy)
    throw new TypeError(`state is of the strategy '${its}', and this scan uses '${strategy}'`);
  return state as ScanState;
}
