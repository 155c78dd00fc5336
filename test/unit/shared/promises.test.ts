import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deferred, forEachLimited, PendingPromises, SerialQueue } from '../../../src/shared/promises.js';

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

describe('A set of pending promises', () => {
  test('is empty when all have settled, and waits for those that were added before', async () => {
    const pending = new PendingPromises();
    const [first, second] = [deferred(), deferred()];
    assert.equal(pending.add(first.promise), first.promise);
    const settled = pending.settled();
    void pending.add(second.promise);
    first.reject(new Error('of no interest here'));
    await settled;
    assert.equal(pending.size, 1);
    second.resolve();
    await pending.settled();
    assert.equal(pending.size, 0);
  });
});

describe('forEachLimited', () => {
  test('has no more under way at once than it may, and takes items one by one', async () => {
    const ends = Array.from({ length: 5 }, () => deferred());
    const begun: number[] = [];
    let taken = 0;
    function* items() {
      for (const index of ends.keys()) {
        taken += 1;
        yield index;
      }
    }
    const all = forEachLimited(items(), 2, async (index) => {
      begun.push(index);
      await ends[index]?.promise;
    });
    await immediate();
    assert.deepEqual([begun, taken], [[0, 1], 2]);
    ends[1]?.resolve();
    await immediate();
    assert.deepEqual([begun, taken], [[0, 1, 2], 3]);
    for (const end of ends) end.resolve();
    await all;
    assert.deepEqual(begun, [0, 1, 2, 3, 4]);
  });

  test('begins nothing after the first failure, and rejects with it when nothing is running any more', async () => {
    const last = deferred();
    const begun: number[] = [];
    const reasons: unknown[] = [];
    let isReturned = false;
    async function* items() {
      try {
        for (let index = 0; ; index += 1) yield index;
      } finally {
        isReturned = true;
      }
    }
    const failure = new Error('the second');
    const all = forEachLimited(items(), 2, async (index, signal) => {
      begun.push(index);
      if (index === 1) throw failure;
      await last.promise;
      reasons.push(signal.reason);
      throw new Error('the first, later');
    });
    let isSettled = false;
    const settled = all
      .catch((error) => error)
      .finally(() => {
        isSettled = true;
      });
    await immediate();
    assert.equal(isSettled, false);
    last.resolve();
    assert.equal(await settled, failure);
    assert.deepEqual([begun, reasons, isReturned], [[0, 1], [failure], true]);
  });

  test('gives a source of items the signal that the first failure aborts', async () => {
    const failure = new Error('the first');
    async function* items(signal: AbortSignal) {
      yield 1;
      await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    }
    const all = forEachLimited(items, 4, () => Promise.reject(failure));
    await assert.rejects(all, failure);
  });

  test('rejects with the failure of the source when what is under way has ended', async () => {
    const end = deferred();
    let isDone = false;
    function* items() {
      yield 1;
      throw new Error('no more');
    }
    const all = forEachLimited(items(), 3, async () => {
      await end.promise;
      isDone = true;
    });
    setImmediate(() => end.resolve());
    await assert.rejects(all, { message: 'no more' });
    assert.equal(isDone, true);
  });

  test('rejects with the reason of a signal from outside, and begins nothing where that has aborted', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const all = forEachLimited([1, 2, 3], 1, async () => abort.abort(reason), abort);
    await assert.rejects(all, reason);
    const none = forEachLimited([1], 1, async () => assert.fail('it began'), abort);
    await assert.rejects(none, reason);
  });
});

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
