/** Content that fits into one request: one read, one write, and nothing beside them that could fail first. */
import type { Buffer } from 'node:buffer';
import { byteLength } from '../wire/bytes.js';
import { ContentCopy, type ContentOptions } from './engine/copy-content.js';
import type { SourceFile, TargetFile } from './file-system.js';

/**
 * As {@link ContentCopy}, with a small part of its effort: most files of a tree are small. Where the source turns
 * out not to be as long as it told, or comes in parts, it is copied by that.
 */
export class WholeCopy {
  readonly #source: SourceFile;
  readonly #target: Promise<TargetFile>;
  readonly #options: ContentOptions;
  readonly #size: number;
  #contiguousBytes = 0;
  #inParts: ContentCopy | undefined;

  constructor(source: SourceFile, target: Promise<TargetFile>, options: ContentOptions, size: number) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#size = size;
  }

  /** How far the target is complete, also after a failure. */
  get contiguousBytes(): number {
    return this.#inParts?.contiguousBytes ?? this.#contiguousBytes;
  }

  /** As {@link ContentCopy.run}. */
  async run(): Promise<number> {
    const { window, signal } = this.#options;
    signal?.throwIfAborted();
    // One byte more than there should be tells whether the source has grown.
    const length = this.#size + 1;
    if (!window.tryAcquire(length)) await window.acquire(length, signal);
    const mark = window.mark();
    let pieces: readonly Buffer[] | null = null;
    let isWhole = false;
    const reading = this.#source.read(0, length, { signal });
    // Its failure is noticed when its turn has come.
    reading.catch(() => {});
    try {
      const target = await this.#target;
      pieces = await reading;
      isWhole = pieces !== null && byteLength(pieces) === this.#size;
      if (pieces !== null && isWhole) await this.#write(target, pieces);
    } catch (error) {
      // Nothing closes a file that is being read.
      await reading.catch(() => {});
      throw error;
    } finally {
      window.release(length, isWhole ? mark : undefined);
    }
    return isWhole ? this.#size : this.#copyInParts(pieces);
  }

  async #write(target: TargetFile, pieces: readonly Buffer[]): Promise<void> {
    const { finish, signal, onProgress } = this.#options;
    const writing = target.write(0, pieces, { signal });
    const finishing = target.isOrdered ? finish(target) : undefined;
    // Its failure counts where the writing has not failed already.
    finishing?.catch(() => {});
    await writing;
    if (!target.keepsPieces) this.#source.release?.(pieces);
    this.#contiguousBytes = this.#size;
    onProgress?.(this.#size);
    // A disk does not heed the signal.
    signal?.throwIfAborted();
    await (finishing ?? finish(target));
  }

  /** @param first what has been read is not asked for again */
  #copyInParts(first: readonly Buffer[] | null): Promise<number> {
    this.#inParts = new ContentCopy(begunWith(first, this.#source), this.#target, this.#options);
    return this.#inParts.run();
  }
}

/** How to copy content: at once where it fits into one request. */
export function contentCopy(
  source: SourceFile,
  target: Promise<TargetFile>,
  options: ContentOptions,
): ContentCopy | WholeCopy {
  const { size = 0 } = source.info;
  const { start = 0, throttle, chunkLength, carefulLength = Number.POSITIVE_INFINITY } = options;
  // A size of 0 says nothing.
  const isWhole =
    size > 0 && size < Math.min(chunkLength(), carefulLength) && start === 0 && !throttle?.isLimited;
  return isWhole ? new WholeCopy(source, target, options, size) : new ContentCopy(source, target, options);
}

/** A source whose first read has been made already. */
function begunWith(first: readonly Buffer[] | null, source: SourceFile): SourceFile {
  let isFirst = true;
  return {
    info: source.info,
    read: async (offset, length, options) => {
      if (!isFirst) return source.read(offset, length, options);
      isFirst = false;
      return first;
    },
    release: (pieces) => source.release?.(pieces),
    close: (options) => source.close(options),
  };
}
