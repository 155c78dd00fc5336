import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { printable } from '../../../src/shared/printable.js';

const code = (...points: number[]) => String.fromCodePoint(...points);

describe('printable', () => {
  test('leaves text of every script as it is', () => {
    for (const text of [
      '',
      'report.txt',
      'größe',
      '日本語',
      'עברית',
      '📁 photos',
      'it\'s "quoted"',
      'a\\b',
    ]) {
      assert.equal(printable(text), text);
    }
  });

  test('names line ends and tabs by their letters', () => {
    assert.equal(printable('a\nb\rc\td'), 'a\\nb\\rc\\td');
  });

  test('escapes every other control character of C0 and C1, and DEL', () => {
    const controls = [...Array(0x20).keys(), ...Array.from({ length: 0x21 }, (_, index) => 0x7f + index)];
    for (const point of controls.filter((value) => ![0x09, 0x0a, 0x0d].includes(value))) {
      assert.equal(printable(code(point)), `\\x${point.toString(16).padStart(2, '0')}`);
    }
    assert.equal(printable(code(0x20, 0x7e, 0xa0)), code(0x20, 0x7e, 0xa0));
  });

  test('takes the power out of an escape sequence', () => {
    assert.equal(printable('\x1b[2Jgone'), '\\x1b[2Jgone');
    assert.equal(printable('\x1b]0;title\x07'), '\\x1b]0;title\\x07');
    assert.equal(printable('\u009b31m'), '\\x9b31m');
  });

  test('shows direction marks, invisible marks and line separators', () => {
    const marks = [0x200b, 0x200e, 0x200f, 0x2028, 0x2029, 0x202a, 0x202e, 0x2060, 0x2066, 0x2069, 0xfeff];
    for (const point of marks) assert.equal(printable(code(point)), `\\u${point.toString(16)}`);
    assert.equal(printable('\u061c'), '\\u061c');
    assert.equal(printable('\u00ad'), '\\xad');
    assert.equal(printable(code(0xe0041)), '\\u{e0041}');
    assert.equal(printable('invoice\u202egpj.exe'), 'invoice\\u202egpj.exe');
  });

  test('shows lone surrogates and leaves pairs', () => {
    assert.equal(printable('\ud83d'), '\\ud83d');
    assert.equal(printable('\ude00\ud83d'), '\\ude00\\ud83d');
    assert.equal(printable('\ud83d\ude00'), '😀');
  });

  test('shows a text of exactly the maximum whole, and cuts a longer one', () => {
    assert.equal(printable('12345', 5), '12345');
    assert.equal(printable('123456', 5), '12345… (1 more characters)');
    assert.equal(printable('x'.repeat(2000)), `${'x'.repeat(960)}… (1040 more characters)`);
  });

  test('counts the escapes when it cuts, and cuts neither them nor a pair of surrogates', () => {
    assert.equal(printable('\x1b\x1b\x1b', 9), '\\x1b\\x1b… (1 more characters)');
    assert.equal(printable('a😀b', 2), 'a… (3 more characters)');
  });

  test('P18: makes less than 1 KiB of 200 KB of escapes', () => {
    const shown = printable('\x1b[31m'.repeat(40_000));
    assert.ok(Buffer.byteLength(shown) < 1024);
    assert.ok(!shown.includes('\x1b'));
  });

  test('never lets an unsafe character through, and never shows more than it may', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          fc.string({ unit: fc.nat(0xffff).map((n) => String.fromCharCode(n)) }),
        ),
        fc.integer({ min: 0, max: 40 }),
        (text, maxLength) => {
          const shown = printable(text, maxLength);
          assert.doesNotMatch(shown, /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
          assert.ok(shown.replace(/… \(\d+ more characters\)$/, '').length <= maxLength);
        },
      ),
    );
  });
});
