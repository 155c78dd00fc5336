/**
 * What earlier copies have left in a directory: content that may be gone on with, and files of programs that were
 * killed, which are removed. Each directory is looked at once.
 */
import type { Buffer } from 'node:buffer';
import type { Cancellable, DirectoryEntry, FileSystem, Place } from './file-system.js';
import { isAbandoned, readTemporaryName, type TemporaryName, targetMark } from './temporary-file.js';

interface Leftover extends TemporaryName {
  readonly path: Buffer;
  readonly size: number;
}

/** A writer of whom nothing is known is taken for dead after a day, and nobody resumes after a week. */
const MAX_AGE_S = 24 * 60 * 60;
const MAX_RESTING_AGE_S = 7 * MAX_AGE_S;
/** A directory of more entries is not read to its end only to tidy up. */
const MAX_ENTRIES = 10_000;
/** Directories that are remembered. */
const MAX_DIRECTORIES = 10_000;

export class Leftovers {
  readonly fileSystem: FileSystem;
  readonly #directories = new Map<string, Promise<Leftover[]>>();
  /** Copies that have been given up and are being put to rest, by their targets. */
  readonly #settling = new Map<string, Promise<void>>();

  constructor(fileSystem: FileSystem) {
    this.fileSystem = fileSystem;
  }

  /** Removes what dead programs have left in a directory. */
  async tidy(directory: Buffer, options: Cancellable): Promise<void> {
    const found = await this.#of(directory, options);
    const dead = found.filter(({ writer }) => writer !== undefined);
    for (const one of dead) found.splice(found.indexOf(one), 1);
    for (const { path } of dead) await this.#remove(path);
  }

  /**
   * Unfinished content for a target, from the same source, whose writer is gone. It is not given a second time;
   * what there is for the target from other sources is removed.
   */
  async take(target: Place, source: string, options: Cancellable): Promise<Leftover | undefined> {
    const found = await this.#of(this.#directoryOf(target), options);
    const mark = targetMark(target);
    const own = found.filter((one) => one.target === mark);
    for (const one of own) found.splice(found.indexOf(one), 1);
    const same = own.filter((one) => one.source === source);
    const taken = same.find(({ writer }) => writer !== undefined);
    for (const one of own) if (one !== taken && !isResting(one, same)) await this.#remove(one.path);
    return taken;
  }

  /** A copy to a target has been given up; what is left of it is not ready for the next one before `settling` is. */
  noteSettling({ path }: Place, settling: Promise<void>): void {
    const key = keyOf(path);
    const settled = settling.finally(() => {
      if (this.#settling.get(key) === settled) this.#settling.delete(key);
    });
    settled.catch(() => {});
    this.#settling.set(key, settled);
  }

  async settled({ path }: Place): Promise<void> {
    await this.#settling.get(keyOf(path))?.catch(() => {});
  }

  /** Something was left in the directory of a target just now. */
  forget(target: Place): void {
    this.#directories.delete(keyOf(this.#directoryOf(target)));
  }

  #of(directory: Buffer, options: Cancellable): Promise<Leftover[]> {
    const key = keyOf(directory);
    const known = this.#directories.get(key);
    if (known !== undefined) return known;
    if (this.#directories.size >= MAX_DIRECTORIES) this.#directories.clear();
    const looking = this.#look(directory, options);
    this.#directories.set(key, looking);
    // Whoever comes next tries for himself.
    looking.catch(() => this.#directories.delete(key));
    return looking;
  }

  #directoryOf({ path }: Place): Buffer {
    return this.fileSystem.split(path).directory;
  }

  async #look(directory: Buffer, options: Cancellable): Promise<Leftover[]> {
    const found: Leftover[] = [];
    let count = 0;
    for await (const batch of this.fileSystem.list(directory, options)) {
      for (const entry of batch) await this.#judge(directory, entry, found);
      count += batch.length;
      if (count > MAX_ENTRIES) break;
    }
    return found;
  }

  async #judge(directory: Buffer, { name, info }: DirectoryEntry, found: Leftover[]): Promise<void> {
    const told = readTemporaryName(name);
    if (told === undefined || info.type !== 'file') return;
    const path = this.fileSystem.join(directory, name);
    const ageS = info.mtime === undefined ? 0 : Date.now() / 1000 - info.mtime;
    if (told.writer === undefined) {
      if (ageS > MAX_RESTING_AGE_S) await this.#remove(path);
      else found.push({ ...told, path, size: info.size ?? 0 });
    } else if (isAbandoned(name, told.writer)) found.push({ ...told, path, size: info.size ?? 0 });
    else if (ageS > MAX_AGE_S) await this.#remove(path);
  }

  /** Somebody else may tidy up at the same time. */
  async #remove(path: Buffer): Promise<void> {
    await this.fileSystem.removeFile(path, {}).catch(() => {});
  }
}

/** Content of the same source that nobody writes: whoever wants it knows its name. */
function isResting(one: Leftover, same: readonly Leftover[]): boolean {
  return one.writer === undefined && same.includes(one);
}

function keyOf(path: Buffer): string {
  return path.toString('latin1');
}
