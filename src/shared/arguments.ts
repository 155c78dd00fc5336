/** What callers pass, checked before anything is sent. */
import { Buffer } from 'node:buffer';

/** What a value is, for a message: `null`, `string`, `Map` … */
export function kindOf(value: unknown): string {
  if (value === null) return 'null';
  // An object without a prototype has no constructor either.
  return typeof value === 'object' ? (value.constructor?.name ?? 'object') : typeof value;
}

/**
 * A number of bytes, or a position in a file.
 *
 * @throws TypeError for another type; RangeError for a fraction, a negative number, or one above `max`.
 */
export function checkCount(name: string, value: unknown, max = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${kindOf(value)}`);
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${name} must be an integer between 0 and ${max}, not ${value}`);
  }
  return value;
}

/** A number that fits the wire's 32 bits. Throws as {@link checkCount}. */
export function checkUint32(name: string, value: unknown): number {
  return checkCount(name, value, 0xffff_ffff);
}

/** @throws TypeError where the value is none of the choices. */
export function checkChoice<T extends string>(value: unknown, choices: readonly T[], name: string): T {
  const choice = choices.find((one) => one === value);
  if (choice === undefined) {
    const shown = typeof value === 'string' ? `'${value.slice(0, 100)}'` : kindOf(value);
    throw new TypeError(`${name} must be ${choices.map((one) => `'${one}'`).join(' or ')}, not ${shown}`);
  }
  return choice;
}

/** @throws TypeError where Node does not know the encoding. */
export function checkEncoding(encoding: unknown): BufferEncoding | undefined {
  if (encoding === undefined || encoding === null) return undefined;
  if (typeof encoding === 'string' && Buffer.isEncoding(encoding)) return encoding;
  const shown = typeof encoding === 'string' ? `'${encoding}'` : kindOf(encoding);
  throw new TypeError(`encoding ${shown} is unknown: use for instance 'utf8', or leave it out for bytes`);
}

/** @throws TypeError where it is given and no function. */
export function checkCallback(callback: unknown): void {
  if (callback !== undefined && typeof callback !== 'function') {
    throw new TypeError(`callback must be a function, not ${kindOf(callback)}`);
  }
}

/** Content as text or bytes. */
export type Content = string | ArrayBufferView | ArrayBuffer;

/** Whether a value is text or bytes, and not something that gives them bit by bit. */
export function isContent(value: unknown): value is Content {
  return typeof value === 'string' || ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
}

/**
 * The bytes of content, without copying them.
 *
 * @throws TypeError where it is neither text nor bytes, or text that UTF-8 cannot carry.
 */
export function contentBytes(content: Content, name: string, encoding: BufferEncoding = 'utf8'): Buffer {
  if (typeof content === 'string') {
    if (/^utf-?8$/i.test(encoding) && !content.isWellFormed()) {
      throw new TypeError(`${name} has a lone surrogate, which UTF-8 cannot carry; pass bytes`);
    }
    return Buffer.from(content, encoding);
  }
  if (ArrayBuffer.isView(content)) {
    return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  }
  if (content instanceof ArrayBuffer) return Buffer.from(content);
  throw new TypeError(`${name} must be a string or bytes, not ${kindOf(content)}`);
}
