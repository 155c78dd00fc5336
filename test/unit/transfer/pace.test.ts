import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Pace } from '../../../src/transfer/pace.js';

/** A line that brings `unitsPerMs(limit)` units in a millisecond, and somebody who always wants more. */
function runTurns(pace: Pace, clock: { time: number }, turns: number, unitsPerMs: (limit: number) => number) {
  const limits: number[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    const { limit } = pace;
    clock.time += limit / unitsPerMs(limit);
    pace.noteFull(limit);
    pace.count(limit);
    limits.push(pace.limit);
  }
  return limits;
}

function makePace(initial: number, max: number, modest = initial) {
  const clock = { time: 0 };
  return { clock, pace: new Pace({ initial, max, modest, now: () => clock.time }) };
}

describe('Pace', () => {
  test('tells the rate of the last full turn, once there was one', () => {
    let nowMs = 0;
    const pace = new Pace({ initial: 100, max: 100, now: () => nowMs });
    pace.start();
    pace.count(60);
    assert.equal(pace.rate, 0);
    nowMs = 20;
    pace.count(40);
    assert.equal(pace.rate, 5);
    nowMs = 220;
    pace.count(100);
    assert.equal(pace.rate, 0.5);
  });

  test('doubles up to the maximum as long as more brings more, as on a long line', () => {
    const { pace, clock } = makePace(1, 32);
    const limits = runTurns(pace, clock, 7, (limit) => limit / 50);
    assert.deepEqual(limits, [2, 4, 8, 16, 32, 32, 32]);
  });

  test('steps back to what was enough where more brings nothing, and rests there', () => {
    const { pace, clock } = makePace(1, 1024);
    const limits = runTurns(pace, clock, 12, (limit) => Math.min(limit, 8));
    assert.deepEqual(limits, [2, 4, 8, 16, 32, 8, 8, 8, 8, 8, 8, 8]);
  });

  test('opens to what is modest after one turn, and asks from there on what more brings', () => {
    const { pace, clock } = makePace(1, 1024, 24);
    const limits = runTurns(pace, clock, 5, () => 1);
    assert.deepEqual(limits, [24, 48, 96, 24, 24]);
  });

  test('one turn that brings nothing more may be chance', () => {
    const { pace, clock } = makePace(1, 64);
    const delays = [50, 50, 200, 50, 50];
    const limits = delays.map((delay) => runTurns(pace, clock, 1, (limit) => limit / delay)[0]);
    assert.deepEqual(limits, [2, 4, 8, 8, 16]);
  });

  test('a turn is what was out, where requests do not fill the window to the brim', () => {
    const { pace, clock } = makePace(10, 160);
    const limits: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const requests = Math.floor(pace.limit / 4);
      pace.noteFull(4 * requests);
      clock.time += 50;
      for (let request = 0; request < requests; request += 1) pace.count(4);
      limits.push(pace.limit);
    }
    assert.deepEqual(limits, [18, 34, 66, 130]);
  });

  test('at rest, a line that has become faster by itself is no reason to open', () => {
    const { pace, clock } = makePace(1, 1024);
    runTurns(pace, clock, 6, (limit) => Math.min(limit, 8));
    assert.deepEqual(
      runTurns(pace, clock, 3, () => 100),
      [8, 8, 8],
    );
  });

  test('at first grows by whatever comes back, without waiting for a whole turn', () => {
    const { pace } = makePace(8, 1024);
    pace.noteFull(8);
    const limits = [1, 2, 3].map((units) => {
      pace.count(units);
      return pace.limit;
    });
    assert.deepEqual(limits, [9, 11, 14]);
  });

  test('once more has brought nothing, what comes back opens nothing', () => {
    const { pace, clock } = makePace(1, 1024);
    runTurns(pace, clock, 6, (limit) => Math.min(limit, 8));
    pace.noteFull(8);
    pace.count(7);
    assert.equal(pace.limit, 8);
  });

  test('tries again after a while, and opens when the line has become longer', () => {
    const { pace, clock } = makePace(1, 1024);
    runTurns(pace, clock, 12, (limit) => Math.min(limit, 8));
    runTurns(pace, clock, 40, (limit) => Math.min(limit, 64) / 10);
    assert.ok(pace.limit >= 64, `the window opened to ${pace.limit} only`);
  });

  test('stays as it is where nobody has to wait', () => {
    const { pace, clock } = makePace(4, 64);
    for (let turn = 0; turn < 10; turn += 1) {
      clock.time += 1;
      pace.count(4);
    }
    assert.equal(pace.limit, 4);
  });

  test('a time of rest does not count as slowness', () => {
    const { pace, clock } = makePace(4, 64);
    clock.time += 1_000_000;
    pace.start();
    const limits = runTurns(pace, clock, 3, (limit) => limit);
    assert.deepEqual(limits, [8, 16, 32]);
  });
});
