/** A file as a Readable that reads ahead of its consumer. */

import { Buffer } from 'node:buffer';
import { Readable } from 'node:stream';
import { TransferError } from '../../errors.js';
import { onAbort, untilAborted } from '../../shared/abort.js';
import { checkEncoding } from '../../shared/arguments.js';
import { CALL_OPTIONS, type OptionTable } from '../../shared/option-checks.js';
import { SerialQueue } from '../../shared/promises.js';
import { quote } from '../../shared/remote-path.js';
import type { Throttle } from '../engine/throttle.js';
import type { Window } from '../engine/window.js';
import { copyToEnd, FileRange } from '../file-range.js';
import type { Cancellable, SourceFile, TargetFile } from '../file-system.js';
import {
  asError,
  callBack,
  checkHighWaterMark,
  checkRange,
  streamBytes,
  tellOpen,
  throttleOf,
  windowOf,
} from './stream-options.js';

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
  /** Over how many SSH connections it reads, as the option of {@link Connection.get}. Default: the connection's. */
  readonly connections?: number | 'auto' | undefined;
  /** Destroys the stream with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the server may take for each answer. Default: `callTimeout` of the connection. */
  readonly timeout?: number | undefined;
}

export const READ_STREAM_OPTIONS: OptionTable<ReadStreamOptions> = {
  start: 'checked',
  end: 'checked',
  encoding: 'checked',
  highWaterMark: 'checked',
  bytesPerSecond: 'checked',
  connections: 'checked',
  ...CALL_OPTIONS,
};

/** Where the bytes come from. */
export interface ReadStreamSource {
  readonly path: string;
  /** Where to begin unless `start` is given. */
  readonly position: number;
  /** That of the connection. */
  readonly throttle?: Throttle | undefined;
  /** How many requests at once, by the connection. */
  readonly concurrency?: number | undefined;
  /** The most bytes in one request, asked when the file is open. */
  readonly chunkLength: () => number;
  /** Of the line, in milliseconds, asked when the file is open. */
  readonly roundTripMs: () => number;
  readonly open: (options: Cancellable) => Promise<SourceFile>;
  /** Over how many connections it goes at present. */
  readonly width?: (() => number) | undefined;
  /** Opens further connections while `work` runs. */
  readonly spreading?: ((window: Window, work: () => Promise<void>) => Promise<void>) | undefined;
}

/**
 * What `createReadStream` gives: a Node Readable, with the path and what it has read so far. `open` and `ready` are
 * emitted when the file is open. The handle on the server is closed when the stream ends, fails or is destroyed, before
 * `close` is emitted.
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
  readonly #turn = new SerialQueue({ endsWithFailure: true });
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
    this.#opening.then(
      () => tellOpen(this),
      (error) => this.destroy(asError(error)),
    );
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
    const { chunkLength, concurrency, width, spreading = (_, work) => work() } = this.#from;
    const window = windowOf(maxBytes, width);
    await spreading(window, async () => {
      const count = await copyToEnd(range, target, {
        chunkLength: () => Math.min(chunkLength(), maxBytes),
        window,
        throttle: this.#throttle,
        concurrency,
        signal: this.#abort.signal,
      });
      const { size } = range.info;
      if (size !== undefined && count < size) throw endedEarly(this.path, count, size);
    });
    this.push(null);
  }

  /** One chunk for every wish of the consumer, in memory of its own; what waits here keeps its place in the window. */
  #give(pieces: readonly Buffer[]): Promise<void> {
    const given = this.#turn.run(async () => {
      if (!this.#wanted) await this.#nextWish();
      const chunk = Buffer.concat(pieces);
      this.#bytesRead += chunk.length;
      this.#wanted = false;
      if (this.push(chunk)) this.#wanted = true;
    });
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
  const message = `${quote(path)} ended after ${count} of ${size} bytes while it was read; retry once nothing is writing to it`;
  return new TransferError(message, {
    code: 'SOURCE_CHANGED',
    source: path,
    destination: 'a stream',
    bytesDone: count,
    side: 'remote',
    path,
  });
}
