/** Open files, whole contents and streams of one connection. */
import { Buffer } from 'node:buffer';
import { type ExplainedOperation, explain } from '../../session/quirks/likely-cause.js';
import { anew, isGivenTwice } from '../../session/quirks/repeated-handle.js';
import type { OperationOptions, SftpClient } from '../../session/sftp-client.js';
import { unlessRefused } from '../../session/status-error.js';
import {
  type Content,
  checkCallback,
  checkCount,
  contentBytes,
  isContent,
  kindOf,
} from '../../shared/arguments.js';
import { parseMode } from '../../shared/modes.js';
import { CALL_OPTIONS, type CallOptions, type OptionTable } from '../../shared/option-checks.js';
import { decodePath, quote } from '../../shared/remote-path.js';
import { marked, unmarked } from '../../transfer/caller-error.js';
import { copyDirectly } from '../../transfer/copy-directly.js';
import { sizeMismatch } from '../../transfer/copy-failure.js';
import { copyFile } from '../../transfer/copy-file.js';
import type { LineUse } from '../../transfer/engine/copy-content.js';
import { checkConnections, SPEED_OPTIONS, type SpeedOptions } from '../../transfer/engine/speed.js';
import type { Window } from '../../transfer/engine/window.js';
import { copyToEnd, FileRange } from '../../transfer/file-range.js';
import type { SourcePlace, TargetPlace } from '../../transfer/file-system.js';
import { MemorySource, MemoryTarget, UNKNOWN_INFO } from '../../transfer/memory.js';
import { InPlace } from '../../transfer/overwriting.js';
import { measured, Speedometer } from '../../transfer/progress.js';
import type { RemoteFileSystem } from '../../transfer/remote/remote.js';
import { type ReadStreamOptions, RemoteReadStream } from '../../transfer/streams/read-stream.js';
import { type ContentSource, SequentialSource } from '../../transfer/streams/sequential-source.js';
import { type ContentSink, SinkTarget } from '../../transfer/streams/sink.js';
import { streamBytes, windowOf } from '../../transfer/streams/stream-options.js';
import {
  RemoteWriteStream,
  WRITE_STREAM_OPTIONS,
  type WriteStreamOptions,
} from '../../transfer/streams/write-stream.js';
import { FileAttributes } from '../../wire/attributes.js';
import { askedAgain, lastingSource, lastingTarget } from '../reconnect/lasting-file.js';
import {
  type ProgressCallback,
  type PutOptions,
  resolveAtomic,
  type TransferOptions,
} from '../transfer-options.js';
import type { Transfers } from '../transfers.js';
import { AppendEnds } from './append-ends.js';
import {
  type ReadFileOptions,
  readFileOptions,
  type WholeReading,
  type WriteFileOptions,
  writeFileOptions,
} from './content-options.js';
import { openFile } from './file-opening.js';
import { type OpenMode, parseOpenMode } from './open-mode.js';
import { RemoteFile } from './remote-file.js';

/** Options of {@link Connection.open}. */
export interface OpenOptions extends CallOptions {
  /** The permissions of a file that is made, in the digits of chmod; the server's umask applies. */
  readonly permissions?: number | string | undefined;
  /** As the third argument. */
  readonly bufsize?: number | undefined;
}

export const OPEN_OPTIONS: OptionTable<OpenOptions> = {
  ...CALL_OPTIONS,
  permissions: 'checked',
  bufsize: 'checked',
};

/** Options of {@link Connection.createWriteStream}. */
export interface FileWriteStreamOptions extends WriteStreamOptions {
  /** As the mode of {@link Connection.open}. Default: `w`; `r+` for writing into a file, `a` for appending. */
  readonly flags?: string | undefined;
  /** The permissions of a file that is made, in the digits of chmod. */
  readonly mode?: number | string | undefined;
}

export const FILE_WRITE_STREAM_OPTIONS: OptionTable<FileWriteStreamOptions> = {
  ...WRITE_STREAM_OPTIONS,
  flags: 'checked',
  mode: 'checked',
};

