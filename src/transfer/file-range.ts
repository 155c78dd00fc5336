/** A part of a file as a source, and reading one to where it really ends. */
import type { Buffer } from 'node:buffer';
import { ContentCopy, type ContentOptions } from './engine/copy-content.js';
import type { Cancellable, FileInfo, ReadOptions, SourceFile, TargetFile } from './file-system.js';

/** Counts offsets from `start`, and ends before `start + length` where the file does not end sooner. */
export class FileRange implements SourceFile {
  readonly info: FileInfo;
  readonly maxRequests: number | undefined;
  readonly isSpread: boolean;
  readonly #file: SourceFile;
  readonly #start: number;
  readonly #length: number;

  constructor(file: SourceFile, start: number, length = Number.POSITIVE_INFINITY) {
    const { size } = file.info;
    this.#file = file;
    this.maxRequests = file.maxRequests;
    this.isSpread = file.isSpread === true;
    this.#start = start;
    this.#length = length;
    // A size of 0 says nothing.
    const rest = size === undefined || size === 0 ? undefined : Math.max(0, Math.min(size - start, length));
    this.info = { ...file.info, size: rest };
  }

  async read(offset: number, length: number, options: ReadOptions): Promise<readonly Buffer[] | null> {
    const count = Math.min(length, this.#length - offset);
    return count > 0 ? this.#file.read(this.#start + offset, count, options) : null;
  }

  release(pieces: readonly Buffer[]): void {
    this.#file.release?.(pieces);
  }

  close(options: Cancellable): Promise<void> {
    return this.#file.close(options);
  }
}

/**
 * Copies a source to where it really ends, though it was said to end sooner: a reader of a file that grows
 * gets what is there. The target sees ascending writes, but not a meaningful offset.
 */
export async function copyToEnd(
  source: SourceFile,
  target: TargetFile,
  options: Omit<ContentOptions, 'finish'>,
): Promise<number> {
  const finish = async () => {};
  const count = await new ContentCopy(source, target, { ...options, finish }).run();
  const { size } = source.info;
  if (size === undefined || size === 0 || count <= size) return count;
  // What is left of the size that was told is 0, which says nothing: it is read step by step to the end.
  return count + (await new ContentCopy(new FileRange(source, count), target, { ...options, finish }).run());
}
