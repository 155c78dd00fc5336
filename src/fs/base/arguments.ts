/** What programs pass to node:fs, checked as node:fs does: paths, encodings, modes, times, buffers. */
import { Buffer } from 'node:buffer';
import { fileURLToPath } from 'node:url';
import { kindOf } from '../../shared/arguments.js';
import { argumentError } from './node-error.js';

/** A path as it was given: as text for errors, and as bytes. */
export interface GivenPath {
  readonly text: string;
  readonly bytes: Buffer;
}

/** @throws TypeError as node:fs does: neither text, bytes nor a file URL, or with a NUL */
export function givenPath(path: unknown, name = 'path'): GivenPath {
  const given = path instanceof URL ? fileURLToPath(path) : path;
  if (typeof given !== 'string' && !(given instanceof Uint8Array)) {
    throw wrongType(name, 'of type string or an instance of Buffer or URL', given);
  }
  const bytes = Buffer.from(given);
  const text = typeof given === 'string' ? given : bytes.toString();
  if (!bytes.includes(0)) return { text, bytes };
  const what = `The argument '${name}' must be a string, Uint8Array, or URL without null bytes. Received ${JSON.stringify(text)}`;
  throw argumentError(TypeError, 'ERR_INVALID_ARG_VALUE', what);
}

export function wrongType(name: string, what: string, value: unknown): Error {
  const kind = name.includes('.') ? 'property' : 'argument';
  const message = `The "${name}" ${kind} must be ${what}. Received ${shown(value)}`;
  return argumentError(TypeError, 'ERR_INVALID_ARG_TYPE', message);
}

export function outOfRange(name: string, range: string, value: unknown): Error {
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${shown(value)}`;
  return argumentError(RangeError, 'ERR_OUT_OF_RANGE', message);
}

function shown(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === 'object') return `an instance of ${kindOf(value)}`;
  if (typeof value === 'function') return `function ${value.name}`;
  return `type ${typeof value} (${typeof value === 'string' ? `'${value.slice(0, 25)}'` : String(value)})`;
}

/** The options object of a call that also takes an encoding in its place. */
export function givenOptions(options: unknown): Readonly<Record<string, unknown>> {
  if (options === undefined || options === null || typeof options === 'function') return {};
  if (typeof options === 'string') return { encoding: options };
  if (typeof options === 'object') return options as Readonly<Record<string, unknown>>;
  throw wrongType('options', 'of type string or an instance of Object', options);
}

/** `undefined`: as bytes. */
export type Encoding = BufferEncoding | undefined;

/** @param otherwise what counts where none is given */
export function givenEncoding(encoding: unknown, otherwise: Encoding): Encoding {
  if (encoding === undefined || encoding === null) return otherwise;
  if (encoding === 'buffer') return undefined;
  if (typeof encoding === 'string' && Buffer.isEncoding(encoding)) return encoding;
  const message = `The argument 'encoding' is invalid encoding. Received '${String(encoding)}'`;
  throw argumentError(TypeError, 'ERR_INVALID_ARG_VALUE', message);
}

export function encoded(bytes: Buffer, encoding: Encoding): string | Buffer {
  return encoding === undefined ? bytes : bytes.toString(encoding);
}

/** A number, or the octal digits that it is written in. */
export function givenMode(mode: unknown, name = 'mode', otherwise?: number): number {
  if ((mode === undefined || mode === null) && otherwise !== undefined) return otherwise;
  if (typeof mode === 'string') {
    if (/^[0-7]+$/.test(mode)) return givenUint32(Number.parseInt(mode, 8), name);
    const message = `The argument '${name}' must be a 32-bit unsigned integer or an octal string. Received '${mode}'`;
    throw argumentError(TypeError, 'ERR_INVALID_ARG_VALUE', message);
  }
  return givenUint32(mode, name);
}

function givenUint32(value: unknown, name: string): number {
  return givenInteger(value, name, 0, 2 ** 32 - 1);
}

export function givenInteger(
  value: unknown,
  name: string,
  min = 0,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw wrongType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} && <= ${max}`, value);
  return value;
}

/** -1 leaves an owner as it is. */
export function givenOwner(value: unknown, name: string): number | undefined {
  const id = givenInteger(value, name, -1, 2 ** 32 - 1);
  return id === -1 || id === 2 ** 32 - 1 ? undefined : id;
}

/** SFTP has whole seconds from 1970 to 2106. */
export function givenTime(time: unknown, name: string): number {
  const given = typeof time === 'string' && time !== '' ? Number(time) : time;
  const seconds = given instanceof Date ? given.getTime() / 1000 : given;
  if (typeof seconds !== 'number' || Number.isNaN(seconds)) {
    throw wrongType(name, 'of type number or an instance of Date', time);
  }
  const whole = Number.isFinite(seconds) ? Math.floor(seconds) : Math.floor(Date.now() / 1000);
  if (whole < 0 || whole >= 2 ** 32) {
    throw outOfRange(name, 'between 1970 and 2106, as SFTP knows no other times', time);
  }
  return whole;
}

export function givenSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined;
  if (typeof signal === 'object' && 'aborted' in signal) return signal as AbortSignal;
  throw wrongType('options.signal', 'an instance of AbortSignal', signal);
}

/** The memory of a buffer that the caller has given. */
export function givenBuffer(buffer: unknown, name = 'buffer'): Buffer {
  if (ArrayBuffer.isView(buffer)) {
    return Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength);
  }
  throw wrongType(name, 'an instance of Buffer, TypedArray, or DataView', buffer);
}

/** @throws TypeError where it is neither text nor bytes */
export function givenContent(data: unknown, encoding: Encoding): Buffer {
  if (typeof data === 'string') return Buffer.from(data, encoding ?? 'utf8');
  if (ArrayBuffer.isView(data)) return givenBuffer(data);
  throw wrongType('data', 'of type string or an instance of Buffer, TypedArray, or DataView', data);
}

/** `null` and -1 stand for the position of the file. */
export function givenPosition(position: unknown): number | null {
  if (position === undefined || position === null) return null;
  const number = typeof position === 'bigint' ? Number(position) : position;
  return number === -1 ? null : givenInteger(number, 'position');
}
