/** Content for tests: the lengths around the limits of one request, and bytes that show where they belong. */
import { Buffer } from 'node:buffer';

export const lengths = [0, 1, 32_767, 32_768, 32_769, 261_119, 261_120, 261_121, 3 * 1024 * 1024 + 7];

/** Bytes that are different at every offset, as far as bytes can be. */
export function contentOf(length: number): Buffer {
  const content = Buffer.alloc(length);
  let state = 0x9e3779b9;
  for (let index = 0; index < length; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    content[index] = state >>> 24;
  }
  return content;
}

export function* piecesOf(content: Buffer, length: number): Generator<Buffer> {
  for (let start = 0; start < content.length; start += length) yield content.subarray(start, start + length);
}
