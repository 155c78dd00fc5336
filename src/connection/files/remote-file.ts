/** An open file, as `open` gives it. */

import { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { explain } from '../../session/quirks/likely-cause.js';
import type { OperationOptions, RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { untilAborted } from '../../shared/abort.js';
import { type Content, checkCount, contentBytes, kindOf } from '../../shared/arguments.js';
import { parseMode } from '../../shared/modes.js';
import { CALL_OPTIONS, checkOptions, type OptionTable } from '../../shared/option-checks.js';
import { PendingPromises, SerialQueue } from '../../shared/promises.js';
import { quote } from '../../shared/remote-path.js';
import { ContentCopy, type LineUse } from '../../transfer/engine/copy-content.js';
import { copyToEnd, FileRange } from '../../transfer/file-range.js';
import type { Cancellable, SourceFile, TargetFile } from '../../transfer/file-system.js';
import { MemorySource, MemoryTarget, UNKNOWN_INFO } from '../../transfer/memory.js';
import { checkLinesOptions, type LinesOptions, splitLines } from '../../transfer/streams/lines.js';
import {
  READ_STREAM_OPTIONS,
  type ReadStreamOptions,
  RemoteReadStream,
} from '../../transfer/streams/read-stream.js';
import {
  RemoteWriteStream,
  WRITE_STREAM_OPTIONS,
  type WriteStreamOptions,
  type WriteStreamTarget,
} from '../../transfer/streams/write-stream.js';
import type { FileAttributes } from '../../wire/attributes.js';
import { secondsOf, type Timestamp } from '../attributes.js';
import type { AppendEnd } from './append-ends.js';
import {
  DEFAULT_MAX_LENGTH,
  MAX_CONTENT_LENGTH,
  type ReadFileOptions,
  readFileOptions,
} from './content-options.js';
import type { OpenMode } from './open-mode.js';

/** Whether a stream of a {@link RemoteFile} closes the file at its end. Default: true, as in Node. */
export interface AutoCloseOption {
  readonly autoClose?: boolean | undefined;
}

const AUTO_CLOSE: OptionTable<AutoCloseOption> = { autoClose: 'boolean' };

/** What `seek` counts from: words, or Python's `os.SEEK_SET`, `SEEK_CUR`, `SEEK_END`. */
export type Whence = 'start' | 'current' | 'end' | 0 | 1 | 2;

/** What a file is made of; `open` gathers it. */
export interface RemoteFileParts {
  readonly client: SftpClient;
  readonly line: LineUse;
  readonly handle: RemoteHandle;
  readonly mode: OpenMode;
  /** Where a file that is appended to ends, and 0 for others. */
  readonly end: number;
  /** Of a file that is appended to. */
  readonly appending: AppendEnd | undefined;
}

/**
 * An open file on the server; {@link Connection.open} gives one. Content is bytes: there is no text mode.
 *
 * `read`, `write`, `seek`, `readFile` and `writeFile` share one position, which is kept on our side, and run one
 * after the other in the order of their calls; `readAt` and `writeAt` go their own ways. Long reads and writes
 * are split into many requests at once. Writes to a file that is opened for appending (`a`, `a+`, `ax`) go to
 * its end, as with `O_APPEND`: writers that append at the same time, from anywhere, do not overwrite each other, and each
 * request of up to `sftpClient.limits.maxWriteLength` bytes stays in one piece. Some servers ignore the flag (those made
 * with Go's pkg/sftp), and it is not sent to servers without any extension: there this holds only among the writers of
 * one connection, and others may overwrite what they append.
 *
 * Every method may reject as those of {@link Connection} do, with a `TypeError` where the mode does not allow
 * what is asked, and with an `SftpError` (`EBADF`) when the file is closed.
 *
 * @example
 * await using file = await sftp.open('pub/numbers.dat', 'r+');
 * const header = await file.read(16);
 * await file.writeAt(4096, 'at byte 4096');
 * for await (const line of file) console.log(line);
 */
export class RemoteFile implements AsyncDisposable {
  /** The path that was opened. */
  readonly path: string;
  /** The mode in which it was opened, as it was given. */
  readonly mode: string;
  readonly #client: SftpClient;
  readonly #line: LineUse;
  readonly #handle: RemoteHandle;
  readonly #mode: OpenMode;
  readonly #appending: AppendEnd | undefined;
  /** The last write to a file that is appended to. */
  #appended: Promise<unknown> = Promise.resolve();
  #position: number;
  readonly #turn = new SerialQueue();
  readonly #running = new PendingPromises();
  readonly #streams = new Set<RemoteReadStream | RemoteWriteStream>();
  #closing: Promise<void> | undefined;

  /** @internal */
  constructor({ client, line, handle, mode, end, appending }: RemoteFileParts) {
    this.#client = client;
    this.#line = line;
    this.#handle = handle;
    this.#mode = mode;
    this.#appending = appending;
    this.#position = end;
    this.path = handle.path;
    this.mode = mode.text;
  }

  /**
   * Reads `length` bytes, or up to the end, from the position on, and moves it. Fewer bytes than asked for mean
   * that the file has ended; an empty buffer, that the position is at the end.
   *
   * @example
   * const magic = await file.read(4);
   * const rest = await file.read();
   */
  async read(length?: number, options: OperationOptions = {}): Promise<Buffer> {
    checkOptions(options, CALL_OPTIONS, { of: 'read' });
    this.#checkReads();
    if (length !== undefined) checkCount('length', length, MAX_CONTENT_LENGTH);
    return this.#inTurn(options, async () => {
      const content = await this.#readRange(this.#position, length, options);
      this.#position += content.length;
      return content;
    });
  }

  /**
   * Writes text (as UTF-8) or bytes at the position, or at the end of a file opened for appending, and moves the
   * position behind them. Resolves with the number of bytes when the server has confirmed them all. The bytes
   * must stay as they are until then. After a failure the position is where it was.
   *
   * @example
   * await file.write('one egg\n');
   */
  async write(data: Content, options: OperationOptions = {}): Promise<number> {
    checkOptions(options, CALL_OPTIONS, { of: 'write' });
    this.#checkWrites();
    const bytes = contentBytes(data, 'data');
    return this.#inTurn(options, async () => {
      const offset = this.#appending?.end ?? this.#position;
      await this.#writeRange(offset, bytes, options);
      this.#position = offset + bytes.length;
      return bytes.length;
    });
  }

  /**
   * Reads `length` bytes at `offset`, fewer only at the end of the file. The position plays no part; several may
   * run at once.
   *
   * @example
   * const [first, second] = await Promise.all([file.readAt(0, 512), file.readAt(1 << 30, 512)]);
   */
  async readAt(offset: number, length: number, options: OperationOptions = {}): Promise<Buffer> {
    checkOptions(options, CALL_OPTIONS, { of: 'readAt' });
    this.#checkReads();
    checkCount('offset', offset);
    checkCount('length', length, MAX_CONTENT_LENGTH);
    return this.#running.add(this.#readRange(offset, length, options));
  }

  /**
   * Writes at `offset`, and resolves with the number of bytes. The position plays no part; several may run at once.
   *
   * @throws TypeError the file was opened for appending: servers would write at its end
   *
   * @example
   * await file.writeAt(0, new Uint8Array([0x7f, 0x45, 0x4c, 0x46]));
   */
  async writeAt(offset: number, data: Content, options: OperationOptions = {}): Promise<number> {
    checkOptions(options, CALL_OPTIONS, { of: 'writeAt' });
    this.#checkWrites();
    if (this.#mode.appends) throw this.#wrongMode('writing at an offset', 'r+', 'w+');
    checkCount('offset', offset);
    const bytes = contentBytes(data, 'data');
    await this.#running.add(this.#writeRange(offset, bytes, options));
    return bytes.length;
  }

  /**
   * The whole content, from the first byte on wherever the position is, which stays. Text where an encoding is
   * given.
   *
   * @example
   * const text = await file.readFile('utf8');
   */
  async readFile(options?: ReadFileOptions & { readonly encoding?: undefined }): Promise<Buffer>;
  async readFile(
    options: BufferEncoding | (ReadFileOptions & { readonly encoding: BufferEncoding }),
  ): Promise<string>;
  async readFile(options?: BufferEncoding | ReadFileOptions): Promise<Buffer | string> {
    this.#checkReads();
    const { encoding, ...rest } = readFileOptions(options);
    const { maxLength, range } = rest;
    const length = Number.isFinite(range.length) ? range.length : undefined;
    const content = await this.#inTurn(rest, () => this.#readRange(range.start, length, rest, maxLength));
    return encoding === undefined ? content : content.toString(encoding);
  }

  /**
   * Replaces the whole content; the position stays. Others may see the file empty or half-written meanwhile.
   *
   * @example
   * await file.writeFile(JSON.stringify(settings));
   */
  async writeFile(data: Content, options: OperationOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'writeFile' });
    this.#checkWrites();
    const bytes = contentBytes(data, 'data');
    await this.#inTurn(options, async () => {
      await this.#client.fsetstat(this.#handle, { size: 0 }, options);
      this.#appending?.reset(0);
      await this.#writeRange(0, bytes, options);
    });
  }

  /**
   * Moves the position, and resolves with the new one. It may lie behind the end; a write there leaves zeros in
   * between.
   *
   * @throws RangeError where it would be negative; the position is where it was then
   *
   * @example
   * await file.seek(-128, 'end');
   */
  async seek(offset: number, whence: Whence = 'start', options: OperationOptions = {}): Promise<number> {
    checkOptions(options, CALL_OPTIONS, { of: 'seek' });
    this.#checkOpen();
    if (typeof offset !== 'number') throw new TypeError(`offset must be a number, not ${kindOf(offset)}`);
    if (!Number.isSafeInteger(offset)) throw new RangeError(`offset ${offset} is not a whole number`);
    const base = BASES.get(whence);
    if (base === undefined) throw new RangeError("whence must be 'start', 'current', 'end', 0, 1 or 2");
    return this.#inTurn(options, async () => {
      const from = { start: 0, current: this.#position, end: undefined }[base] ?? (await this.#size(options));
      this.#position = checkCount('the position', from + offset);
      return this.#position;
    });
  }

  /** The position: where the next `read` or `write` begins, those that are still under way not counted. */
  tell(): number {
    return this.#position;
  }

  /** The file's attributes, by its handle. */
  async stat(options: OperationOptions = {}): Promise<FileAttributes> {
    checkOptions(options, CALL_OPTIONS, { of: 'stat' });
    this.#checkOpen();
    return this.#running.add(this.#client.fstat(this.#handle, options));
  }

  /** Cuts the file, or extends it with zeros, and resolves with the size that the server then tells. */
  async truncate(size: number, options: OperationOptions = {}): Promise<number> {
    checkOptions(options, CALL_OPTIONS, { of: 'truncate' });
    this.#checkWrites();
    checkCount('size', size);
    return this.#inTurn(options, async () => {
      await this.#client.fsetstat(this.#handle, { size }, options);
      this.#appending?.reset(size);
      return (await this.#client.fstat(this.#handle, options)).size ?? size;
    });
  }

  /** Sets the permissions, in the digits of chmod: `644`. */
  async chmod(mode: number | string, options: OperationOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'chmod' });
    this.#checkOpen();
    await this.#running.add(this.#client.fsetstat(this.#handle, { mode: parseMode(mode) }, options));
  }

  /** Sets the times of the last access and modification: seconds since 1970, cut to whole ones, or dates. */
  async utimes(atime: Timestamp, mtime: Timestamp, options: OperationOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'utimes' });
    this.#checkOpen();
    const times = { atime: secondsOf(atime, 'atime'), mtime: secondsOf(mtime, 'mtime') };
    await this.#running.add(this.#client.fsetstat(this.#handle, times, options));
  }

  /**
   * Resolves when the content is on the server's disk (`fsync@openssh.com`).
   *
   * @throws UnsupportedError where the server does not have the extension
   */
  async sync(options: OperationOptions = {}): Promise<void> {
    checkOptions(options, CALL_OPTIONS, { of: 'sync' });
    this.#checkOpen();
    await this.#inTurn(options, () => this.#client.fsync(this.#handle, options));
  }

  /**
   * The lines from the position on, without their `\n` or `\r\n`, read ahead. The position moves behind each
   * line as it is given, so that one may stop and go on. `for await (const line of file)` is the same.
   *
   * @throws SftpError `LIMIT`: a line is longer than `maxLength`
   *
   * @example
   * for await (const line of file.lines({ encoding: 'latin1' })) console.log(line.split(';'));
   */
  async *lines(options: LinesOptions = {}): AsyncGenerator<string, void, void> {
    this.#checkReads();
    const checked = checkLinesOptions(options);
    const stream = this.createReadStream({
      signal: options.signal,
      timeout: options.timeout,
      autoClose: false,
    });
    for await (const { text, byteLength } of splitLines(stream, quote(this.path), checked)) {
      this.#position += byteLength;
      yield text;
    }
  }

  [Symbol.asyncIterator](): AsyncGenerator<string, void, void> {
    return this.lines();
  }

  /**
   * A Readable from `start` or the position on, which stays. It reads ahead within `highWaterMark`, and closes
   * the file at its end unless `autoClose` is false.
   *
   * @throws TypeError | RangeError at the call, as Node does, if an option is invalid
   *
   * @example
   * await pipeline(file.createReadStream({ start: 1024, end: 2047 }), process.stdout);
   */
  createReadStream(options: ReadStreamOptions & AutoCloseOption = {}): RemoteReadStream {
    checkOptions(options, { ...READ_STREAM_OPTIONS, ...AUTO_CLOSE }, { of: 'createReadStream' });
    const close = this.#closer(options);
    const from = {
      path: this.path,
      position: this.#position,
      throttle: this.#line.throttle,
      concurrency: this.#line.concurrency,
      chunkLength: () => this.#client.limits.maxReadLength,
      roundTripMs: () => this.#client.roundTripMs,
      open: async () => {
        this.#checkReads();
        return { ...this.#source(options), close };
      },
    };
    return this.#register(new RemoteReadStream(from, options));
  }

  /**
   * A Writable from `start` or the position on, which stays; in a file opened for appending, from the end on. It
   * does not wait for each answer of the server, within `highWaterMark`; `finish` means that all is confirmed.
   * It closes the file at its end unless `autoClose` is false.
   *
   * @throws TypeError | RangeError at the call, as Node does, if an option is invalid
   *
   * @example
   * await pipeline(createReadStream('local.dat'), file.createWriteStream());
   */
  createWriteStream(options: WriteStreamOptions & AutoCloseOption = {}): RemoteWriteStream {
    checkOptions(options, { ...WRITE_STREAM_OPTIONS, ...AUTO_CLOSE }, { of: 'createWriteStream' });
    return this.#register(new RemoteWriteStream(this.streamTarget(options), options));
  }

  /** @internal */
  streamTarget(options: AutoCloseOption & Pick<OperationOptions, 'timeout'>): WriteStreamTarget {
    const close = this.#closer(options);
    const position = this.#position;
    return {
      path: this.path,
      throttle: this.#line.throttle,
      chunkLength: () => this.#client.limits.maxWriteLength,
      ended: () => this.#client.ended,
      open: async () => {
        this.#checkWrites();
        return { file: { ...this.#target(0, options), close }, position: this.#appending?.end ?? position };
      },
    };
  }

  /**
   * Closes the file, when everything that was called before has settled; streams are destroyed. May be called
   * again. Of a file that was written, only its success means that all is well; of a file that was only read it
   * never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #finish(): Promise<void> {
    for (const stream of this.#streams) {
      const isItself = stream instanceof RemoteWriteStream && stream.isClosingFile;
      if (!stream.closed && !isItself) stream.destroy(this.#closedError());
    }
    await this.#running.settled();
    this.#appending?.leave();
    const closing = this.#client.close(this.#handle);
    await (this.#mode.writes ? closing : closing.catch(() => {}));
  }

  /** One after the other; a failure is no obstacle to the next. */
  #inTurn<T>({ signal }: OperationOptions, operation: () => Promise<T>): Promise<T> {
    const result = this.#turn.run(async () => {
      signal?.throwIfAborted();
      return operation();
    });
    return untilAborted(this.#running.add(result), signal);
  }

  #closer({ autoClose }: AutoCloseOption): (options: Cancellable) => Promise<void> {
    if (autoClose === false) return async () => {};
    return ({ signal }) => untilAborted(this.close(), signal);
  }

  #register<S extends RemoteReadStream | RemoteWriteStream>(stream: S): S {
    this.#streams.add(stream);
    stream.once('close', () => this.#streams.delete(stream));
    return stream;
  }

  async #readRange(
    offset: number,
    length: number | undefined,
    options: OperationOptions,
    maxLength = length ?? DEFAULT_MAX_LENGTH,
  ): Promise<Buffer> {
    const target = new MemoryTarget(quote(this.path), maxLength);
    await copyToEnd(new FileRange(this.#source(options), offset, length), target, {
      chunkLength: () =>
        Math.max(1, Math.min(this.#client.limits.maxReadLength, length ?? Number.POSITIVE_INFINITY)),
      ...this.#line,
      signal: options.signal,
    });
    return target.takeContent();
  }

  async #writeRange(offset: number, bytes: Buffer, options: OperationOptions): Promise<void> {
    await new ContentCopy(new MemorySource(bytes), this.#target(offset, options), {
      chunkLength: () => this.#client.limits.maxWriteLength,
      ...this.#line,
      signal: options.signal,
      finish: async () => {},
    }).run();
  }

  #source({ timeout }: OperationOptions): SourceFile {
    return {
      info: UNKNOWN_INFO,
      read: (offset: number, length: number, options: Cancellable) =>
        this.#explained('read', this.#client.read(this.#handle, offset, length, { ...options, timeout })),
      close: async () => {},
    };
  }

  #target(start: number, { timeout }: OperationOptions): TargetFile {
    // What was sent has been answered when a stream or writeFile has ended.
    const shared = { timeout, whenAborted: 'await' } as const;
    return {
      isOrdered: true,
      write: (offset, pieces, options) =>
        this.#explained(
          'write',
          this.#appending === undefined
            ? this.#client.write(this.#handle, start + offset, pieces, { ...options, ...shared })
            : this.#append(this.#appending, pieces, { ...options, ...shared }),
        ),
      setAttributes: async () => {},
      close: async () => {},
    };
  }

  /** A server that answers in another order than it was asked may write in another order too. */
  #append(appending: AppendEnd, pieces: readonly Buffer[], options: OperationOptions): Promise<void> {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const write = async () => {
      options.signal?.throwIfAborted();
      const offset = appending.take(length);
      try {
        await this.#client.write(this.#handle, offset, pieces, options);
      } catch (error) {
        appending.giveBack(offset, length);
        throw error;
      }
    };
    const writing = this.#client.worksInOrder ? write() : this.#appended.then(write);
    this.#appended = writing.catch(() => {});
    return writing;
  }

  #explained<T>(operation: 'read' | 'write', call: Promise<T>): Promise<T> {
    const path = Buffer.from(this.#handle.path);
    return explain(call, operation, { client: this.#client, path, options: {} });
  }

  async #size(options: OperationOptions): Promise<number> {
    const { size } = await this.#client.fstat(this.#handle, options);
    if (size === undefined)
      throw new SftpError('ENOTSUP', `The server does not report the size of ${this.#name}`);
    return size;
  }

  get #name(): string {
    return quote(this.path);
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw this.#closedError();
  }

  #closedError(): SftpError {
    return new SftpError('EBADF', `The file ${this.#name} is closed`);
  }

  #checkReads(): void {
    this.#checkOpen();
    if (!this.#mode.reads) throw this.#wrongMode('reading', 'r', 'w+');
  }

  #checkWrites(): void {
    this.#checkOpen();
    if (!this.#mode.writes) throw this.#wrongMode('writing', 'w', 'r+');
  }

  #wrongMode(what: string, ...modes: readonly [string, string]): TypeError {
    const advice = `open it with '${modes[0]}' or '${modes[1]}'`;
    return new TypeError(`${this.#name} was opened with mode '${this.mode}', not for ${what}: ${advice}`);
  }
}

const BASES: ReadonlyMap<unknown, 'start' | 'current' | 'end'> = new Map<
  unknown,
  'start' | 'current' | 'end'
>([
  ['start', 'start'],
  ['current', 'current'],
  ['end', 'end'],
  [0, 'start'],
  [1, 'current'],
  [2, 'end'],
]);