/** Options of {@link Connection.getfo}. */
export interface GetfoOptions
  extends CallOptions,
    Omit<SpeedOptions, 'channels'>,
    Pick<TransferOptions, 'allowGrowth'> {
  readonly callback?: ProgressCallback | undefined;
}

export const GETFO_OPTIONS: OptionTable<GetfoOptions> = {
  ...CALL_OPTIONS,
  bytesPerSecond: 'checked',
  concurrency: 'checked',
  connections: 'checked',
  callback: 'checked',
  allowGrowth: 'boolean',
};

/** Options of {@link Connection.putfo}. */
export interface PutfoOptions
  extends Pick<
    PutOptions,
    'signal' | 'timeout' | 'mode' | 'atomic' | 'onInPlace' | 'confirm' | 'callback' | keyof SpeedOptions
  > {
  /** The total for `callback`, which is 0 without it; nothing else depends on it. */
  readonly fileSize?: number | undefined;
}

export const PUTFO_OPTIONS: OptionTable<PutfoOptions> = {
  ...SPEED_OPTIONS,
  ...CALL_OPTIONS,
  mode: 'checked',
  atomic: 'atomic',
  onInPlace: 'function',
  confirm: 'boolean',
  callback: 'checked',
  fileSize: 'checked',
};

type FileTransfers = Pick<
  Transfers,
  'client' | 'remote' | 'link' | 'lineUse' | 'forCall' | 'during' | 'noteTransfer'
>;

export class Files {
  readonly #client: SftpClient;
  readonly #transfers: FileTransfers;
  readonly #remote: RemoteFileSystem;
  readonly #appendEnds: AppendEnds;

  constructor(transfers: FileTransfers, appendEnds = new AppendEnds()) {
    this.#client = transfers.client;
    this.#transfers = transfers;
    this.#remote = transfers.remote;
    this.#appendEnds = appendEnds;
  }

  /** For a call with these options. */
  forCall({ timeout }: Pick<CallOptions, 'timeout'>): Files {
    return timeout === undefined ? this : new Files(this.#transfers.forCall({ timeout }), this.#appendEnds);
  }

  readonly #repeats = (): number => this.#client.repeatedHandles;

  /** For what waits for the server only, and never for the caller. */
  get #line(): LineUse {
    return this.#transfers.lineUse({});
  }

