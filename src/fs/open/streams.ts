/**
 * `createReadStream` and `createWriteStream`: Node's own streams, which take other functions for the file (their option
 * `fs`). So they are Node's in every event and field. What is done here is to ask ahead: their own way to read and write is
 * one request after the other.
 */
import type { Buffer } from 'node:buffer';
import { ReadStream, WriteStream } from 'node:fs';
import { RemoteFileHandle } from './file-handle.js';
import { parseFlags } from './flags.js';
import { ReadAhead } from './read-ahead.js';
import { PendingWrites } from './write-behind.js';

type Done<T extends readonly unknown[]> = (error: Error | null, ...results: T) => void;

/** The callback functions of a view that its streams use. */
export interface StreamFunctions {
  open(path: unknown, flags: unknown, mode: unknown, done: Done<[number]>): void;
  close(fd: number, done: Done<[]>): void;
  read(fd: number, target: Buffer, position: number | null): Promise<number>;
  write(fd: number, pieces: readonly Buffer[], position: number | null): Promise<number>;
}

type Options = Readonly<Record<string, unknown>>;

/** Reads into, or writes, a part of a buffer, as Node's streams ask for it. */
type PartCall = (
  fd: number,
  buffer: Buffer,
  offset: number,
  length: number,
  at: number | null | undefined,
  done: Done<[number, Buffer]>,
) => void;

function answer<B>(working: Promise<number>, buffers: B, done: Done<[number, B]>): void {
  working.then(
    (count) => done(null, count, buffers),
    (error: Error) => done(error, 0, buffers),
  );
}

function optionsOf(options: unknown): Options {
  if (typeof options === 'string') return { encoding: options };
  return typeof options === 'object' && options !== null ? (options as Options) : {};
}

/** Of a file handle its number, by which our functions know it: Node's streams take handles of Node's own only. */
function withNumber(options: Options): Options {
  return options.fd instanceof RemoteFileHandle ? { ...options, fd: options.fd.fd } : options;
}

const CHUNK_LENGTH = 64 * 1024;

/** Their constructors take what `createReadStream` and `createWriteStream` take, and are typed as Node's plain streams. */
const NodeReadStream = ReadStream as unknown as new (path: unknown, options: Options) => ReadStream;
const NodeWriteStream = WriteStream as unknown as new (path: unknown, options: Options) => WriteStream;

export function readStream(fs: StreamFunctions, path: unknown, given: unknown): ReadStream {
  const options = withNumber(optionsOf(given));
  const isOwn = options.fd === undefined || options.fd === null;
  const end = typeof options.end === 'number' ? options.end : Number.POSITIVE_INFINITY;
  const start = typeof options.start === 'number' ? options.start : undefined;
  let ahead: ReadAhead | undefined;
  let position = start ?? 0;
  const readAt = (fd: number, target: Buffer, at: number) => {
    ahead ??= new ReadAhead((piece, from) => fs.read(fd, piece, from), end);
    return ahead.read(target, at);
  };
  const read: PartCall = (fd, buffer, offset, length, at, done) => {
    const target = buffer.subarray(offset, offset + length);
    // The position of a file that others use as well cannot be known ahead.
    const isKnown = isOwn || typeof at === 'number';
    const reading = isKnown ? readAt(fd, target, at ?? position) : fs.read(fd, target, null);
    const counted = reading.then((count) => {
      position += count;
      return count;
    });
    answer(counted, buffer, done);
  };
  const close = (fd: number, done: Done<[]>) => {
    ahead?.stop();
    fs.close(fd, done);
  };
  const functions = { open: fs.open, read, close };
  return new NodeReadStream(path, { highWaterMark: CHUNK_LENGTH, ...options, fs: functions });
}

/** Emits `finish` when the server has confirmed everything, not when it was only sent. */
class ConfirmingStream extends NodeWriteStream {
  readonly #behind: PendingWrites;

  constructor(path: unknown, options: Options, behind: PendingWrites) {
    super(path, options);
    this.#behind = behind;
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#behind.settled().then(() => done(), done);
  }
}

export function writeStream(fs: StreamFunctions, path: unknown, given: unknown): WriteStream {
  const options = withNumber(optionsOf(given));
  const behind = new PendingWrites();
  const isOwn = options.fd === undefined || options.fd === null;
  // What is appended goes to the end, and the position of a file that others use as well is the file's own.
  const isPositioned = isOwn && !parseFlags(options.flags, 'w').appends;
  let position = typeof options.start === 'number' ? options.start : 0;
  const put = (fd: number, pieces: readonly Buffer[], at: number | null | undefined) =>
    behind.write(pieces, (copies) => {
      const own = isPositioned ? position : null;
      position += copies.reduce((sum, each) => sum + each.length, 0);
      return fs.write(fd, copies, at ?? own);
    });
  const write: PartCall = (fd, buffer, offset, length, at, done) =>
    answer(put(fd, [buffer.subarray(offset, offset + length)], at), buffer, done);
  const writev = (
    fd: number,
    buffers: readonly Buffer[],
    at: number | null | undefined,
    done: Done<[number, readonly Buffer[]]>,
  ) => answer(put(fd, buffers, at), buffers, done);
  const close = (fd: number, done: Done<[]>) => {
    const failed = behind.settled().then(
      () => undefined,
      (error: Error) => error,
    );
    failed.then((error) => fs.close(fd, (closing) => done(error ?? closing)), done);
  };
  return new ConfirmingStream(path, { ...options, fs: { open: fs.open, write, writev, close } }, behind);
}
