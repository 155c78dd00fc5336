/** What the attempts of one transfer know of each other, and what becomes of what they leave. */
import type { Buffer } from 'node:buffer';
import { type PathKey, pathKey, pathOfKey } from '../../shared/remote-path.js';
import { isLost } from '../../shared/retry.js';
import { CAREFUL_BYTES } from '../engine/copy-content.js';
import type { FileSystem, Place } from '../file-system.js';
import { DoneFiles } from './done-files.js';
import { drop, type PartialFile, rest, type WasteList } from './partial-file.js';
import { leaveTemporary, UNKNOWN_SOURCE } from './temporary-file.js';

/** A rename to the name of the target, of which nobody knows whether it has been carried out. */
export interface LostRename {
  /** From where, and to where. */
  readonly path: Buffer;
  readonly target: Buffer;
  /** What was renamed: where that lies under the new name, and nothing under the old one, it has been carried out. */
  readonly bytes: number;
  readonly mtime: number | undefined;
  readonly source: string;
}

/** An attempt is to bring at least so many pieces, as far as the last one tells. */
const PIECES_PER_ATTEMPT = 4;
const MAX_CAREFUL_PIECE = 64 * 1024;
const MIN_PIECE = 4 * 1024;

/** Notes of one kind: an attempt leaves as many as it has files open. */
const MAX_NOTES = 10_000;

/** What the attempts of one transfer know of each other, as long as the program runs. */
export class Journal implements WasteList {
  readonly #partials = new Map<PathKey, PartialFile>();
  readonly #done = new DoneFiles();
  /** What the connection was lost over before it was removed, or before it could be seen. */
  readonly #waste: Buffer[] = [];
  readonly #renames = new Map<PathKey, LostRename>();
  /** Whether anything has come further since this was last asked, and how many bytes of files that are not done. */
  #hasAdvanced = false;
  #advancedBytes = 0;
  #carefulLength: number | undefined;

  notePartial({ fileSystem, path }: Place, partial: PartialFile): void {
    const oldest = note(this.#partials, pathKey(path), partial);
    if (oldest === undefined) return;
    const [key, left] = oldest;
    const target = { fileSystem, path: pathOfKey(key) };
    if (!left.path.equals(target.path)) leaveTemporary(target, left.path);
  }

  takePartial({ path }: Place): PartialFile | undefined {
    const partial = this.#partials.get(pathKey(path));
    this.#partials.delete(pathKey(path));
    return partial;
  }

  /** Nobody wants it, and it could not be removed. */
  noteWaste({ fileSystem }: Place, path: Buffer): void {
    this.#waste.push(path);
    const oldest = this.#waste.length > MAX_NOTES ? this.#waste.shift() : undefined;
    if (oldest !== undefined) leaveTemporary({ fileSystem, path: oldest }, oldest);
  }

  hasPartial({ path }: Place): boolean {
    return this.#partials.has(pathKey(path));
  }

  /** There will be no further attempt: what the last one has left is kept for a later run, or removed. */
  async close(fileSystem: FileSystem, { resumes }: { readonly resumes: boolean }): Promise<void> {
    await Promise.all(this.#waste.splice(0).map((path) => drop({ fileSystem, path }, path, {})));
    for (const [key, partial] of this.#partials) {
      const target = { fileSystem, path: pathOfKey(key) };
      if (partial.path.equals(target.path)) continue;
      if (!fileSystem.isReachable) leaveTemporary(target, partial.path);
      else if (resumes && partial.bytes > 0) await rest(target, partial, {}).catch(() => {});
      else await drop(target, partial.path, {});
    }
  }

  /** What cannot be remembered will be copied again, and does not count as having come further. */
  noteDone({ path }: Place, source: string): void {
    if (this.#done.add(path, source)) this.noteAdvance();
  }

  noteRename({ path }: Place, rename: LostRename): void {
    note(this.#renames, pathKey(path), rename);
  }

  takeRename({ path }: Place): LostRename | undefined {
    const rename = this.#renames.get(pathKey(path));
    this.#renames.delete(pathKey(path));
    return rename;
  }

  /** As {@link ContentOptions} has it; `undefined` where the last attempt has brought much. */
  get carefulLength(): number | undefined {
    return this.#carefulLength;
  }

  isDone({ path }: Place, source: string): boolean {
    return source !== UNKNOWN_SOURCE && this.#done.has(path, source);
  }

  /** @param bytes how much further a file has come that is not done */
  noteAdvance(bytes = 0): void {
    this.#hasAdvanced = true;
    this.#advancedBytes += bytes;
  }

  /** At the end of an attempt: whether it has come any further. */
  takeAdvance(): boolean {
    const [hasAdvanced, bytes] = [this.#hasAdvanced, this.#advancedBytes];
    this.#hasAdvanced = false;
    this.#advancedBytes = 0;
    const known = this.#carefulLength ?? MAX_CAREFUL_PIECE;
    const most = hasAdvanced ? bytes / PIECES_PER_ATTEMPT : known / PIECES_PER_ATTEMPT;
    const isFree = hasAdvanced && (bytes === 0 || bytes >= CAREFUL_BYTES);
    this.#carefulLength = isFree
      ? undefined
      : Math.max(MIN_PIECE, Math.floor(Math.min(MAX_CAREFUL_PIECE, most)));
    return hasAdvanced;
  }

  goesOnAfter(error: unknown): boolean {
    return isLost(error);
  }
}

/** The oldest is forgotten where there are too many, and given. */
function note<T>(notes: Map<PathKey, T>, key: PathKey, value: T): readonly [PathKey, T] | undefined {
  notes.set(key, value);
  const [oldest] = notes;
  if (notes.size <= MAX_NOTES || oldest === undefined) return undefined;
  notes.delete(oldest[0]);
  return oldest;
}
