/** Open files, whole contents and streams of one connection. */
import { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { type Content, checkCallback, checkCount, contentBytes, isContent, kindOf } from '../arguments.js';
import { SftpError, SftpStatusError } from '../errors.js';
import { parseMode } from '../modes.js';
import { decodePath, quote } from '../remote-path.js';
import type { OperationOptions, RemoteHandle, SftpClient } from '../session/sftp-client.js';
import type { SpeedOptions } from '../speed.js';
import { marked, unmarked } from '../transfer/caller-error.js';
import type { LineUse } from '../transfer/copy-content.js';
import { copyDirectly } from '../transfer/copy-directly.js';
import { copyFile } from '../transfer/copy-file.js';
import { copyToEnd } from '../transfer/file-range.js';
import { isMissing, type SourcePlace, type TargetPlace } from '../transfer/file-system.js';
import { MemorySource, MemoryTarget } from '../transfer/memory.js';
import { measured, Speedometer } from '../transfer/progress.js';
import { type ReadStreamOptions, RemoteReadStream } from '../transfer/read-stream.js';
import type { RemoteFileSystem } from '../transfer/remote.js';
import { type ContentSource, SequentialSource } from '../transfer/sequential-source.js';
import { type ContentSink, SinkTarget } from '../transfer/sink.js';
import { streamBytes, windowOf } from '../transfer/stream-options.js';
import type { Window } from '../transfer/window.js';
import { RemoteWriteStream, type WriteStreamOptions } from '../transfer/write-stream.js';
import { FileAttributes } from '../wire/attributes.js';
import {
  MAX_CONTENT_LENGTH,
  type ReadFileOptions,
  readFileOptions,
  type WriteFileOptions,
  writeFileOptions,
} from './content-options.js';
import { type OpenMode, parseOpenMode } from './open-mode.js';
import { RemoteFile } from './remote-file.js';
import type { ProgressCallback, PutOptions } from './transfer-options.js';
import type { Transfers } from './transfers.js';

/** Options of {@link Connection.open}. */
export interface OpenOptions extends OperationOptions {
  /** The permissions of a file that is made, in the digits of chmod; the server's umask applies. */
  readonly permissions?: number | string | undefined;
  /** As the third argument. */
  readonly bufsize?: number | undefined;
}

/** Options of {@link Connection.createWriteStream}. */
export interface FileWriteStreamOptions extends WriteStreamOptions {
  /** As the mode of {@link Connection.open}. Default: `w`; `r+` for writing into a file, `a` for appending. */
  readonly flags?: string | undefined;
  /** The permissions of a file that is made, in the digits of chmod. */
  readonly mode?: number | string | undefined;
}

/** Options of {@link Connection.getfo}. */
export interface GetfoOptions extends OperationOptions, Omit<SpeedOptions, 'channels'> {
  readonly callback?: ProgressCallback | undefined;
}

/** Options of {@link Connection.putfo}. */
export interface PutfoOptions
  extends Pick<PutOptions, 'signal' | 'atomic' | 'confirm' | 'callback' | keyof SpeedOptions> {
  /** The total for `callback`, which is 0 without it; nothing else depends on it. */
  readonly fileSize?: number | undefined;
}

export class Files {
  readonly #client: SftpClient;
  readonly #transfers: Pick<Transfers, 'lineUse'>;
  readonly #remote: RemoteFileSystem;

  constructor(client: SftpClient, transfers: Pick<Transfers, 'lineUse' | 'remote'>) {
    this.#client = client;
    this.#transfers = transfers;
    this.#remote = transfers.remote;
  }

  /** For what waits for the server only, and never for the caller. */
  get #line(): LineUse {
    return this.#transfers.lineUse({});
  }

  /** For streams whose other end is the caller's. */
  #ownWindow(): Window {
    return windowOf(streamBytes(this.#client.roundTripMs));
  }

  async open(path: Buffer, mode: string, options: number | OpenOptions): Promise<RemoteFile> {
    const { signal, permissions, bufsize } = openOptions(options);
    checkBufsize(bufsize);
    const parsed = parseOpenMode(mode);
    const attributes = permissions === undefined ? {} : { mode: parseMode(permissions) };
    // STAT goes before OPEN: there are servers that do not bear it the other way round.
    const looking = parsed.appends ? this.#client.stat(path, { signal }) : undefined;
    const [stat, opened] = await Promise.allSettled([
      looking,
      this.#client.open(path, parsed.flags, { signal, attributes }),
    ]);
    if (opened.status === 'rejected') throw opened.reason;
    const handle = opened.value;
    try {
      const end = parsed.appends ? await this.#endOf(handle, stat, { signal }) : 0;
      return new RemoteFile({ client: this.#client, line: this.#line, handle, mode: parsed, end });
    } catch (error) {
      await untilAborted(this.#client.close(handle), signal).catch(() => {});
      throw error;
    }
  }

  /** Where a file ends that is appended to. Guessing would overwrite what it holds. */
  async #endOf(
    handle: RemoteHandle,
    stat: PromiseSettledResult<FileAttributes | undefined>,
    options: OperationOptions,
  ): Promise<number> {
    if (stat.status === 'rejected' && isMissing(stat.reason)) return 0;
    if (stat.status === 'rejected' && !(stat.reason instanceof SftpStatusError)) throw stat.reason;
    const told = stat.status === 'fulfilled' ? stat.value?.size : undefined;
    const size = told ?? (await this.#client.fstat(handle, options)).size;
    if (size !== undefined) return size;
    const advice = "open it with 'r+' and seek";
    throw new SftpError('ENOTSUP', `The server does not tell where ${quote(handle.path)} ends: ${advice}`);
  }

  async readFile(
    path: Buffer,
    options: BufferEncoding | ReadFileOptions | undefined,
  ): Promise<Buffer | string> {
    const { encoding, signal } = readFileOptions(options);
    const file = await this.#remote.openSource(path, { signal });
    const target = new MemoryTarget(quote(path), MAX_CONTENT_LENGTH);
    try {
      await copyToEnd(file, target, {
        chunkLength: () => this.#client.limits.maxReadLength,
        ...this.#line,
        signal,
      });
    } finally {
      await file.close({ signal });
    }
    const content = target.takeContent();
    return encoding === undefined ? content : content.toString(encoding);
  }

  async writeFile(
    path: Buffer,
    data: Content,
    defaultMode: string,
    options: BufferEncoding | WriteFileOptions | undefined,
  ): Promise<void> {
    const { encoding, flag = defaultMode, mode, signal } = writeFileOptions(options);
    const bytes = contentBytes(data, 'data', encoding);
    const file = await this.open(path, writableMode('flag', flag), { permissions: mode, signal });
    try {
      await file.write(bytes, { signal });
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    await file.close();
  }

  createReadStream(path: Buffer, options: ReadStreamOptions): RemoteReadStream {
    const { throttle } = this.#line;
    const from = {
      path: decodePath(path),
      position: 0,
      throttle,
      chunkLength: () => this.#client.limits.maxReadLength,
      roundTripMs: () => this.#client.roundTripMs,
      open: (opening: OperationOptions) => this.#remote.openSource(path, opening),
    };
    return new RemoteReadStream(from, options);
  }

  createWriteStream(path: Buffer, options: FileWriteStreamOptions): RemoteWriteStream {
    const { flags = 'w', mode } = options;
    writableMode('flags', flags);
    if (mode !== undefined) parseMode(mode);
    const { throttle } = this.#line;
    const to = {
      path: decodePath(path),
      throttle,
      chunkLength: () => this.#client.limits.maxWriteLength,
      open: async ({ signal }: OperationOptions) => {
        const file = await this.open(path, flags, { permissions: mode, signal });
        return file.streamTarget({}).open({ signal });
      },
    };
    return new RemoteWriteStream(to, options);
  }

  async getfo(path: Buffer, sink: ContentSink, options: GetfoOptions): Promise<number> {
    const { callback, signal } = options;
    checkCallback(callback);
    const open = SinkTarget.prepare(sink);
    const target: TargetPlace = {
      fileSystem: {
        chunkLength: { read: 0, write: Number.POSITIVE_INFINITY },
        textOf: () => 'the sink',
        openTarget: async () => open(),
      },
      path: Buffer.alloc(0),
    };
    const tell = measured<object>(callback);
    const line = this.#transfers.lineUse(options);
    const copying = copyDirectly({ fileSystem: this.#remote, path }, target, {
      ...line,
      window: this.#ownWindow(),
      signal,
      onProgress: tell && ((transferred, total) => tell(transferred, total, {})),
    });
    return (await unmarked(copying)).bytes;
  }

  async putfo(source: ContentSource, path: Buffer, options: PutfoOptions): Promise<FileAttributes> {
    const { callback, confirm = true, signal, fileSize = 0, atomic = false } = options;
    checkCallback(callback);
    checkCount('fileSize', fileSize);
    const line = this.#transfers.lineUse(options);
    const place = sourcePlace(source);
    const speedometer = new Speedometer();
    const tell = callback && marked(callback);
    const copying = copyFile(
      place,
      { fileSystem: this.#remote, path },
      {
        ...line,
        window: this.#ownWindow(),
        signal,
        atomic,
        confirm: confirm ? (file) => this.#client.stat(file, { signal }) : undefined,
        onProgress: (transferred) => tell?.(transferred, fileSize, speedometer.note(transferred, fileSize)),
      },
    );
    const { confirmation } = await unmarked(copying);
    return confirmation ?? new FileAttributes({});
  }
}

/** @throws TypeError where it gives no content, or has given it already */
function sourcePlace(source: ContentSource): SourcePlace {
  const file = isContent(source)
    ? new MemorySource(contentBytes(source, 'the source'))
    : new SequentialSource(source);
  return {
    fileSystem: {
      chunkLength: { read: Number.POSITIVE_INFINITY, write: 0 },
      textOf: () => 'the source',
      openSource: async () => file,
    },
    path: Buffer.alloc(0),
    readsOnce: true,
  };
}

/** @throws RangeError where nothing could be written */
function writableMode(name: string, mode: string): string {
  const { writes }: OpenMode = parseOpenMode(mode);
  if (!writes) throw new RangeError(`${name} '${mode}' is only for reading: use 'w', 'r+', 'a' or 'x'`);
  return mode;
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
