import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deferred, SerialQueue } from '../../../src/shared/promises.js';

describe('A serial queue', () => {
  test('runs one task after the other, in the order of the calls', async () => {
    const queue = new SerialQueue();
    const first = deferred();
    const begun: string[] = [];
    const results = [
      queue.run(async () => {
        begun.push('first');
        await first.promise;
        return 1;
      }),
      queue.run(async () => {
        begun.push('second');
        return 2;
      }),
    ];
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(begun, ['first']);
    first.resolve();
    assert.deepEqual(await Promise.all(results), [1, 2]);
    assert.deepEqual(begun, ['first', 'second']);
  });

  test('goes on after a task that failed', async () => {
    const queue = new SerialQueue();
    const failing = queue.run(() => Promise.reject(new Error('first')));
    const next = queue.run(async () => 'next');
    await assert.rejects(failing, { message: 'first' });
    assert.equal(await next, 'next');
  });

  test('runs nothing after a failure where it ends with that, and rejects with the same reason', async () => {
    const queue = new SerialQueue({ endsWithFailure: true });
    const failing = queue.run(() => Promise.reject(new Error('first')));
    const next = queue.run(async () => assert.fail('it ran'));
    await assert.rejects(failing, { message: 'first' });
    await assert.rejects(next, { message: 'first' });
  });
});
