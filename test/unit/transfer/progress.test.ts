import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { measured, Speedometer } from '../../../src/transfer/progress.js';

describe('Speedometer', () => {
  test('tells the rate of the last seconds and what is left at that rate', () => {
    let nowMs = 0;
    const speedometer = new Speedometer(() => nowMs);
    assert.deepEqual(speedometer.note(1000, 11_000), { rate: 0, remaining: undefined, elapsed: 0 });
    nowMs = 1000;
    assert.deepEqual(speedometer.note(3000, 11_000), { rate: 2000, remaining: 4000, elapsed: 1000 });
    nowMs = 2000;
    assert.deepEqual(speedometer.note(11_000, 11_000), { rate: 5000, remaining: 0, elapsed: 2000 });
  });

  test('forgets how fast it once was', () => {
    let nowMs = 0;
    const speedometer = new Speedometer(() => nowMs);
    speedometer.note(0, 10_000_000);
    nowMs = 100;
    speedometer.note(1_000_000, 10_000_000);
    for (let step = 1; step <= 100; step += 1) {
      nowMs += 100;
      speedometer.note(1_000_000 + step * 100, 10_000_000);
    }
    nowMs += 100;
    assert.equal(speedometer.note(1_010_100, 10_000_000).rate, 1000);
  });
});

describe('measured', () => {
  test('never goes backwards, whatever another attempt begins with', () => {
    const seen: (readonly [number, number])[] = [];
    const tell = measured<object>(
      (transferred, total) => seen.push([transferred, total]),
      () => 0,
    );
    for (const [transferred, total] of [
      [0, 10],
      [7, 10],
      [0, 10],
      [5, 10],
      [10, 10],
    ] as const)
      tell?.(transferred, total, {});
    assert.deepEqual(seen, [
      [0, 10],
      [7, 10],
      [7, 10],
      [7, 10],
      [10, 10],
    ]);
  });

  test('without a callback there is nothing to measure', () => {
    assert.equal(measured(undefined), undefined);
  });
});
