import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { textBytes } from '../../../src/session/directory-reader.js';

test('what names take as text is counted by what they are', () => {
  const names: readonly (readonly [name: Buffer, bytes: number])[] = [
    [Buffer.from('report.csv'), 24 + 10],
    [Buffer.from('größe'), 24 + 2 * 5],
    [Buffer.from('\u{1F600}'), 24 + 2 * 2],
    // With less, a listing of such names took more than 256 MiB before its limit.
    [Buffer.alloc(64, 0xff), 2 * 24 + 4 * 64],
  ];
  for (const [name, bytes] of names) assert.equal(textBytes(name), bytes, name.toString());
});
