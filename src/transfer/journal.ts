/** What the attempts of one transfer know of each other, and what becomes of what they leave. */
import { Buffer } from 'node:buffer';
import { isLost } from '../retry.js';
import type { FileSystem, Place } from './file-system.js';
import { releaseTemporary, restingPath, UNKNOWN_SOURCE } from './temporary-file.js';

/** A file that is complete up to `bytes`, and by what source. */
export interface Beginning {
  readonly path: Buffer;
  readonly bytes: number;
  readonly source: string;
}

/** What the attempts of one transfer know of each other, as long as the program runs. */
export class Journal {
  readonly #beginnings = new Map<string, Beginning>();
  readonly #done = new Map<string, string>();
  /** What the connection was lost over before it was removed. */
  readonly #waste: Buffer[] = [];
  /** Whether anything has come further since this was last asked. */
  #hasAdvanced = false;

  noteBeginning({ path }: Place, beginning: Beginning): void {
    this.#beginnings.set(keyOf(path), beginning);
  }

  takeBeginning({ path }: Place): Beginning | undefined {
    const beginning = this.#beginnings.get(keyOf(path));
    this.#beginnings.delete(keyOf(path));
    return beginning;
  }

  /** Nobody wants it, and it could not be removed. */
  noteWaste(path: Buffer): void {
    this.#waste.push(path);
  }

  hasBegun({ path }: Place): boolean {
    return this.#beginnings.has(keyOf(path));
  }

  /** There will be no further attempt: what the last one has left is kept for a later run, or removed. */
  async close(fileSystem: FileSystem, { resumes }: { readonly resumes: boolean }): Promise<void> {
    for (const path of this.#waste) await drop({ fileSystem, path }, path);
    for (const [key, beginning] of this.#beginnings) {
      const target = { fileSystem, path: Buffer.from(key, 'latin1') };
      if (beginning.path.equals(target.path)) continue;
      if (!fileSystem.isReachable) releaseTemporary(target, beginning.path);
      else if (resumes && beginning.bytes > 0) await rest(target, beginning).catch(() => {});
      else await drop(target, beginning.path);
    }
  }

  noteDone({ path }: Place, source: string): void {
    this.#done.set(keyOf(path), source);
  }

  isDone({ path }: Place, source: string): boolean {
    return source !== UNKNOWN_SOURCE && this.#done.get(keyOf(path)) === source;
  }

  noteAdvance(): void {
    this.#hasAdvanced = true;
  }

  takeAdvance(): boolean {
    const hasAdvanced = this.#hasAdvanced;
    this.#hasAdvanced = false;
    return hasAdvanced;
  }

  /** Whether there may be another attempt after a failure. */
  goesOnAfter(error: unknown): boolean {
    return isLost(error);
  }
}

function keyOf(path: Buffer): string {
  return path.toString('latin1');
}

/** Leaves content for a later run, under a name that says that all of it is good. */
export async function rest(target: Place, { path, bytes, source }: Beginning): Promise<void> {
  const { fileSystem } = target;
  await fileSystem.truncate(path, bytes);
  await fileSystem.replace(path, restingPath(target, source));
  releaseTemporary(target, path);
}

/** At best effort: what cannot be removed now is tried again at the end of the transfer, and found by a later one. */
export async function drop(target: Place, path: Buffer, journal?: Journal): Promise<void> {
  try {
    await target.fileSystem.removeFile(path, {});
  } catch (error) {
    if (journal?.goesOnAfter(error)) return journal.noteWaste(path);
  }
  releaseTemporary(target, path);
}
