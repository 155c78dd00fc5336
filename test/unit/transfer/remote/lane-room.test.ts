import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LaneRoom } from '../../../../src/transfer/remote/lane-room.js';

const KIB = 1024;

/** What a connection with a round trip of 50 ms may have on its way after requests of 32 KiB that took so long each. */
function limitAfter(...elapsedMs: readonly number[]): number {
  const room = new LaneRoom(() => 50);
  for (const ms of elapsedMs) room.note(32 * KIB, ms, room.limit);
  return room.limit / KIB;
}

describe('What one of several connections may have on its way', () => {
  test('is 128 KiB at first', () => assert.equal(limitAfter(), 128));

  test('grows by each request that is answered within two round trips and 100 ms', () => {
    assert.equal(limitAfter(50, 120, 200), 224);
  });

  test('does not grow beyond twice what is on its way', () => {
    const room = new LaneRoom(() => 50);
    room.note(32 * KIB, 50, 64 * KIB);
    assert.equal(room.limit, 128 * KIB);
    for (let answered = 0; answered < 10; answered += 1) room.note(32 * KIB, 50, 100 * KIB);
    assert.equal(room.limit, 200 * KIB);
  });

  test('stays as it is by a request that takes up to 300 ms longer than two round trips', () => {
    assert.equal(limitAfter(201, 300, 400), 128);
  });

  test('shrinks by each request that takes longer, to 64 KiB at least', () => {
    assert.equal(limitAfter(50, 50, 401), 160);
    assert.equal(limitAfter(401, 500, 1000, 10_000), 64);
  });
});
