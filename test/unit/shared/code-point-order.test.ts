import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { byCodePoint } from '../../../src/shared/code-point-order.js';

describe('byCodePoint', () => {
  test('puts what is beyond U+FFFF behind all else', () => {
    const texts = ['\u{1f600}', '\ufffd', 'b', '', 'a\u{10000}', 'a\uffff', 'a', '\ue000'];
    assert.deepEqual(texts.sort(byCodePoint), [
      ...['', 'a', 'a\uffff', 'a\u{10000}', 'b'],
      ...['\ue000', '\ufffd', '\u{1f600}'],
    ]);
  });

  test('is the order of the bytes of UTF-8', () => {
    // Few different characters, so that many pairs share a beginning.
    const unit = fc.constantFrom('a', 'b', '\u00e9', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}');
    const text = fc.oneof(fc.string({ unit }), fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(text, text, (left, right) => {
        assert.equal(
          Math.sign(byCodePoint(left, right)),
          Buffer.compare(Buffer.from(left), Buffer.from(right)),
        );
      }),
    );
  });
});
