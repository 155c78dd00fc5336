/** The many forms of the arguments of `read` and `write`, of file handles and of the callback functions alike. */
import { Buffer } from 'node:buffer';
import {
  givenBuffer,
  givenContent,
  givenEncoding,
  givenInteger,
  givenPosition,
  outOfRange,
  wrongType,
} from '../base/arguments.js';
import { argumentError } from '../base/node-error.js';

/** What Node reads into where no buffer is given. */
const DEFAULT_LENGTH = 16_384;

export interface ReadArguments {
  /** As it was given. */
  readonly buffer: NodeJS.ArrayBufferView;
  /** The part of it that is read into. */
  readonly target: Buffer;
  readonly position: number | null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
}

/** `(buffer, offset, length, position)`, `(buffer, { … })` or `({ buffer, … })`. */
export function readArguments(args: readonly unknown[]): ReadArguments {
  const [first, second, ...rest] = args;
  const isAllOptions = first === undefined || first === null || isObject(first);
  const options = isAllOptions ? (first ?? {}) : isObject(second) ? second : undefined;
  const given = isObject(options) ? options : { offset: second, length: rest[0], position: rest[1] };
  const buffer = isAllOptions ? (given.buffer ?? Buffer.alloc(DEFAULT_LENGTH)) : first;
  const bytes = givenBuffer(buffer);
  const { offset, length } = partOf(bytes, given.offset, given.length);
  if (bytes.length === 0 && length > 0) {
    const message = "The argument 'buffer' is empty and cannot be written.";
    throw argumentError(TypeError, 'ERR_INVALID_ARG_VALUE', message);
  }
  return {
    buffer: buffer as NodeJS.ArrayBufferView,
    target: bytes.subarray(offset, offset + length),
    position: givenPosition(given.position),
  };
}

export interface WriteArguments {
  /** As it was given. */
  readonly data: unknown;
  readonly bytes: Buffer;
  readonly position: number | null;
}

/** `(buffer, offset, length, position)`, `(buffer, { … })` or `(string, position, encoding)`. */
export function writeArguments(args: readonly unknown[]): WriteArguments {
  const [data, second, third, fourth] = args;
  if (typeof data === 'string') {
    const bytes = givenContent(data, givenEncoding(third, 'utf8'));
    return { data, bytes, position: givenPosition(second) };
  }
  const all = givenBuffer(data);
  const given = isObject(second) ? second : { offset: second, length: third, position: fourth };
  const { offset, length } = partOf(all, given.offset, given.length);
  return { data, bytes: all.subarray(offset, offset + length), position: givenPosition(given.position) };
}

function partOf(bytes: Buffer, givenOffset: unknown, givenLength: unknown) {
  const offset = givenInteger(givenOffset ?? 0, 'offset', 0);
  if (offset > bytes.length) throw outOfRange('offset', `>= 0 && <= ${bytes.length}`, offset);
  const most = bytes.length - offset;
  const length = givenInteger(givenLength ?? most, 'length', 0);
  if (length > most) throw outOfRange('length', `>= 0 && <= ${most}`, length);
  return { offset, length };
}

export interface Vector {
  readonly buffers: readonly Buffer[];
  readonly position: number | null;
}

/** Several buffers that are filled or written one behind the other. */
export function vectorArguments(buffers: unknown, position: unknown): Vector {
  if (!Array.isArray(buffers)) throw wrongType('buffers', 'an instance of ArrayBufferView[]', buffers);
  return {
    buffers: buffers.map((each) => givenBuffer(each, 'buffers')),
    position: typeof position === 'number' ? givenPosition(position) : null,
  };
}
