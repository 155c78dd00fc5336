import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ContentCopy } from '../../../../src/transfer/engine/copy-content.js';
import { Throttle } from '../../../../src/transfer/engine/throttle.js';
import { Window } from '../../../../src/transfer/engine/window.js';
import { WriteBehind } from '../../../../src/transfer/engine/write-behind.js';
import type { SourceFile, TargetFile } from '../../../../src/transfer/file-system.js';
import { MemorySource, UNKNOWN_INFO } from '../../../../src/transfer/memory.js';
import { FakeClock } from '../../../support/fake-clock.js';

/** Takes, and notes when it was given and to whom. */
function takings(clock: FakeClock) {
  const log: string[] = [];
  const take = (name: string, throttle: Throttle, bytes: number, signal?: AbortSignal) =>
    throttle.take(bytes, signal).then(
      () => void log.push(`${name} ${clock.now()}`),
      (reason: unknown) => void log.push(`${name} ${clock.now()} ${reason}`),
    );
  return { log, take };
}

describe('Throttle', () => {
  test('lets a quarter of a second pass at once, and then only what has come in since', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, take } = takings(clock);
    assert.equal(throttle.chunkLength, 10_000);
    for (const name of ['a', 'b', 'c']) void take(name, throttle, 10_000);
    await clock.pass(1000);
    assert.deepEqual(log, ['a 0', 'b 250', 'c 500']);
    assert.equal(clock.waiting, 0);
  });

  test('gathers no more than a quarter of a second in a rest', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, take } = takings(clock);
    await clock.pass(10_000);
    for (const name of ['a', 'b']) void take(name, throttle, 10_000);
    await clock.pass(250);
    assert.deepEqual(log, ['a 10000', 'b 10250']);
  });

  test('asks for no less than 4 KiB at a time, however low the limit', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 1024, clock });
    const { log, take } = takings(clock);
    assert.equal(throttle.chunkLength, 4096);
    void take('a', throttle, 4096);
    void take('b', throttle, 4096);
    await clock.pass(4000);
    assert.deepEqual(log, ['a 0', 'b 4000']);
  });

  test('lets more than the bucket holds pass when it is full, and makes the next wait for all of it', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, take } = takings(clock);
    void take('large', throttle, 40_000);
    void take('small', throttle, 10_000);
    await clock.pass(1000);
    assert.deepEqual(log, ['large 0', 'small 1000']);
  });

  test('serves in the order of asking, also where a later one would fit', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, take } = takings(clock);
    void take('first', throttle, 9_000);
    void take('large', throttle, 9_000);
    void take('tiny', throttle, 1);
    await clock.pass(1000);
    assert.deepEqual(log, ['first 0', 'large 200', 'tiny 201']);
  });

  test('takes nothing for whoever gives up, and serves the next in its place', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, take } = takings(clock);
    const abort = new AbortController();
    void take('first', throttle, 10_000);
    void take('gone', throttle, 10_000, abort.signal);
    void take('next', throttle, 4_000);
    await clock.pass(50);
    abort.abort('given up');
    await clock.pass(50);
    assert.deepEqual(log, ['first 0', 'gone 50 given up', 'next 100']);
    await assert.rejects(throttle.take(1, AbortSignal.abort('no')), (reason) => reason === 'no');
    assert.equal(clock.waiting, 0);
  });

  test('gives back to those who wait what has turned out not to pass', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, take } = takings(clock);
    void take('a', throttle, 10_000);
    void take('b', throttle, 10_000);
    await clock.pass(10);
    throttle.giveBack(9_600);
    await clock.pass(1);
    throttle.giveBack(1e9);
    void take('c', throttle, 10_000);
    void take('d', throttle, 10_000);
    await clock.pass(250);
    assert.deepEqual(log, ['a 0', 'b 10', 'c 11', 'd 261']);
  });

  test('follows its figure when that is changed, also for those who wait', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, take } = takings(clock);
    for (const name of ['a', 'b', 'c', 'd']) void take(name, throttle, 10_000);
    await clock.pass(125);
    throttle.bytesPerSecond = 400_000;
    await clock.pass(13);
    throttle.bytesPerSecond = Number.POSITIVE_INFINITY;
    assert.equal(throttle.isLimited, false);
    await clock.pass(1);
    assert.deepEqual(log, ['a 0', 'b 138', 'c 138', 'd 138']);
    throttle.bytesPerSecond = 4096;
    void take('e', throttle, 4096);
    void take('f', throttle, 4096);
    await clock.pass(1000);
    assert.deepEqual(log.slice(4), ['e 139', 'f 1139']);
  });

  test('keeps to the narrowest of several limits, and shares the outer ones', async () => {
    const clock = new FakeClock();
    const outer = new Throttle({ bytesPerSecond: 40_000, clock });
    const free = new Throttle({ within: [outer], clock });
    const narrow = new Throttle({ bytesPerSecond: 20_000, within: [outer], clock });
    const { log, take } = takings(clock);
    assert.deepEqual([free.chunkLength, narrow.chunkLength], [10_000, 5_000]);
    assert.deepEqual([free.isLimited, new Throttle().isLimited], [true, false]);
    void take('free', free, 10_000);
    void take('narrow', narrow, 5_000);
    void take('free', free, 10_000);
    await clock.pass(1000);
    assert.deepEqual(log, ['free 0', 'narrow 125', 'free 375']);
  });

  test('never lets more pass in any time than the limit and one bucket, and nobody waits for ever', async () => {
    const amounts = fc.array(fc.tuple(fc.nat({ max: 300 }), fc.integer({ min: 1, max: 20_000 })), {
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(amounts, fc.integer({ min: 20_000, max: 200_000 }), async (asked, bytesPerSecond) => {
        const clock = new FakeClock();
        const throttle = new Throttle({ bytesPerSecond, clock });
        const passed: { readonly atMs: number; readonly bytes: number }[] = [];
        let total = 0;
        for (const [pauseMs, wanted] of asked) {
          await clock.pass(pauseMs);
          const bytes = Math.min(wanted, throttle.chunkLength);
          total += bytes;
          void throttle.take(bytes).then(() => passed.push({ atMs: clock.now(), bytes }));
        }
        await clock.pass(Math.ceil((total / bytesPerSecond) * 1000) + asked.length);
        assert.equal(passed.length, asked.length);
        for (const [index, from] of passed.entries()) {
          let sum = 0;
          for (const { atMs, bytes } of passed.slice(index)) {
            sum += bytes;
            const most = throttle.chunkLength + ((atMs - from.atMs) / 1000) * bytesPerSecond;
            assert.ok(sum <= most + 1, `${sum} of ${most} bytes`);
          }
        }
      }),
      { numRuns: 30 },
    );
  });
});

