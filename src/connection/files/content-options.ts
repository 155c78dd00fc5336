/** Options of reading and writing whole files. */
import { constants } from 'node:buffer';
import { checkCount, checkEncoding, kindOf } from '../../shared/arguments.js';
import {
  CALL_OPTIONS,
  type CallOptions,
  checkOptions,
  type OptionTable,
} from '../../shared/option-checks.js';

import { checkRange } from '../../transfer/streams/stream-options.js';

/** Options of `readFile`. */
export interface ReadFileOptions extends CallOptions {
  /** Gives text in place of bytes. */
  readonly encoding?: BufferEncoding | undefined;
  /** The most bytes to read; a longer file is an `SftpError` (`LIMIT`), whatever size the server told. Default: 64 MiB. */
  readonly maxLength?: number | undefined;
  /** The first byte to read. Default: 0. */
  readonly start?: number | undefined;
  /** The last byte to read, itself included, as for Node's streams. Default: the end of the file. */
  readonly end?: number | undefined;
}

const READ_FILE_OPTIONS: OptionTable<ReadFileOptions> = {
  encoding: 'checked',
  maxLength: 'checked',
  start: 'checked',
  end: 'checked',
  ...CALL_OPTIONS,
};

/** What fits into one buffer, and at most 2 GiB. */
export const MAX_CONTENT_LENGTH = Math.min(constants.MAX_LENGTH, 2 ** 31 - 1);
/** What is read of a file whose length only the server knows: it would fill the memory otherwise. */
export const DEFAULT_MAX_LENGTH = 64 * 1024 * 1024;

/** The options of reading, checked. */
export interface WholeReading extends CallOptions {
  readonly encoding: BufferEncoding | undefined;
  readonly maxLength: number;
  readonly range: { readonly start: number; readonly length: number };
}

/** @throws TypeError | RangeError if they are neither an encoding nor an object, or one of them is invalid */
export function readFileOptions(options: BufferEncoding | ReadFileOptions | null = {}): WholeReading {
  const given = asObject(options);
  checkOptions(given, READ_FILE_OPTIONS, { of: 'readFile' });
  const { maxLength = DEFAULT_MAX_LENGTH } = given;
  checkCount('maxLength', maxLength, MAX_CONTENT_LENGTH);
  const { start, end, signal, timeout } = given;
  const range = checkRange(start, end, 0);
  return { signal, timeout, maxLength, range, encoding: checkEncoding(given.encoding) };
}

/** Node's habit: a string in place of the options is the encoding. */
function asObject<T extends object>(options: string | T | null): T & { readonly encoding?: unknown } {
  if (options === null) return {} as T;
  if (typeof options === 'string') return { encoding: options } as unknown as T;
  if (typeof options === 'object') return options;
  throw new TypeError(`options must be an object or an encoding, not ${kindOf(options)}`);
}

/** Options of `writeFile` and `appendFile`. */
export interface WriteFileOptions extends CallOptions {
  /** How text is meant. Default: `utf8`. */
  readonly encoding?: BufferEncoding | undefined;
  /** As the mode of {@link Connection.open}. Default: `w`, and `a` for `appendFile`. */
  readonly flag?: string | undefined;
  /** The permissions of a file that is made, in the digits of chmod; the server's umask applies. */
  readonly mode?: number | string | undefined;
}

const WRITE_FILE_OPTIONS: OptionTable<WriteFileOptions> = {
  encoding: 'checked',
  flag: 'checked',
  mode: 'checked',
  ...CALL_OPTIONS,
};

/** As {@link readFileOptions}. */
export function writeFileOptions(options: BufferEncoding | WriteFileOptions | null = {}): WriteFileOptions {
  const given = asObject(options);
  checkOptions(given, WRITE_FILE_OPTIONS, { of: 'writeFile' });
  return { ...given, encoding: checkEncoding(given.encoding) };
}
