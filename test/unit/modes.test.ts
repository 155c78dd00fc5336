import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { stModeToInt } from '../../src/index.js';
import { parseMode } from '../../src/modes.js';

describe('parseMode', () => {
  const cases: readonly (readonly [number | string, number])[] = [
    [644, 0o644],
    [777, 0o777],
    [600, 0o600],
    [0, 0],
    [7, 0o7],
    [4755, 0o4755],
    [7777, 0o7777],
    ['644', 0o644],
    ['0644', 0o644],
    ['04755', 0o4755],
    ['0', 0],
    ['420', 0o420],
    ['511', 0o511],
  ];
  for (const [mode, expected] of cases) {
    test(`${typeof mode} ${mode} is 0o${expected.toString(8)}`, () => {
      assert.equal(parseMode(mode), expected);
    });
  }

  const lookalikes = { 420: '644', 511: '777', 416: '640', 436: '664', 256: '400' };
  for (const [number, digits] of Object.entries(lookalikes)) {
    test(`the number ${number} is refused as 0o${digits}, with advice`, () => {
      assert.throws(() => parseMode(Number(number)), {
        name: 'RangeError',
        message: `mode ${number} is 0o${digits}: write ${digits}`,
      });
    });
  }

  test('a digit 8 or 9 is explained', () => {
    assert.throws(() => parseMode(0o755), {
      name: 'RangeError',
      message: 'mode 493 is not written in octal digits: 0o755 is 493; write 755',
    });
    assert.throws(() => parseMode('0o755'), { name: 'RangeError', message: /write for instance 644 or 755/ });
  });

  const wrong: readonly (number | string)[] = [
    -1,
    1.5,
    Number.NaN,
    10000,
    77777,
    '',
    '8',
    ' 644',
    'rwx',
    '100644',
  ];
  for (const mode of wrong) {
    test(`${JSON.stringify(mode)} is refused`, () => {
      assert.throws(() => parseMode(mode), RangeError);
    });
  }

  test('another type is a TypeError', () => {
    for (const mode of [undefined, null, {}, 644n, true]) {
      assert.throws(() => parseMode(mode as unknown as number), TypeError);
    }
  });

  test('every mode comes back from stModeToInt as it was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0o7777 }), (bits) => {
        assert.equal(parseMode(String(stModeToInt(bits))), bits);
      }),
    );
  });
});

describe('stModeToInt', () => {
  test('cuts the type off and shows the digits that one reads', () => {
    assert.equal(stModeToInt(33188), 644);
    assert.equal(stModeToInt(0o040755), 755);
    assert.equal(stModeToInt(0o104755), 4755);
  });

  test('modes below 0o100 work', () => {
    assert.equal(stModeToInt(0o100000), 0);
    assert.equal(stModeToInt(0o100004), 4);
    assert.equal(stModeToInt(0o100044), 44);
  });
});
