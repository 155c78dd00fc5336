/** A file of which only a part has arrived, and what becomes of it: it rests for a later run, or is removed. */
import type { Buffer } from 'node:buffer';
import { type Cancellable, isMissing, type Place, type ReopenedFile } from '../file-system.js';
import { leaveTemporary, restingPath } from './temporary-file.js';

/** Content that is complete up to `bytes`, where it lies, and of what source it is. */
export interface PartialFile {
  readonly path: Buffer;
  readonly bytes: number;
  readonly source: string;
  /** The file itself, where it has been opened to be gone on with. */
  readonly reopened?: ReopenedFile | undefined;
}

/** Of a transfer that may be attempted again: what could not be removed is tried again at its end. */
export interface WasteList {
  /** Whether there may be another attempt after a failure. */
  goesOnAfter(error: unknown): boolean;
  noteWaste(target: Place, path: Buffer): void;
}

/**
 * Leaves content for a later run, under a name that says that all of it is good. Whatever lies there already stays:
 * then it keeps the name that it has.
 */
export async function rest(
  target: Place,
  { path, bytes, source }: PartialFile,
  options: Cancellable,
): Promise<void> {
  const { fileSystem } = target;
  try {
    const file = await fileSystem.reopen(path, options);
    if (file === undefined) return leaveTemporary(target, path);
    const open = await file.writeFrom(path, bytes, options);
    await open.close(options);
    await fileSystem.rename(path, restingPath(target, source), options);
  } catch (error) {
    leaveTemporary(target, path);
    throw error;
  }
}

/**
 * At best effort: what cannot be removed now is tried again at the end of the transfer, and found by a later one. So is
 * what an earlier attempt has left and is missing: a server may carry out what it was asked on a connection that is lost
 * after it has answered on the next one.
 */
export async function drop(
  target: Place,
  path: Buffer,
  { journal, signal }: Cancellable & { readonly journal?: WasteList | undefined },
): Promise<void> {
  try {
    await target.fileSystem.removeFile(path, { signal });
  } catch (error) {
    if (journal !== undefined || !isMissing(error)) leaveTemporary(target, path);
    if (isMissing(error) || journal?.goesOnAfter(error)) journal?.noteWaste(target, path);
  }
}
