import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LongWork } from '../../../src/shared/event-loop.js';

test('long work lets timers and signals have their turn, however many steps it has', async () => {
  const signal = AbortSignal.timeout(1);
  const work = new LongWork();
  let steps = 0;
  for (; !signal.aborted && steps < 10_000_000; steps += 1) await work.step();
  assert.ok(signal.aborted, `not after ${steps} steps`);
});
