import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { stModeToInt } from '../../src/index.js';
import { parseMode } from '../../src/modes.js';

describe('a mode', () => {
  test('is written as on the command line of chmod', () => {
    assert.equal(parseMode(644), 0o644);
    assert.equal(parseMode('644'), 0o644);
    assert.equal(parseMode('0644'), 0o644);
    assert.equal(parseMode(7), 0o007);
    assert.equal(parseMode(4755), 0o4755);
    assert.equal(parseMode('400'), 0o400);
    assert.equal(parseMode('420'), 0o420);
  });

  for (const mode of [0o644, 0o777, 0o640, 0o664, 0o400]) {
    test(`0o${mode.toString(8)} is recognised and refused with advice`, () => {
      const octal = mode.toString(8);
      assert.throws(() => parseMode(mode), new RangeError(`mode ${mode} is 0o${octal}: write ${octal}`));
    });
  }

  test('with a digit 8 or 9 is refused with advice', () => {
    assert.throws(
      () => parseMode(0o755),
      new RangeError('mode 493 is not written in octal digits: 0o755 is 493; write 755'),
    );
    assert.throws(() => parseMode(888), RangeError);
  });

  for (const mode of [-1, 1.5, NaN, Infinity, 77777, '', 'rwx', '0o644', '-644', ' 644']) {
    test(`${JSON.stringify(mode)} is refused (${mode})`, () => {
      assert.throws(() => parseMode(mode), RangeError);
    });
  }

  test('of another type is a TypeError', () => {
    assert.throws(() => parseMode(null as unknown as number), TypeError);
    assert.throws(() => parseMode(644n as unknown as number), TypeError);
  });
});

describe('stModeToInt', () => {
  test('cuts off the type and shows the digits that one reads', () => {
    assert.equal(stModeToInt(33188), 644);
    assert.equal(stModeToInt(0o040755), 755);
    assert.equal(stModeToInt(0o007), 7);
    assert.equal(stModeToInt(0), 0);
    assert.equal(stModeToInt(0o100000 | 0o4755), 4755);
  });

  test('is the inverse of parseMode', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0o7777 }), (mode) => {
        assert.equal(parseMode(String(stModeToInt(mode))), mode);
      }),
    );
  });

  test('refuses what is no mode', () => {
    assert.throws(() => stModeToInt('33188' as unknown as number), TypeError);
    assert.throws(() => stModeToInt(-1), RangeError);
    assert.throws(() => stModeToInt(0.5), RangeError);
  });
});
