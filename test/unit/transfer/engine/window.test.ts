import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Window } from '../../../../src/transfer/engine/window.js';

/** What a promise has come to by the time all that can run has run. */
async function stateOf(promise: Promise<unknown>): Promise<'pending' | 'fulfilled' | 'rejected'> {
  const settled = promise.then(
    () => 'fulfilled' as const,
    () => 'rejected' as const,
  );
  return Promise.race([settled, new Promise<'pending'>((resolve) => setImmediate(() => resolve('pending')))]);
}

describe('Window', () => {
  test('gives what is free at once and no more', () => {
    const window = new Window({ max: 10 });
    assert.equal(window.tryAcquire(6), true);
    assert.equal(window.tryAcquire(5), false);
    assert.equal(window.tryAcquire(4), true);
    assert.equal(window.used, 10);
  });

  test('serves those who wait in the order of asking, also where a later one would fit', async () => {
    const window = new Window({ max: 10 });
    await window.acquire(8);
    const large = window.acquire(9);
    const small = window.acquire(1);
    assert.equal(window.tryAcquire(1), false);
    assert.deepEqual([await stateOf(large), await stateOf(small)], ['pending', 'pending']);
    window.release(8);
    assert.deepEqual([await stateOf(large), await stateOf(small)], ['fulfilled', 'fulfilled']);
    assert.equal(window.used, 10);
  });

  test('of those who wait, the ones with a lower rank go first', async () => {
    const window = new Window({ max: 1 });
    await window.acquire(1);
    const served: string[] = [];
    const asking = ([...'b2 c3 a1 B2'.matchAll(/(.)(\d)/g)] as const).map(async ([name, , rank]) => {
      await window.use(1, undefined, async () => void served.push(name), Number(rank));
    });
    window.release(1);
    await Promise.all(asking);
    assert.deepEqual(served, ['a1', 'b2', 'B2', 'c3']);
  });

  test('grants more than the whole window when nothing else is out', async () => {
    const window = new Window({ max: 10 });
    await window.acquire(1);
    const huge = window.acquire(100);
    assert.equal(await stateOf(huge), 'pending');
    window.release(1);
    assert.equal(await stateOf(huge), 'fulfilled');
    assert.equal(window.tryAcquire(1), false);
  });

  test('gives back what it lends for some work, whether that succeeds or fails', async () => {
    const window = new Window({ max: 1 });
    const used = await window.use(1, undefined, async () => window.used);
    assert.deepEqual([used, window.used], [1, 0]);
    const failing = window.use(1, undefined, () => Promise.reject(new Error('in vain')));
    const next = window.use(1, undefined, async () => 'next');
    await assert.rejects(failing, { message: 'in vain' });
    assert.deepEqual([await next, window.used], ['next', 0]);
  });

  test('starts small, and opens by what is acknowledged with its mark', () => {
    let time = 0;
    const window = new Window({ max: 2 ** 25, initial: 2 ** 18, now: () => time });
    const turn = (isMarked: boolean) => {
      const amount = window.limit;
      assert.equal(window.tryAcquire(amount), true);
      assert.equal(window.tryAcquire(1), false);
      const mark = window.mark();
      time += 10;
      window.release(amount, isMarked ? mark : undefined);
    };
    turn(false);
    assert.deepEqual([window.limit, window.rate], [2 ** 18, 0], 'what was taken in vain does not count');
    for (let count = 0; count < 4; count += 1) turn(true);
    assert.ok(window.limit > 2 ** 20, `the limit is ${window.limit}`);
    assert.ok(window.rate >= 2 ** 18 / 10, `the rate is ${window.rate}`);
  });

  test('without an initial limit it is always as wide as it may be, and measures nothing', () => {
    const window = new Window({ max: 3 });
    assert.deepEqual([window.limit, window.rate, window.mark()], [3, Number.POSITIVE_INFINITY, undefined]);
  });

  test('an initial limit above the maximum is the maximum', () => {
    assert.equal(new Window({ max: 3, initial: 10 }).limit, 3);
  });

  test('an abort takes the one who waits out of the queue and lets the next one in', async () => {
    const window = new Window({ max: 10 });
    await window.acquire(6);
    const abort = new AbortController();
    const large = window.acquire(9, abort.signal);
    const small = window.acquire(4);
    abort.abort('enough');
    assert.equal(await large.catch((reason) => reason), 'enough');
    assert.equal(await stateOf(small), 'fulfilled');
    assert.equal(window.used, 10);
  });

  test('an aborted signal gets nothing, not even what is free', async () => {
    const window = new Window({ max: 10 });
    assert.equal(await window.acquire(1, AbortSignal.abort('no')).catch((reason) => reason), 'no');
    assert.equal(window.used, 0);
  });

  test('an abort after the grant changes nothing', async () => {
    const window = new Window({ max: 10 });
    await window.acquire(10);
    const abort = new AbortController();
    const second = window.acquire(10, abort.signal);
    window.release(10);
    abort.abort('late');
    await second;
    assert.equal(window.used, 10);
    window.release(10);
    assert.equal(window.used, 0);
  });

  test('whatever is asked and aborted: bounded, in order, and empty in the end', async () => {
    const request = fc.record({ amount: fc.integer({ min: 1, max: 12 }), isAborted: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { maxLength: 30 }),
        fc.integer({ min: 1, max: 10 }),
        fc.scheduler(),
        async (requests, max, scheduler) => {
          const window = new Window({ max, initial: 1 });
          const granted: number[] = [];
          let out = 0;
          const use = async (
            { amount, isAborted }: { amount: number; isAborted: boolean },
            index: number,
          ) => {
            const abort = new AbortController();
            if (isAborted) void scheduler.schedule(Promise.resolve()).then(() => abort.abort());
            try {
              await window.acquire(amount, abort.signal);
            } catch {
              return;
            }
            granted.push(index);
            out += amount;
            assert.ok(out <= max || out === amount, `${out} are out of ${max}`);
            await scheduler.schedule(Promise.resolve());
            out -= amount;
            window.release(amount);
          };
          await scheduler.waitFor(Promise.all(requests.map(use)));
          assert.equal(window.used, 0);
          assert.deepEqual(
            granted,
            [...granted].sort((a, b) => a - b),
          );
        },
      ),
      { numRuns: 200 },
    );
  });
});