/** A target that notes when bytes arrive. */
function arrivals(clock: FakeClock) {
  const log: string[] = [];
  const target: TargetFile = {
    isOrdered: true,
    write: async (offset, pieces) => {
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
      log.push(`${clock.now()}: ${offset}+${length}`);
    },
    setAttributes: async () => {},
    close: async () => {},
  };
  return { log, target };
}

describe('A copy under a limit', () => {
  const finish = async () => {};

  test('asks for a quarter of a second at a time, whatever both sides would take', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, target } = arrivals(clock);
    const copy = new ContentCopy(new MemorySource(Buffer.alloc(25_000)), target, {
      chunkLength: () => 256 * 1024,
      window: new Window({ max: 1024 * 1024 }),
      throttle,
      finish,
    });
    const copying = copy.run();
    await clock.pass(1000);
    assert.equal(await copying, 25_000);
    // One byte more than the rest is asked for, and given back.
    assert.deepEqual(log, ['0: 0+10000', '250: 10000+10000', '376: 20000+5000']);
  });

  test('keeps asking while answers are on the way, so that a long round trip costs nothing', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 40_000, clock });
    const { log, target } = arrivals(clock);
    const memory = new MemorySource(Buffer.alloc(50_000));
    const source: SourceFile = {
      info: memory.info,
      read: async (offset, length) => {
        await new Promise<void>((resolve) => clock.wake(resolve, 900));
        return memory.read(offset, length);
      },
      close: async () => {},
    };
    const copy = new ContentCopy(source, target, {
      chunkLength: () => 256 * 1024,
      window: new Window({ max: 1024 * 1024 }),
      throttle,
      finish,
    });
    const copying = copy.run();
    await clock.pass(3000);
    assert.equal(await copying, 50_000);
    assert.deepEqual(
      log,
      [0, 250, 500, 750, 1000].map((at, index) => `${at + 900}: ${index * 10_000}+10000`),
    );
  });

  test('leaves the window to others while it waits', async () => {
    const clock = new FakeClock();
    const window = new Window({ max: 10_000 });
    const copyOf = (bytes: number, throttle?: Throttle) => {
      const { target, log } = arrivals(clock);
      const options = { chunkLength: () => 5_000, window, throttle, finish };
      return { log, copying: new ContentCopy(new MemorySource(Buffer.alloc(bytes)), target, options).run() };
    };
    const slow = copyOf(100_000, new Throttle({ bytesPerSecond: 20_000, clock }));
    await clock.pass(1);
    const fast = copyOf(40_000);
    assert.equal(await fast.copying, 40_000);
    assert.equal(slow.log.length, 1);
    await clock.pass(5_100);
    assert.equal(await slow.copying, 100_000);
    assert.equal(window.used, 0);
  });

  test('pays for empty files only until they have turned out to be empty', async () => {
    const clock = new FakeClock();
    const throttle = new Throttle({ bytesPerSecond: 1000, clock });
    for (let file = 0; file < 100; file += 1) {
      const source = { ...new MemorySource(Buffer.alloc(0)), info: UNKNOWN_INFO, read: async () => null };
      const { target } = arrivals(clock);
      const options = { chunkLength: () => 32_768, window: new Window({ max: 1e6 }), throttle, finish };
      assert.equal(await new ContentCopy({ ...source, close: async () => {} }, target, options).run(), 0);
    }
    assert.equal(clock.now(), 0);
  });

  test('ends at once when it is called off, and gives the window back', async () => {
    const clock = new FakeClock();
    const window = new Window({ max: 100_000 });
    const abort = new AbortController();
    const { target } = arrivals(clock);
    const copying = new ContentCopy(new MemorySource(Buffer.alloc(100_000)), target, {
      chunkLength: () => 5_000,
      window,
      throttle: new Throttle({ bytesPerSecond: 20_000, clock }),
      signal: abort.signal,
      finish,
    }).run();
    await clock.pass(300);
    abort.abort('enough');
    await assert.rejects(copying, (reason) => reason === 'enough');
    assert.deepEqual([window.used, clock.waiting], [0, 0]);
  });

  test('writes streams at the same pace', async () => {
    const clock = new FakeClock();
    const { log, target } = arrivals(clock);
    const behind = new WriteBehind(target, {
      chunkLength: 32_768,
      window: new Window({ max: 1e6 }),
      throttle: new Throttle({ bytesPerSecond: 40_000, clock }),
      signal: new AbortController().signal,
      offset: 0,
      onFailure: assert.ifError,
    });
    const writing = behind.write([Buffer.alloc(30_000)]);
    await clock.pass(500);
    await writing;
    await behind.settle();
    assert.deepEqual(log, ['0: 0+10000', '250: 10000+10000', '500: 20000+10000']);
  });
});

test('A copy with a concurrency has no more requests under way than that', async () => {
  for (const concurrency of [1, 3]) {
    let [asked, most] = [0, 0];
    const pause = async () => {
      asked += 1;
      most = Math.max(most, asked);
      await new Promise((resolve) => setImmediate(resolve));
      asked -= 1;
    };
    const memory = new MemorySource(Buffer.alloc(100_000));
    const source: SourceFile = {
      info: memory.info,
      read: async (offset, length) => {
        await pause();
        return memory.read(offset, length);
      },
      close: async () => {},
    };
    const target = { ...arrivals(new FakeClock()).target, write: pause };
    const window = new Window({ max: 1e6 });
    const copy = new ContentCopy(source, target, {
      chunkLength: () => 5_000,
      window,
      concurrency,
      finish: async () => {},
    });
    assert.equal(await copy.run(), 100_000);
    assert.equal(most, concurrency);
  }
});
