/** Options of reading and writing whole files. */
import { constants } from 'node:buffer';
import { checkEncoding, kindOf } from '../arguments.js';

/** Options of `readFile`. */
export interface ReadFileOptions {
  /** Gives text in place of bytes. */
  readonly encoding?: BufferEncoding | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What fits into one buffer, and at most 2 GiB. */
export const MAX_CONTENT_LENGTH = Math.min(constants.MAX_LENGTH, 2 ** 31 - 1);

/** @throws TypeError where they are neither an encoding nor an object, or the encoding is unknown */
export function readFileOptions(options: BufferEncoding | ReadFileOptions | null = {}): ReadFileOptions {
  const given = asObject(options);
  return { ...given, encoding: checkEncoding(given.encoding) };
}

/** Node's habit: a string in place of the options is the encoding. */
function asObject<T extends object>(options: string | T | null): T & { readonly encoding?: unknown } {
  if (options === null) return {} as T;
  if (typeof options === 'string') return { encoding: options } as unknown as T;
  if (typeof options === 'object') return options;
  throw new TypeError(`options must be an object or an encoding, not ${kindOf(options)}`);
}

/** Options of `writeFile` and `appendFile`. */
export interface WriteFileOptions {
  /** How text is meant. Default: `utf8`. */
  readonly encoding?: BufferEncoding | undefined;
  /** As the mode of {@link Connection.open}. Default: `w`, and `a` for `appendFile`. */
  readonly flag?: string | undefined;
  /** The permissions of a file that is made, in the digits of chmod; the server's umask applies. */
  readonly mode?: number | string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** As {@link readFileOptions}. */
export function writeFileOptions(options: BufferEncoding | WriteFileOptions | null = {}): WriteFileOptions {
  const given = asObject(options);
  return { ...given, encoding: checkEncoding(given.encoding) };
}
