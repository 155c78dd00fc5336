import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { DEFAULT_LIMITS, limitsFrom } from '../../../src/session/limits.js';

const told = (figure: bigint) => ({
  maxPacketLength: figure,
  maxReadLength: figure,
  maxWriteLength: figure,
  maxOpenHandles: figure,
});

describe('P20: the limits that a server tells', () => {
  const rows: readonly (readonly [figure: bigint, length: number, handles: number | undefined])[] = [
    [0n, 32_768, undefined],
    [1n, 1024, 1],
    [1023n, 1024, 1023],
    [1024n, 1024, 1024],
    [1025n, 1025, 1025],
    [261_120n, 261_120, 65_536],
    [261_121n, 261_120, 65_536],
    [2n ** 53n + 1n, 261_120, 65_536],
    [2n ** 64n - 1n, 261_120, 65_536],
  ];
  for (const [figure, length, handles] of rows) {
    test(`${figure} counts as ${length} bytes and ${handles} handles`, () => {
      assert.deepEqual(limitsFrom(told(figure)), {
        maxReadLength: length,
        maxWriteLength: length,
        maxOpenHandles: handles,
      });
    });
  }

  test('are whole numbers within bounds for every figure', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), (figure) => {
        const { maxReadLength, maxWriteLength, maxOpenHandles = 1 } = limitsFrom(told(figure));
        for (const length of [maxReadLength, maxWriteLength]) {
          assert.ok(Number.isInteger(length) && length >= 1024 && length <= 261_120);
        }
        assert.ok(Number.isInteger(maxOpenHandles) && maxOpenHandles >= 1);
      }),
    );
  });

  test('are taken each by itself', () => {
    const mixed = { maxPacketLength: 0n, maxReadLength: 65_536n, maxWriteLength: 0n, maxOpenHandles: 5n };
    assert.deepEqual(limitsFrom(mixed), {
      maxReadLength: 65_536,
      maxWriteLength: DEFAULT_LIMITS.maxWriteLength,
      maxOpenHandles: 5,
    });
  });
});
