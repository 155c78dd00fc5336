/** A file as a Writable that does not wait for the server's answer to every write. */
import type { Buffer } from 'node:buffer';
import { Writable } from 'node:stream';
import { onAbort } from '../../shared/abort.js';
import { checkCount, checkEncoding } from '../../shared/arguments.js';
import { CALL_OPTIONS, type OptionTable } from '../../shared/option-checks.js';
import type { Throttle } from '../engine/throttle.js';
import { WriteBehind } from '../engine/write-behind.js';
import type { Cancellable, TargetFile } from '../file-system.js';
import { asError, callBack, checkHighWaterMark, tellOpen, throttleOf, windowOf } from './stream-options.js';

/** Options of a stream that writes. */
export interface WriteStreamOptions {
  /** Where the first byte goes. Default: where the file stands; files that are appended to always begin at the end. */
  readonly start?: number | undefined;
  /** How text is meant. Default: `utf8`. */
  readonly encoding?: BufferEncoding | undefined;
  /** How many bytes are accepted at most before the server has confirmed them. Default: 4 MiB. */
  readonly highWaterMark?: number | undefined;
  /** The most bytes per second, beside the connection's limit. Default: no limit. */
  readonly bytesPerSecond?: number | undefined;
  /** Destroys the stream with the signal's reason; what has been written stays. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the server may take for each answer. Default: `callTimeout` of the connection. */
  readonly timeout?: number | undefined;
}

export const WRITE_STREAM_OPTIONS: OptionTable<WriteStreamOptions> = {
  start: 'checked',
  encoding: 'checked',
  highWaterMark: 'checked',
  bytesPerSecond: 'checked',
  ...CALL_OPTIONS,
};

/** Where the bytes go. */
export interface WriteStreamTarget {
  readonly path: string;
  /** That of the connection. */
  readonly throttle?: Throttle | undefined;
  /** The most bytes in one request, asked when the file is open. */
  readonly chunkLength: () => number;
  /** Aborts when nothing more can be written, asked when the file is open. */
  readonly ended?: (() => AbortSignal) | undefined;
  /** The open file, and where it stands. */
  readonly open: (options: Cancellable) => Promise<{ readonly file: TargetFile; readonly position: number }>;
  /** Makes sure that the file, when it is closed, reaches so far. */
  readonly confirm?: ((end: number, closing: Promise<void>) => Promise<void>) | undefined;
}

/** A stream goes through one channel, whose window seldom is larger: more on the way would only wait. */
const HIGH_WATER_MARK = 4 * 1024 * 1024;
/** Of `highWaterMark`, the part that Node keeps; small writes of one tick gather there. */
const MAX_BUFFERED = 64 * 1024;

/**
 * What `createWriteStream` gives: a Node Writable, with the path and what has been confirmed so far. `open` and `ready`
 * are emitted when the file is open. The callback of a write only tells that the next may follow; `finish` tells that
 * the server has confirmed every write and closed the file. The handle is closed too when the stream fails or is
 * destroyed, before `close` is emitted.
 */
export class RemoteWriteStream extends Writable {
  /** The path that was opened. */
  readonly path: string;
  #bytesWritten = 0;
  readonly #to: WriteStreamTarget;
  readonly #start: number | undefined;
  readonly #maxBytes: number;
  readonly #throttle: Throttle;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = new AbortController();
  readonly #callOff: () => void;
  #callOffEnd: () => void = () => {};
  #file: TargetFile | undefined;
  #behind: WriteBehind | undefined;
  #closing: Promise<void> | undefined;
  #isClosing = false;
  /** Where the first byte goes. */
  #offset = 0;

  /** @internal */
  constructor(to: WriteStreamTarget, options: WriteStreamOptions) {
    const { signal } = options;
    const total = checkHighWaterMark(options.highWaterMark) ?? HIGH_WATER_MARK;
    const buffered = Math.min(MAX_BUFFERED, Math.ceil(total / 2));
    const start = options.start === undefined ? undefined : checkCount('start', options.start);
    const defaultEncoding = checkEncoding(options.encoding) ?? 'utf8';
    const throttle = throttleOf(options.bytesPerSecond, to.throttle);
    super({ highWaterMark: buffered, defaultEncoding });
    this.path = to.path;
    this.#to = to;
    this.#start = start;
    this.#signal = signal;
    this.#throttle = throttle;
    this.#maxBytes = Math.max(1, total - buffered);
    this.#callOff = onAbort(signal, (reason) => this.#stop(reason));
    if (signal?.aborted) this.#stop(signal.reason);
  }

  /** Bytes that the server has confirmed. */
  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  /** @internal Whether all is written or given up, and only the file is still to be closed. */
  get isClosingFile(): boolean {
    return this.#isClosing;
  }

  override _construct(callback: (error?: Error | null) => void): void {
    callBack(this.#open(), callback);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    callBack(this.#write([chunk]), callback);
  }

  override _writev(
    chunks: readonly { readonly chunk: Buffer }[],
    callback: (error?: Error | null) => void,
  ): void {
    callBack(this.#write(chunks.map(({ chunk }) => chunk)), callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    callBack(this.#finish(), callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#callOff();
    this.#callOffEnd();
    this.#abort.abort(error ?? new Error('the stream was destroyed'));
    const released = Promise.resolve(this.#behind?.settle())
      .catch(() => {})
      .then(() => this.#close())
      .catch(() => {});
    callBack(
      released.then(() => {
        if (error !== null) throw error;
      }),
      callback,
    );
  }

  /** Also while the file is being opened, when Node does not destroy a stream yet. */
  #stop(reason: unknown): void {
    this.#abort.abort(reason);
    this.destroy(asError(reason));
  }

  async #open(): Promise<void> {
    const { file, position } = await this.#to.open({ signal: this.#abort.signal });
    this.#offset = this.#start ?? position;
    this.#file = {
      isOrdered: file.isOrdered,
      write: async (offset, pieces, options) => {
        await file.write(offset, pieces, options);
        for (const piece of pieces) this.#bytesWritten += piece.length;
      },
      setAttributes: (changes, options) => file.setAttributes(changes, options),
      close: (options) => file.close(options),
    };
    // Also while it waits for the program to write to it.
    const ended = this.#to.ended?.();
    ended?.throwIfAborted();
    this.#callOffEnd = onAbort(ended, (reason) => this.destroy(asError(reason)));
    // One chunk more gathers while the others are on their way.
    const chunkLength = Math.min(this.#to.chunkLength(), Math.ceil(this.#maxBytes / 4));
    this.#behind = new WriteBehind(this.#file, {
      chunkLength,
      window: windowOf(Math.max(1, this.#maxBytes - chunkLength)),
      throttle: this.#throttle,
      signal: this.#abort.signal,
      offset: this.#offset,
      onFailure: (reason) => this.destroy(asError(reason)),
    });
    tellOpen(this);
  }

  async #write(pieces: readonly Buffer[]): Promise<void> {
    await this.#behind?.write(pieces);
  }

  async #finish(): Promise<void> {
    await this.#behind?.settle();
    const closing = this.#close();
    await (this.#to.confirm?.(this.#offset + this.#bytesWritten, closing) ?? closing);
  }

  #close(): Promise<void> {
    this.#isClosing = true;
    this.#closing ??= Promise.resolve(this.#file?.close({ signal: this.#signal }));
    return this.#closing;
  }
}
