/** The lines of a stream of bytes. */
import { Buffer } from 'node:buffer';
import { SftpError } from '../../errors.js';
import { checkCount, checkEncoding } from '../../shared/arguments.js';
import {
  CALL_OPTIONS,
  type CallOptions,
  checkOptions,
  type OptionTable,
} from '../../shared/option-checks.js';

/** Options of {@link RemoteFile.lines}. */
export interface LinesOptions extends CallOptions {
  /** Default: `utf8`. Only encodings in which a line ends with the byte 10: not `utf16le`. */
  readonly encoding?: BufferEncoding | undefined;
  /** The most bytes in one line; a longer one is an error (`LIMIT`). Default: 16 MiB. */
  readonly maxLength?: number | undefined;
}

const LINES_OPTIONS: OptionTable<LinesOptions> = {
  encoding: 'checked',
  maxLength: 'checked',
  ...CALL_OPTIONS,
};

/** A line and how many bytes it took, its end included. */
export interface TextLine {
  readonly text: string;
  readonly byteLength: number;
}

const MAX_LENGTH = 16 * 1024 * 1024;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const ENCODINGS: ReadonlySet<string> = new Set(['utf8', 'utf-8', 'latin1', 'binary', 'ascii']);

/** @throws TypeError | RangeError if they are invalid */
export function checkLinesOptions(options: LinesOptions): { encoding: BufferEncoding; maxLength: number } {
  checkOptions(options, LINES_OPTIONS, { of: 'lines' });
  const encoding = checkEncoding(options.encoding) ?? 'utf8';
  if (!ENCODINGS.has(encoding.toLowerCase())) {
    throw new TypeError(`encoding '${encoding}' has no lines of bytes: use 'utf8' or 'latin1'`);
  }
  return { encoding, maxLength: checkCount('maxLength', options.maxLength ?? MAX_LENGTH) };
}

/** Lines end with `\n` or `\r\n`, which they are given without; what follows the last end is a line unless empty. */
export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  path: string,
  { encoding, maxLength }: { readonly encoding: BufferEncoding; readonly maxLength: number },
): AsyncGenerator<TextLine> {
  let begun: Buffer[] = [];
  let length = 0;
  const check = (more: number) => {
    length += more;
    if (length > maxLength)
      throw new SftpError('LIMIT', `${path} has a line of more than ${maxLength} bytes`);
  };
  const take = (end: number): TextLine => {
    const bytes = Buffer.concat(begun);
    begun = [];
    length = 0;
    const cut = end > 0 && bytes.at(-1) === CARRIAGE_RETURN ? 1 : 0;
    return { text: bytes.toString(encoding, 0, bytes.length - cut), byteLength: bytes.length + end };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      check(at - start);
      begun.push(chunk.subarray(start, at));
      yield take(1);
      start = at + 1;
    }
    if (start === chunk.length) continue;
    check(chunk.length - start);
    begun.push(chunk.subarray(start));
  }
  if (length > 0) yield take(0);
}
