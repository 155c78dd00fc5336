/** A file as a Readable that reads ahead of its consumer. */
import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { onAbort, untilAborted } from '../abort.js';
import { checkEncoding } from '../arguments.js';
import { TransferError } from '../errors.js';
import { quote } from '../remote-path.js';
import { copyToEnd, FileRange } from './file-range.js';
import type { Cancellable, SourceFile, TargetFile } from './file-system.js';
import {
  asError,
  callBack,
  checkHighWaterMark,
  checkRange,
  streamBytes,
  throttleOf,
  windowOf,
} from './stream-options.js';
import type { Throttle } from './throttle.js';

/** Options of a stream that reads. */
export interface ReadStreamOptions {
  /** The first byte to read. Default: where the file stands, that is 0 for one that the stream opens itself. */
  readonly start?: number | undefined;
  /** The last byte to read, itself included. Default: the end of the file. */
  readonly end?: number | undefined;
  /** Gives text in place of bytes; characters are never torn apart. */
  readonly encoding?: BufferEncoding | undefined;
  /** How many bytes are asked for ahead of the consumer at most. Default: 4 MiB, and over a long line up to 16 MiB. */
  readonly highWaterMark?: number | undefined;
  /** The most bytes per second, beside the connection's limit. Default: no limit. */
  readonly bytesPerSecond?: number | undefined;
  /** Destroys the stream with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Where the bytes come from. */
export interface ReadStreamSource {
  readonly path: string;
  /** Where to begin unless `start` is given. */
  readonly position: number;
  /** That of the connection. */
  readonly throttle?: Throttle | undefined;
  /** The most bytes in one request, asked when the file is open. */
  readonly chunkLength: () => number;
  /** Of the line, in milliseconds, asked when the file is open. */
  readonly roundTripMs: () => number;
  readonly open: (options: Cancellable) => Promise<SourceFile>;
}

/**
 * What `createReadStream` gives: a Node Readable, with the path and what it has read so far. The handle on the
 * server is closed when the stream ends, fails or is destroyed, before `close` is emitted.
 */
export class RemoteReadStream extends Readable {
  /** The path that was opened. */
  readonly path: string;
  #bytesRead = 0;
  readonly #from: ReadStreamSource;
  readonly #start: number;
  readonly #length: number;
  readonly #maxBytes: number | undefined;
  readonly #throttle: Throttle;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = new AbortController();
  readonly #callOff: () => void;
  readonly #opening: Promise<SourceFile>;
  #copying: Promise<void> | undefined;
  #turn: Promise<void> = Promise.resolve();
  #wanted = false;
  #wake: () => void = () => {};

  /** @internal */
  constructor(from: ReadStreamSource, options: ReadStreamOptions) {
    const { signal } = options;
    const maxBytes = checkHighWaterMark(options.highWaterMark);
    const { start = 0, length } = checkRange(options.start, options.end, from.position);
    const encoding = checkEncoding(options.encoding);
    const throttle = throttleOf(options.bytesPerSecond, from.throttle);
    // Nothing is kept here: all that waits for the consumer is in the window.
    super({ highWaterMark: 0, ...(encoding === undefined ? {} : { encoding }) });
    this.path = from.path;
    this.#from = from;
    this.#start = start;
    this.#length = length;
    this.#maxBytes = maxBytes;
    this.#signal = signal;
    this.#throttle = throttle;
    if (signal?.aborted) this.#abort.abort(signal.reason);
    // Not in `_construct`: without a buffer Node then forgets to read.
    this.#opening = from.open({ signal: this.#abort.signal });
    this.#opening.catch((error) => this.destroy(asError(error)));
    this.#callOff = onAbort(signal, (reason) => this.destroy(asError(reason)));
    if (signal?.aborted) this.destroy(asError(signal.reason));
  }

  /** Bytes given to the consumer so far. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  override _read(): void {
    this.#copying ??= this.#copy().catch((error) => {
      this.destroy(asError(error));
    });
    this.#wanted = true;
    this.#wake();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#callOff();
    this.#abort.abort(error ?? new Error('the stream was destroyed'));
    const closing = this.#close();
    callBack(
      closing.then(() => {
        if (error !== null) throw error;
      }),
      callback,
    );
  }

  /** A file that could not be opened need not be closed. */
  async #close(): Promise<void> {
    await this.#copying;
    const file = await this.#opening.catch(() => undefined);
    await file?.close({ signal: this.#signal });
  }

  async #copy(): Promise<void> {
    const file = await this.#opening;
    const target: TargetFile = {
      isOrdered: true,
      write: (_, pieces) => this.#give(pieces),
      setAttributes: async () => {},
      close: async () => {},
    };
    const range = new FileRange(file, this.#start, this.#length);
    const maxBytes = this.#maxBytes ?? streamBytes(this.#from.roundTripMs());
    const count = await copyToEnd(range, target, {
      chunkLength: () => Math.min(this.#from.chunkLength(), maxBytes),
      window: windowOf(maxBytes),
      throttle: this.#throttle,
      signal: this.#abort.signal,
    });
    const { size } = range.info;
    if (size !== undefined && count < size) throw endedEarly(this.path, count, size);
    this.push(null);
  }

  /** One chunk for every wish of the consumer, in memory of its own; what waits here keeps its place in the window. */
  #give(pieces: readonly Buffer[]): Promise<void> {
    const given = this.#turn.then(async () => {
      if (!this.#wanted) await this.#nextWish();
      const chunk = Buffer.concat(pieces);
      this.#bytesRead += chunk.length;
      this.#wanted = false;
      if (this.push(chunk)) this.#wanted = true;
    });
    this.#turn = given;
    given.catch(() => {});
    return untilAborted(given, this.#abort.signal);
  }

  #nextWish(): Promise<void> {
    const wish = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return untilAborted(wish, this.#abort.signal);
  }
}

function endedEarly(path: string, count: number, size: number): TransferError {
  const message = `${quote(path)} ended after ${count} of ${size} bytes while it was read; try again when it rests`;
  return new TransferError(message, {
    code: 'SOURCE_CHANGED',
    source: path,
    destination: 'a stream',
    bytesDone: count,
  });
}
