import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { requestLength } from '../../../../src/transfer/engine/request-length.js';

const KIB = 1024;

describe('requestLength', () => {
  test('a request is what the network carries in 50 ms, in steps of 32 KiB, and no more than the server takes', () => {
    const rates = [0, 1, 64 * KIB, 0.1 * KIB, 2.6 * KIB];
    const lengths = rates.map((rate) => requestLength({ rate, isRateKnown: true }, 255 * KIB) / KIB);
    assert.deepEqual(lengths, [32, 32, 255, 32, 128]);
  });

  test('a server that takes less in one request gets less', () => {
    assert.equal(requestLength({ rate: 0, isRateKnown: true }, 1000), 1000);
  });

  test('before the rate is known a request is as long as the server takes', () => {
    assert.equal(requestLength({ rate: 1, isRateKnown: false }, 255 * KIB), 255 * KIB);
  });
});
