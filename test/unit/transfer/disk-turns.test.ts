import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DiskTurns } from '../../../src/transfer/disk-turns.js';

interface Call {
  readonly requests: readonly string[];
  readonly offset: number;
  readonly finish: (counts: readonly number[]) => void;
  readonly fail: (reason: Error) => void;
}

/** A disk that waits to be told what comes of each call. */
function disk() {
  const calls: Call[] = [];
  const turns = new DiskTurns<string>(
    (requests, offset) =>
      new Promise((finish, fail) => {
        calls.push({ requests, offset, finish, fail });
      }),
  );
  return { calls, turns };
}

const MIB = 1024 * 1024;

describe('the turns of a disk', () => {
  test('the first goes at once, and what follows on it meanwhile goes together', async () => {
    const { calls, turns } = disk();
    const results = [turns.add(0, 10, 'a'), turns.add(10, 20, 'b'), turns.add(30, 5, 'c')];
    assert.deepEqual(calls[0]?.requests, ['a']);
    assert.equal(calls.length, 1);
    calls[0]?.finish([10]);
    assert.equal(await results[0], 10);
    assert.deepEqual([calls[1]?.requests, calls[1]?.offset], [['b', 'c'], 10]);
    calls[1]?.finish([20, 3]);
    assert.deepEqual(await Promise.all(results), [10, 20, 3]);
  });

  test('a gap begins another call', async () => {
    const { calls, turns } = disk();
    const results = [turns.add(0, 1, 'a'), turns.add(1, 1, 'b'), turns.add(5, 1, 'c'), turns.add(4, 1, 'd')];
    for (const expected of [['a'], ['b'], ['c'], ['d']]) {
      assert.deepEqual(calls.at(-1)?.requests, expected);
      calls.at(-1)?.finish([1]);
      await results[calls.length - 1];
    }
    assert.equal(calls.length, 4);
  });

  test('a call is no more than two mebibytes, but for one request that is', async () => {
    const { calls, turns } = disk();
    const results = [
      turns.add(0, 1, 'a'),
      turns.add(1, 3 * MIB, 'large'),
      turns.add(1 + 3 * MIB, MIB, 'b'),
      turns.add(1 + 4 * MIB, MIB, 'c'),
      turns.add(1 + 5 * MIB, MIB, 'd'),
    ];
    for (const expected of [['a'], ['large'], ['b', 'c'], ['d']]) {
      assert.deepEqual(calls.at(-1)?.requests, expected);
      calls.at(-1)?.finish(expected.map(() => 1));
      await new Promise(setImmediate);
    }
    assert.deepEqual(await Promise.all(results), [1, 1, 1, 1, 1]);
  });

  test('a failure is that of the requests of its call, and the next goes on', async () => {
    const { calls, turns } = disk();
    const first = turns.add(0, 1, 'a');
    const second = turns.add(1, 1, 'b');
    calls[0]?.fail(new Error('full'));
    await assert.rejects(first, /full/);
    calls[1]?.finish([1]);
    assert.equal(await second, 1);
  });
});
