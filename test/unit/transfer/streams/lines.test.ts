import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { SftpError } from '../../../../src/errors.js';
import { checkLinesOptions, splitLines } from '../../../../src/transfer/streams/lines.js';

async function* cut(bytes: Buffer, length: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += length) yield bytes.subarray(start, start + length);
}

async function linesOf(bytes: Buffer, chunkLength: number, options = {}): Promise<string[]> {
  const lines: string[] = [];
  let length = 0;
  for await (const line of splitLines(cut(bytes, chunkLength), "'/f'", checkLinesOptions(options))) {
    lines.push(line.text);
    length += line.byteLength;
  }
  assert.equal(length, bytes.length);
  return lines;
}

describe('Lines', () => {
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    ['an empty file has none', '', []],
    ['one end is one empty line', '\n', ['']],
    ['a last line needs no end', 'a\nb', ['a', 'b']],
    ['an end at the end adds none', 'a\nb\n', ['a', 'b']],
    ['both ends may be mixed', 'a\r\nb\nc\r\n', ['a', 'b', 'c']],
    ['empty lines are kept', '\n\r\n\n', ['', '', '']],
    ['a lone carriage return belongs to its line', 'a\rb\nc\r', ['a\rb', 'c\r']],
    ['characters of several bytes stay whole', 'é€😀\n😀', ['é€😀', '😀']],
  ];
  for (const [what, text, expected] of cases) {
    test(`${what}, however the chunks are cut`, async () => {
      for (const length of [1, 2, 3, 5, 1000]) {
        assert.deepEqual(await linesOf(Buffer.from(text), length), expected);
      }
    });
  }

  test('whatever is joined with line feeds comes back', async () => {
    const line = fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n]/g, ''));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 20 }), async (lines, length) => {
        const text = lines.map((each) => `${each}\n`).join('');
        assert.deepEqual(await linesOf(Buffer.from(text), length), lines);
      }),
    );
  });

  test('latin1 is an encoding of lines too', async () => {
    assert.deepEqual(await linesOf(Buffer.from('é\nü', 'latin1'), 1, { encoding: 'latin1' }), ['é', 'ü']);
  });

  test('a line may have maxLength bytes and not one more, with or without an end', async () => {
    assert.deepEqual(await linesOf(Buffer.from('1234\n1234'), 3, { maxLength: 4 }), ['1234', '1234']);
    for (const text of ['12345\n', '1\n12345']) {
      for (const length of [1, 3, 100]) {
        await assert.rejects(
          linesOf(Buffer.from(text), length, { maxLength: 4 }),
          new SftpError('LIMIT', "'/f' has a line of more than 4 bytes"),
        );
      }
    }
  });

  test('options that cannot be meant are refused', () => {
    const utf16 = new TypeError("encoding 'utf16le' has no lines of bytes: use 'utf8' or 'latin1'");
    assert.throws(() => checkLinesOptions({ encoding: 'utf16le' }), utf16);
    assert.throws(() => checkLinesOptions({ encoding: 'klingon' as never }), TypeError);
    assert.throws(() => checkLinesOptions({ maxLength: -1 }), RangeError);
    assert.throws(() => checkLinesOptions({ maxLength: '1' as never }), TypeError);
  });
});
