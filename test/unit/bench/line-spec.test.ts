import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { linesOf, NAMED_LINES, parseLine } from '../../../bench/line/line-spec.js';

describe('A line of the benchmark', () => {
  test('is written as rate, round trip, loss and queue, in any order', () => {
    const { name, mebibytes, ...figures } = parseLine('512k 0.1% 100mbit 50ms');
    assert.deepEqual(figures, { mbitPerSecond: 100, roundTripMs: 50, lossPercent: 0.1, queueKib: 512 });
    assert.deepEqual([name, mebibytes], ['512k 0.1% 100mbit 50ms', 30]);
    assert.equal(parseLine('1.5gbit 2m').mbitPerSecond, 1500);
    assert.equal(parseLine('1.5gbit 2m').queueKib, 2048);
  });

  test('is one of those that have a name, or all of them', () => {
    const names = ['office', 'dsl', 'ocean', 'slow', 'bloat', 'lossy', 'bad', 'wild'];
    assert.deepEqual(
      NAMED_LINES.map(({ name }) => name),
      names,
    );
    assert.deepEqual(linesOf('all'), NAMED_LINES);
    assert.deepEqual(
      linesOf('bad').map(({ lossPercent }) => lossPercent),
      [1],
    );
  });

  test('is nothing else', () => assert.throws(() => linesOf('fast'), /'fast' is no part of a line/));
});