  /** For streams whose other end is the caller's. */
  #ownWindow(transfers: Transfers): Window {
    return windowOf(streamBytes(this.#client.roundTripMs), () => transfers.width);
  }

  async open(path: Buffer, mode: string, options: number | OpenOptions): Promise<RemoteFile> {
    const { signal, timeout, permissions, bufsize } = openOptions(options);
    checkBufsize(bufsize);
    const parsed = parseOpenMode(mode);
    const attributes = permissions === undefined ? {} : { mode: parseMode(permissions) };
    const appending = parsed.appends ? this.#appendEnds.join(path) : undefined;
    try {
      const look = { client: this.#client, path, options: { signal, timeout } };
      const operation = openingOf(parsed);
      const opening = () =>
        explain(openFile(this.#client, path, parsed, { signal, timeout, attributes }), operation, look);
      const isAlone = appending === undefined || this.#client.worksInOrder;
      const { handle, end } = await (isAlone ? opening() : appending.inTurn(opening));
      appending?.raise(end);
      return new RemoteFile({ client: this.#client, line: this.#line, handle, mode: parsed, end, appending });
    } catch (error) {
      appending?.leave();
      throw error;
    }
  }

  async readFile(
    path: Buffer,
    options: BufferEncoding | ReadFileOptions | undefined,
  ): Promise<Buffer | string> {
    const { encoding, ...reading } = readFileOptions(options);
    const files = this.forCall(reading);
    const content = await anew(() => files.#contentOf(path, reading), this.#repeats);
    return encoding === undefined ? content : content.toString(encoding);
  }

  async #contentOf(
    path: Buffer,
    { signal, range, maxLength }: Omit<WholeReading, 'encoding'>,
  ): Promise<Buffer> {
    const file = new FileRange(await this.#remote.openSource(path, { signal }), range.start, range.length);
    const target = new MemoryTarget(quote(path), maxLength);
    try {
      await copyToEnd(file, target, {
        chunkLength: () => this.#client.limits.maxReadLength,
        ...this.#line,
        signal,
      });
    } finally {
      await file.close({ signal });
    }
    return target.takeContent();
  }

  async writeFile(
    path: Buffer,
    data: Content,
    defaultMode: string,
    options: BufferEncoding | WriteFileOptions | undefined,
  ): Promise<void> {
    const { encoding, flag = defaultMode, mode: permissions, signal, timeout } = writeFileOptions(options);
    const files = this.forCall({ timeout });
    const bytes = contentBytes(data, 'data', encoding);
    const mode = writableMode('flag', flag);
    const opened = { isOurs: false };
    // What the first attempt has made is there for the next.
    const write = () => {
      const how = opened.isOurs ? writableMode('flag', 'w') : mode;
      return files.#writeOnce(path, bytes, how, { permissions, signal }, opened);
    };
    // What has been appended cannot be done twice.
    await (mode.empties ? anew(write, this.#repeats) : write());
  }

  async #writeOnce(
    path: Buffer,
    bytes: Buffer,
    mode: OpenMode,
    options: OpenOptions,
    opened: { isOurs: boolean },
  ): Promise<void> {
    const { signal } = options;
    const file = await this.open(path, mode.text, options).catch((error) => {
      opened.isOurs ||= mode.isExclusive && isGivenTwice(error);
      throw error;
    });
    opened.isOurs ||= mode.isExclusive;
    try {
      await file.write(bytes, { signal });
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    await this.#confirm({ path, end: file.tell(), isExact: mode.empties }, file.close(), signal);
  }

  createReadStream(path: Buffer, options: ReadStreamOptions): RemoteReadStream {
    const { throttle, concurrency } = this.#line;
    const { connections, signal } = options;
    checkConnections(connections);
    const transfers = this.#transfers.forCall({ connections, timeout: options.timeout });
    const from = {
      path: decodePath(path),
      position: 0,
      throttle,
      concurrency,
      chunkLength: () => this.#client.limits.maxReadLength,
      roundTripMs: () => this.#client.roundTripMs,
      open: (opening: OperationOptions) => {
        const open = (again: OperationOptions) => transfers.remote.openSource(path, again);
        return lastingSource({ link: transfers.link, path, open }, opening);
      },
      width: () => transfers.width,
      spreading: (window: Window, work: () => Promise<void>) => transfers.spreading({ signal, window }, work),
    };
    const startedAt = performance.now();
    const stream = new RemoteReadStream(from, options);
    const note = () => {
      const { bytesRead: bytes } = stream;
      const names = { call: 'createReadStream', from: quote(path), to: 'the stream' };
      transfers.noteTransfer({ ...names, bytes, startedAt });
    };
    return stream.once('end', note);
  }

  createWriteStream(path: Buffer, options: FileWriteStreamOptions): RemoteWriteStream {
    const { flags = 'w', mode } = options;
    const { empties: isExact, appends } = writableMode('flags', flags);
    if (mode !== undefined) parseMode(mode);
    const { throttle } = this.#line;
    const { link } = this.#transfers;
    const openWith = async (flags: string, { signal }: OperationOptions) => {
      const file = await this.open(path, flags, { permissions: mode, signal });
      return file.streamTarget({}).open({ signal });
    };
    const to = {
      path: decodePath(path),
      throttle,
      chunkLength: () => this.#client.limits.maxWriteLength,
      ended: () => (link.retry === undefined || appends ? this.#client.ended : link.closed),
      open: async (opening: OperationOptions) => {
        const opened = await openWith(flags, opening);
        if (appends) return opened;
        const open = async (again: OperationOptions) => (await openWith('r+', again)).file;
        const sizeOf = () => this.#sizeOf(path, {});
        return { ...opened, file: lastingTarget({ link, path, open, sizeOf }, opened.file) };
      },
      confirm: (end: number, closing: Promise<void>) =>
        this.#confirm({ path, end, isExact }, closing, options.signal),
    };
    const startedAt = performance.now();
    const stream = new RemoteWriteStream(to, options);
    const note = () => {
      const { bytesWritten: bytes } = stream;
      const names = { call: 'createWriteStream', from: 'the stream', to: quote(path) };
      this.#transfers.noteTransfer({ ...names, bytes, startedAt });
    };
    return stream.once('finish', note);
  }

  /** A drop box may have taken the file away by now, or lets nobody look: nothing is said against it then. */
  async #confirm(written: Written, closing: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
    const look = () => askedAgain(this.#transfers.link, () => this.#sizeOf(written.path, { signal }), signal);
    // It follows the CLOSE at once; should it overtake it, it is asked again.
    const early = look();
    early.catch(() => {});
    await closing;
    if (isWhole(written, await early)) return;
    const size = await look();
    if (isWhole(written, size) || (size === 0 && (await this.#reaches(written, signal)))) return;
    const target = { fileSystem: this.#remote, path: written.path };
    throw sizeMismatch({ source: sourcePlace(''), target }, written.end, size);
  }

  async #sizeOf(path: Buffer, options: CallOptions): Promise<number | undefined> {
    const attributes = await unlessRefused(this.#client.stat(path, options));
    return attributes?.size;
  }

  /** On some servers every size is 0. */
  async #reaches({ path, end }: Written, signal: AbortSignal | undefined): Promise<boolean> {
    const reading = async () => {
      const file = await this.#remote.openSource(path, { signal, known: UNKNOWN_INFO });
      try {
        return (await file.read(end - 1, 1, { signal })) !== null;
      } finally {
        await file.close({ signal });
      }
    };
    return unlessRefused(reading(), false);
  }

  async getfo(path: Buffer, sink: ContentSink, options: GetfoOptions): Promise<number> {
    const { callback, allowGrowth } = options;
    checkCallback(callback);
    const open = SinkTarget.prepare(sink);
    const target: TargetPlace = {
      fileSystem: {
        chunkLength: { read: 0, write: Number.POSITIVE_INFINITY },
        isLocal: true,
        textOf: () => 'the sink',
        openTarget: async () => open(),
      },
      path: Buffer.alloc(0),
    };
    const tell = measured<object>(callback);
    const line = this.#transfers.lineUse(options);
    const transfers = this.#transfers.forCall(options);
    const { link, remote } = transfers;
    const window = this.#ownWindow(transfers);
    const source = {
      chunkLength: remote.chunkLength,
      takesBlocks: remote.takesBlocks,
      isLocal: remote.isLocal,
      textOf: remote.textOf,
      openSource: (path: Buffer, opening: OperationOptions) => {
        const open = (again: OperationOptions) => remote.openSource(path, again);
        return lastingSource({ link, path, open }, opening);
      },
    };
    const run = (signal: AbortSignal) =>
      copyDirectly({ fileSystem: source, path }, target, {
        ...line,
        window,
        signal,
        allowGrowth,
        onProgress: tell && ((transferred, total) => tell(transferred, total, {})),
      });
    const copying = link.lasting(options.signal, (signal) =>
      transfers.spreading({ signal, window }, () => run(signal)),
    );
    const startedAt = performance.now();
    const { bytes } = await unmarked(copying);
    transfers.noteTransfer({ call: 'getfo', from: quote(path), to: 'the sink', bytes, startedAt });
    return bytes;
  }

  async putfo(source: ContentSource, path: Buffer, options: PutfoOptions): Promise<FileAttributes> {
    const { callback, confirm = true, fileSize = 0, onInPlace } = options;
    checkCallback(callback);
    checkCount('fileSize', fileSize);
    const mode = options.mode === undefined ? undefined : parseMode(options.mode);
    const line = this.#transfers.lineUse(options);
    const transfers = this.#transfers.forCall(options);
    const { client, remote } = transfers;
    const window = this.#ownWindow(transfers);
    const place = sourcePlace(source);
    const speedometer = new Speedometer();
    const tell = callback && marked(callback);
    const target = { fileSystem: remote, path };
    const { atomic, mayOverwriteInPlace } = resolveAtomic(options.atomic ?? false);
    let isInPlace = false;
    const note = () => {
      isInPlace = true;
    };
    const run = (signal: AbortSignal) =>
      copyFile(place, target, {
        ...line,
        window,
        signal,
        atomic,
        inPlace: mayOverwriteInPlace ? new InPlace({ note, signal }) : undefined,
        mode,
        confirm: confirm ? (file) => client.stat(file, { signal }) : undefined,
        onProgress: (transferred) => tell?.(transferred, fileSize, speedometer.note(transferred, fileSize)),
      });
    const copying = this.#transfers.during(options.signal, (signal) =>
      transfers.spreading({ signal, window }, () => run(signal)),
    );
    const startedAt = performance.now();
    const { confirmation, bytes } = await unmarked(copying).finally(() => {
      if (isInPlace) onInPlace?.(remote.textOf(path));
    });
    transfers.noteTransfer({ call: 'putfo', from: 'the source', to: quote(path), bytes, startedAt });
    return confirmation ?? new FileAttributes({});
  }
}

/** What has been written, and how long the file should be by now: so long, or at least so long. */
interface Written {
  readonly path: Buffer;
  readonly end: number;
  readonly isExact: boolean;
}

function isWhole({ end, isExact }: Written, size: number | undefined): boolean {
  return size === undefined || (isExact ? size === end : size >= end);
}

/** @throws TypeError where it gives no content, or has given it already */
function sourcePlace(source: ContentSource): SourcePlace {
  const file = isContent(source)
    ? new MemorySource(contentBytes(source, 'the source'))
    : new SequentialSource(source);
  return {
    fileSystem: {
      chunkLength: { read: Number.POSITIVE_INFINITY, write: 0 },
      isLocal: true,
      textOf: () => 'the source',
      openSource: async () => file,
    },
    path: Buffer.alloc(0),
    readsOnce: true,
  };
}

/** @throws RangeError where nothing could be written */
function writableMode(name: string, mode: string): OpenMode {
  const parsed = parseOpenMode(mode);
  if (!parsed.writes)
    throw new RangeError(`${name} '${mode}' is only for reading: use 'w', 'r+', 'a' or 'x'`);
  return parsed;
}

/** @throws TypeError where they are neither options nor a bufsize */
function openOptions(options: number | OpenOptions): OpenOptions {
  if (typeof options === 'number') return { bufsize: options };
  if (typeof options === 'object' && options !== null) return options;
  throw new TypeError(`options must be an object or a bufsize, not ${kindOf(options)}`);
}

/** pysftp's third argument. Requests are never held back here, whatever it says. */
function checkBufsize(bufsize: unknown): void {
  if (bufsize === undefined) return;
  if (typeof bufsize !== 'number') throw new TypeError(`bufsize must be a number, not ${kindOf(bufsize)}`);
  if (!Number.isInteger(bufsize) || bufsize < -1) {
    throw new RangeError(`bufsize ${bufsize} is neither -1 nor a number of bytes`);
  }
}

function openingOf({ isExclusive, empties, appends, writes }: OpenMode): ExplainedOperation {
  if (isExclusive) return 'openNew';
  if (empties || appends) return 'create';
  return writes ? 'open' : 'stat';
}
