/** Content that comes bit by bit and only once, as the source of a copy. */

import { Buffer } from 'node:buffer';
import type { ReadableStream } from 'node:stream/web';
import { untilAborted } from '../../shared/abort.js';
import { type Content, contentBytes, isContent, kindOf } from '../../shared/arguments.js';
import { SerialQueue } from '../../shared/promises.js';
import type { Cancellable, SourceFile } from '../file-system.js';
import { UNKNOWN_INFO } from '../memory.js';

/** What {@link Connection.putfo} takes: whole content, or a stream or an iterable that gives it bit by bit. */
export type ContentSource =
  | Content
  | Blob
  | NodeJS.ReadableStream
  | ReadableStream<Content>
  | AsyncIterable<Content>
  | Iterable<Content>;

/** One way to get at the next bit of content, and to say that no more is wanted. */
interface Feed {
  readonly next: () => Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** Frees what the source holds, though it has not ended. */
  readonly release: () => void;
  /** The chunks are never written to again, so that they may be kept without a copy. */
  readonly keepsChunks: boolean;
  /** How text is meant. */
  readonly encoding?: BufferEncoding | undefined;
}

/**
 * Serves reads in ascending order, each in full, so that a chunk which is short is the last. Nothing is taken
 * from the stream before the first read, and never more than was asked for and one chunk.
 */
export class SequentialSource implements SourceFile {
  readonly info = UNKNOWN_INFO;
  readonly #start: () => Feed;
  #feed: Feed | undefined;
  #rest: Buffer = Buffer.alloc(0);
  #isOver = false;
  readonly #turn = new SerialQueue({ endsWithFailure: true });

  /** @throws TypeError where it is nothing that gives content, or has given it already */
  constructor(source: Exclude<ContentSource, Content>) {
    this.#start = feedOf(source);
  }

  read(_offset: number, length: number, { signal }: Cancellable): Promise<readonly Buffer[] | null> {
    return untilAborted(
      this.#turn.run(() => this.#take(length)),
      signal,
    );
  }

  async #take(length: number): Promise<readonly Buffer[] | null> {
    const pieces: Buffer[] = [];
    let missing = length;
    while (missing > 0 && (this.#rest.length > 0 || (await this.#fetch()))) {
      const piece = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(piece.length);
      missing -= piece.length;
      pieces.push(piece);
    }
    if (pieces.length === 0) return null;
    // Thousands of tiny pieces cost more than one copy.
    return pieces.length > 64 ? [Buffer.concat(pieces)] : pieces;
  }

  /** False at the end. */
  async #fetch(): Promise<boolean> {
    while (!this.#isOver) {
      this.#feed ??= this.#start();
      const { done, value } = await this.#feed.next();
      if (done === true) {
        this.#isOver = true;
        return false;
      }
      if (!isContent(value))
        throw new TypeError(`the source gave ${kindOf(value)} where bytes were expected`);
      const bytes = contentBytes(value, 'the text of the source', this.#feed.encoding);
      this.#rest = this.#feed.keepsChunks || typeof value === 'string' ? bytes : Buffer.from(bytes);
      if (this.#rest.length > 0) return true;
    }
    return false;
  }

  /** A source that was begun and not read to its end is released: nobody could go on with it. */
  async close(): Promise<void> {
    if (this.#feed !== undefined && !this.#isOver) this.#feed.release();
    this.#isOver = true;
  }
}

function feedOf(source: unknown): () => Feed {
  if (source instanceof Blob) return () => webFeed(source.stream());
  if (!isObject(source)) throw notASource(source);
  if ('getReader' in source) {
    const stream = source as unknown as ReadableStream<unknown>;
    if (stream.locked) throw new TypeError('the source is a locked ReadableStream');
    return () => webFeed(stream);
  }
  if (Symbol.asyncIterator in source) {
    if ('readableEnded' in source && source.readableEnded === true) {
      throw new TypeError('the source is a stream that has already ended');
    }
    return () => iteratorFeed(source as unknown as AsyncIterable<unknown>);
  }
  if (Symbol.iterator in source) return () => iteratorFeed(source as unknown as Iterable<unknown>);
  throw notASource(source);
}

function notASource(source: unknown): TypeError {
  const known = 'a Readable, a ReadableStream, an iterable, a Blob, a string or bytes';
  return new TypeError(`the source must be ${known}, not ${kindOf(source)}`);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function webFeed(stream: Pick<ReadableStream<unknown>, 'getReader'>): Feed {
  const reader = stream.getReader();
  return {
    next: async () => {
      const result = await reader.read();
      if (result.done) reader.releaseLock();
      return result;
    },
    release: () => {
      reader.cancel().catch(() => {});
    },
    keepsChunks: true,
  };
}

function iteratorFeed(iterable: AsyncIterable<unknown> | Iterable<unknown>): Feed {
  const iterator =
    Symbol.asyncIterator in iterable ? iterable[Symbol.asyncIterator]() : iterable[Symbol.iterator]();
  const stream = 'readableEnded' in iterable ? (iterable as unknown as NodeStream) : undefined;
  return {
    next: async () => iterator.next(),
    release: () => {
      // An iterator that waits for its next chunk cannot be called back, a stream can.
      if (stream === undefined) Promise.resolve(iterator.return?.()).catch(() => {});
      else stream.destroy();
    },
    keepsChunks: stream !== undefined,
    encoding: stream?.readableEncoding ?? undefined,
  };
}

interface NodeStream {
  readonly readableEncoding: BufferEncoding | null;
  destroy(): unknown;
}
