import type { Buffer } from 'node:buffer';
import { byteLength } from '../../wire/bytes.js';
import type { ReadOptions, SourceFile } from '../file-system.js';

/**
 * All bytes of a range, or those up to the end of the file: short reads are legal, and what is missing is asked for
 * again. At the size that the file tells it is only asked whether it has grown where no answer has come so far; a size
 * of 0 says nothing.
 */
export async function readFully(
  file: Pick<SourceFile, 'info' | 'read'>,
  { offset, length }: { readonly offset: number; readonly length: number },
  options: ReadOptions,
): Promise<readonly Buffer[]> {
  const first = await file.read(offset, length, options);
  if (first === null) return [];
  let count = byteLength(first);
  if (count === length) return first;
  const pieces = [...first];
  const end = file.info.size === 0 ? undefined : file.info.size;
  while (count < length && offset + count !== end) {
    const more = await file.read(offset + count, length - count, options);
    if (more === null) break;
    for (const piece of more) pieces.push(piece);
    count += byteLength(more);
  }
  return pieces;
}
