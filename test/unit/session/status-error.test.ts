import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { failure, refusalOf, unlessRefused } from '../../../src/session/status-error.js';

const refusal = failure('EACCES', 'stat', Buffer.from('/a'), 'permission denied');
const lost = new Error('The connection was lost');

describe('A request that the server may refuse', () => {
  test('gives its result, the fallback where it is refused, and rejects with every other failure', async () => {
    assert.equal(await unlessRefused(Promise.resolve(1)), 1);
    assert.equal(await unlessRefused(Promise.reject(refusal), 'fallback'), 'fallback');
    await assert.rejects(unlessRefused(Promise.reject(lost)), lost);
  });

  test('gives its refusal, nothing where it is granted, and rejects with every other failure', async () => {
    assert.equal(await refusalOf(Promise.resolve(1)), undefined);
    assert.equal(await refusalOf(Promise.reject(refusal)), refusal);
    await assert.rejects(refusalOf(Promise.reject(lost)), lost);
  });
});
