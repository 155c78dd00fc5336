/** Whole contents: what `readFile`, `writeFile` and `appendFile` do with an open file. */
import { Buffer } from 'node:buffer';
import {
  type Encoding,
  encoded,
  givenContent,
  givenEncoding,
  givenMode,
  givenOptions,
  givenSignal,
  wrongType,
} from '../base/arguments.js';
import { type OpenFlags, parseFlags } from './flags.js';
import type { OpenedFile } from './opened-file.js';
import { DEFAULT_MODE } from './opening.js';

export interface ReadSettings {
  readonly flags: OpenFlags;
  readonly encoding: Encoding;
  readonly signal: AbortSignal | undefined;
}

export function readSettings(options: unknown): ReadSettings {
  const { encoding, flag, signal } = givenOptions(options);
  return {
    flags: parseFlags(flag, 'r', 'options.flag'),
    encoding: givenEncoding(encoding, undefined),
    signal: givenSignal(signal),
  };
}

export interface WriteSettings extends ReadSettings {
  readonly mode: number;
  /** Whether the content has to be on the disk. */
  readonly flush: boolean;
}

export function writeSettings(options: unknown, flag: string): WriteSettings {
  const given = givenOptions(options);
  return {
    flags: parseFlags(given.flag, flag, 'options.flag'),
    encoding: givenEncoding(given.encoding, 'utf8'),
    signal: givenSignal(given.signal),
    mode: givenMode(given.mode, 'mode', DEFAULT_MODE),
    flush: given.flush === true,
  };
}

export async function readAll(
  file: OpenedFile,
  { encoding, signal }: ReadSettings,
): Promise<string | Buffer> {
  return encoded(await file.readRest(signal), encoding);
}

/** What can be written in one piece, or piece by piece. */
export type GivenContent = Buffer | AsyncIterable<unknown> | Iterable<unknown>;

/** @throws TypeError as node:fs does */
export function wholeContent(data: unknown, { encoding }: WriteSettings): GivenContent {
  if (typeof data === 'string' || ArrayBuffer.isView(data)) return givenContent(data, encoding);
  if (isIterable(data)) return data;
  throw wrongType('data', 'of type string or an instance of Buffer, TypedArray, DataView, or Stream', data);
}

function isIterable(data: unknown): data is AsyncIterable<unknown> | Iterable<unknown> {
  return (
    typeof data === 'object' && data !== null && (Symbol.asyncIterator in data || Symbol.iterator in data)
  );
}

export async function writeAll(
  file: OpenedFile,
  content: GivenContent,
  { encoding, signal, flush }: WriteSettings,
): Promise<void> {
  if (Buffer.isBuffer(content)) await file.write([content], null, signal);
  else {
    for await (const piece of content) {
      signal?.throwIfAborted();
      await file.write([givenContent(piece, encoding)], null, signal);
    }
  }
  if (flush) await file.sync();
}
