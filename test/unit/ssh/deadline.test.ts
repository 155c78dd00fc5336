import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Deadline } from '../../../src/ssh/deadline.js';

describe('a deadline', () => {
  test('expires once, and not after it was cancelled', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let expired = 0;
    const deadline = new Deadline(1_000, () => expired++);
    const cancelled = new Deadline(1_000, () => expired++);
    cancelled.cancel();
    t.mock.timers.tick(5_000);
    assert.equal(expired, 1);
    deadline.cancel();
  });

  test('stands still while somebody is asked, also twice at once', async () => {
    const deadline = new Deadline(60_000);
    const answers: ((answer: string) => void)[] = [];
    const ask = (): Promise<string> => new Promise((resolve) => answers.push(resolve));
    const asking = [deadline.whileAsking(ask), deadline.whileAsking(ask)];
    const left = deadline.leftMs;
    const until = performance.now() + 20;
    while (performance.now() < until);
    assert.equal(deadline.leftMs, left);
    answers[0]?.('one');
    assert.equal(await asking[0], 'one');
    assert.equal(deadline.leftMs, left);
    answers[1]?.('two');
    await asking[1];
    const again = performance.now() + 20;
    while (performance.now() < again);
    assert.ok(deadline.leftMs < left);
    deadline.cancel();
  });

  test('an answer that fails goes through, and the time runs again', async () => {
    const deadline = new Deadline(60_000);
    await assert.rejects(
      deadline.whileAsking(() => Promise.reject(new Error('no'))),
      /no/,
    );
    const left = deadline.leftMs;
    const until = performance.now() + 20;
    while (performance.now() < until);
    assert.ok(deadline.leftMs < left);
    deadline.cancel();
  });
});
