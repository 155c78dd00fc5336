import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { stModeToInt } from '../../../src/index.js';
import { parseMode } from '../../../src/shared/modes.js';

describe('parseMode', () => {
  const cases: readonly (readonly [number | string, number])[] = [
    [644, 0o644],
    [777, 0o777],
    [600, 0o600],
    [4755, 0o4755],
    [1777, 0o1777],
    [7777, 0o7777],
    [0o755, 0o755],
    [0o770, 0o770],
    [0o660, 0o660],
    [0o555, 0o555],
    [0o1777, 0o1777],
    ['644', 0o644],
    ['0644', 0o644],
    ['04755', 0o4755],
    ['0', 0],
    ['420', 0o420],
    ['511', 0o511],
    ['077', 0o77],
  ];
  for (const [mode, expected] of cases) {
    test(`${typeof mode} ${mode} is 0o${expected.toString(8)}`, () => {
      assert.equal(parseMode(mode), expected);
    });
  }

  test('modes in use mean the same by their digits and by their value', () => {
    const digits =
      '400 440 444 500 544 550 555 600 640 644 660 664 666 700 710 711 740 744 750 751 754 755 764 770 771 774 775 776 777 1777 2755 2770 2775 4711 4750 4755 4775';
    for (const each of digits.split(' ')) {
      const bits = Number.parseInt(each, 8);
      for (const number of [Number(each), bits]) {
        // They are modes in both ways: 400 and 0o620, 500 and 0o764, 510 and 0o776, 511 and 0o777.
        if ([400, 500, 510, 511].includes(number)) assert.throws(() => parseMode(number), RangeError);
        else assert.equal(parseMode(number), bits, `${each} as ${number}`);
      }
    }
  });

  test('no number is taken for a mode that it is neither by its digits nor by its value', () => {
    const isSensible = (bits: number) => {
      const text = bits.toString(8).padStart(3, '0').slice(-3);
      const [owner = 0, group = 0, others = 0] = [...text].map(Number);
      return owner >= 4 && (owner | group) === owner && (group | others) === group;
    };
    for (let number = 0; number <= 7777; number += 1) {
      const readings = new Set<number>();
      if (/^[0-7]+$/.test(`${number}`)) readings.add(Number.parseInt(`${number}`, 8));
      if (number <= 0o7777) readings.add(number);
      const sensible = [...readings].filter(isSensible);
      if (sensible.length === 1) assert.equal(parseMode(number), sensible[0], `${number}`);
      else assert.throws(() => parseMode(number), RangeError, `${number}`);
    }
  });

  test('a number that is a mode in both ways or in neither is refused, with both spellings', () => {
    const messages: readonly (readonly [number, string])[] = [
      [511, "mode 511 could mean 511 or 0o777: write it as a string, '511' or '777'"],
      [400, "mode 400 could mean 400 or 0o620: write it as a string, '400' or '620'"],
      [0, "mode 0 (0o0) is an unusual mode: if you mean it, write it as a string: '0'"],
      [0o200, "mode 128 (0o200) is an unusual mode: if you mean it, write it as a string: '200'"],
      [9999, "mode 9999 is not a mode: write for instance 644, 0o644 or '644'"],
    ];
    for (const [mode, message] of messages) {
      assert.throws(() => parseMode(mode), { name: 'RangeError', message });
    }
    assert.throws(() => parseMode('0o755'), {
      name: 'RangeError',
      message: /write for instance '644' or '755'/,
    });
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
