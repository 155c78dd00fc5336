/** Streams of remote files with the options and the errors of ssh2. */
import { PassThrough, Readable, type Writable } from 'node:stream';
import type { Connection, RemoteReadStream, RemoteWriteStream } from '../index.js';
import { clientError, findingOf } from './client-error.js';
import type { ReadStreamOptions, WriteStreamOptions } from './types.js';

export function openReadStream(
  sftp: Connection,
  path: string,
  { start, end, encoding, highWaterMark }: ReadStreamOptions = {},
): RemoteReadStream {
  const options = { start, end, encoding: encoding ?? undefined, highWaterMark };
  return sftp.createReadStream(path, options);
}

export function openWriteStream(
  sftp: Connection,
  path: string,
  { flags = 'w', start, encoding, highWaterMark, mode }: WriteStreamOptions = {},
): RemoteWriteStream {
  const digits = mode === undefined ? undefined : modeDigits(mode);
  const options = { flags, start, encoding: encoding ?? undefined, highWaterMark, mode: digits };
  const stream = sftp.createWriteStream(path, options);
  // What the server's umask has taken away of it; some servers set no permissions at all.
  if (digits !== undefined) stream.once('ready', () => void sftp.chmod(path, digits).catch(() => {}));
  return stream;
}

/** For a stream that the caller gets: its errors say what those of ssh2 say, with the same codes. */
export function withClientErrors<S extends Readable | Writable>(stream: S): S {
  const destroy = stream._destroy.bind(stream);
  stream._destroy = (error, callback) =>
    destroy(error, (failure) => {
      if (failure === undefined || failure === null) return callback(failure);
      const { text, code } = findingOf(failure);
      callback(clientError(text, code, failure));
    });
  return stream;
}

/**
 * Permissions as chmod's digits: a number counts by its value, as in `fs.chmod`, a string is octal.
 *
 * @throws Error it is neither
 */
export function modeDigits(mode: number | string): string {
  const bits =
    typeof mode === 'number'
      ? mode
      : /^(?:0o?)?[0-7]+$/.test(mode)
        ? Number.parseInt(mode.replace('o', ''), 8)
        : Number.NaN;
  if (!Number.isInteger(bits) || bits < 0) throw clientError(`Cannot parse mode: ${mode}`);
  return (bits & 0o7777).toString(8);
}

/** A stream of the caller's, which stays usable whatever becomes of its content. Read what comes out of it. */
export function borrowed(source: NodeJS.ReadableStream): PassThrough {
  const reader = new PassThrough();
  // It may fail before anybody reads, or after all is over.
  reader.on('error', () => {});
  const stream = source instanceof Readable ? source : new Readable().wrap(source);
  if (stream.destroyed || stream.readableEnded) {
    return reader.destroy(stream.errored ?? new Error('The stream has ended already'));
  }
  stream.on('error', (error) => reader.destroy(error));
  stream.once('close', () => {
    if (!stream.readableEnded && !reader.destroyed) reader.destroy(new Error('Premature close'));
  });
  reader.once('close', () => stream.unpipe(reader));
  return stream.pipe(reader);
}

/**
 * Writes all that a stream gives into another, which is ended then, and resolves when that has taken it. After a failure
 * the target is not touched any more, and may be used for something else: an answer of HTTP for telling the failure.
 */
export function pump(source: Readable, target: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    const isStandard = target === process.stdout || target === process.stderr;
    const settle = (error?: Error): void => {
      target
        .removeListener('error', settle)
        .removeListener('finish', onFinish)
        .removeListener('close', onClose);
      if (error === undefined) {
        resolve();
      } else {
        source.unpipe(target).destroy();
        reject(error);
      }
    };
    const onFinish = (): void => settle();
    const onClose = (): void => settle(new Error('The stream was closed before all was written'));
    target.on('error', settle).on('finish', onFinish).on('close', onClose);
    source.on('error', settle);
    if (isStandard) source.once('end', onFinish);
    source.pipe(target);
  });
}
