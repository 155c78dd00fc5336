import { Buffer } from 'node:buffer';

/** Compares texts by code point; JavaScript's own order puts what is beyond U+FFFF before U+E000. */
export function byCodePoint(left: string, right: string): number {
  // UTF-8 sorts by code point where its bytes are compared.
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}
