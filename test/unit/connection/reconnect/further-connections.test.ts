import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { CallSpread, FurtherConnections } from '../../../../src/connection/reconnect/further-connections.js';
import type { EstablishedLine } from '../../../../src/connection/reconnect/line.js';
import { ConnectionError, HostKeysError } from '../../../../src/errors.js';

/** A connection that can be lost; nothing is asked over it. */
class FakeLine {
  readonly #end = new AbortController();
  isClosed = false;

  lose(): void {
    this.#end.abort(new Error('lost'));
  }

  get asLine(): EstablishedLine {
    const close = () => {
      this.isClosed = true;
      return Promise.resolve();
    };
    const session = {
      ended: this.#end.signal,
      extensions: new Map(),
      get endReason() {
        return this.ended.reason;
      },
      destroy: () => this.lose(),
    };
    return { session, ssh: { close, destroy: close } } as unknown as EstablishedLine;
  }
}

/** @param rateOf how many bytes in a millisecond so many connections bring */
function setUp(
  t: TestContext,
  { dial = async () => {}, rateOf = (connections: number) => 1000 + 0 * connections } = {},
) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const closing = new AbortController();
  const lines: FakeLine[] = [];
  let [dialled, nowMs, bytes] = [0, 0, 0];
  t.mock.method(performance, 'now', () => nowMs);
  const connections = new FurtherConnections({
    dial: async () => {
      dialled += 1;
      await dial();
      const line = new FakeLine();
      lines.push(line);
      return line.asLine;
    },
    closed: closing.signal,
    timeoutMs: () => null,
  });
  const spread = (wanted: number | 'auto') => new CallSpread({ connections, wanted, roundTripMs: () => 50 });
  return {
    connections,
    spread,
    lines,
    moved: () => bytes,
    close: () => closing.abort(new Error('closed')),
    dialled: () => dialled,
    /** Lets so many seconds pass. */
    pass: async (seconds: number) => {
      for (let tenth = 0; tenth < seconds * 10; tenth += 1) {
        nowMs += 100;
        bytes += 100 * rateOf(1 + connections.count);
        t.mock.timers.tick(100);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
}

describe('Further connections', () => {
  test('are opened while a transfer runs, and closed when nobody has used them for ten seconds', async (t) => {
    const { spread, pass, lines, moved, connections } = setUp(t);
    let finish = () => {};
    const call = spread(3);
    const running = call.during({ moved }, () => new Promise<void>((resolve) => (finish = resolve)));
    await pass(1);
    assert.deepEqual([connections.count, call.clients.length], [2, 2]);
    finish();
    await running;
    await pass(9);
    assert.ok(lines.every(({ isClosed }) => !isClosed));
    await pass(2);
    assert.ok(lines.every(({ isClosed }) => isClosed));
    assert.equal(connections.count, 0);
  });

  /** Some who log in, each until the test answers. */
  function setUpLogins(t: TestContext) {
    const pending: { resolve: () => void; reject: (reason: Error) => void }[] = [];
    const dial = () => new Promise<void>((resolve, reject) => pending.push({ resolve, reject }));
    const all = setUp(t, { dial });
    void all.spread(16).during({ moved: all.moved }, () => new Promise<void>(() => {}));
    const busy = () => new ConnectionError('SERVER_BUSY', 'busy', { host: 'host', port: 22 });
    return {
      ...all,
      accept: (count: number) => pending.splice(0, count).forEach(({ resolve }) => void resolve()),
      refuse: (count: number) => pending.splice(0, count).forEach(({ reject }) => void reject(busy())),
      /** How many are logging in, a moment later. */
      atOnce: async (seconds = 0.1) => {
        await all.pass(seconds);
        return pending.length;
      },
    };
  }

  test('log in four at once', async (t) => {
    const { accept, atOnce, connections } = setUpLogins(t);
    const counts = [await atOnce()];
    for (const accepted of [1, 2, 4, 4]) {
      accept(accepted);
      counts.push(await atOnce());
    }
    assert.deepEqual(counts, [4, 4, 4, 4, 4]);
    accept(4);
    assert.deepEqual([await atOnce(), connections.count], [0, 15]);
  });

  test('log in one after the other where one is refused, after a pause, and one more with each that is let in', async (t) => {
    const { accept, refuse, atOnce, connections } = setUpLogins(t);
    await atOnce();
    refuse(2);
    // Those that were begun before tell nothing more.
    assert.equal(await atOnce(2), 2);
    accept(1);
    assert.equal(await atOnce(), 1);
    refuse(1);
    assert.deepEqual([await atOnce(1), connections.count], [1, 1]);
    const counts: number[] = [];
    for (const accepted of [1, 2, 3, 4]) {
      accept(accepted);
      counts.push(await atOnce());
    }
    assert.deepEqual(counts, [2, 4, 4, 4]);
    refuse(1);
    assert.deepEqual([await atOnce(1), connections.count], [3, 11]);
  });

  test('are closed with the first one', async (t) => {
    const { spread, pass, close, lines, moved, connections } = setUp(t);
    const running = spread(2).during({ moved }, () => new Promise<void>(() => {}));
    running.catch(() => {});
    await pass(1);
    close();
    assert.deepEqual([lines.length, lines[0]?.isClosed, connections.count], [1, true, 0]);
  });

  test('are opened anew in place of those that are lost', async (t) => {
    const { spread, pass, lines, moved, connections } = setUp(t);
    void spread(3).during({ moved }, () => new Promise<void>(() => {}));
    await pass(1);
    lines[0]?.lose();
    assert.equal(connections.count, 1);
    await pass(1);
    assert.deepEqual([connections.count, lines.length], [2, 3]);
  });

  test('are fewer where the server lets no more in, which is found out three times', async (t) => {
    const refused = () =>
      Promise.reject(new ConnectionError('ECONNRESET', 'refused', { host: 'host', port: 22 }));
    const { spread, pass, moved, connections, dialled } = setUp(t, { dial: refused });
    void spread(4).during({ moved }, () => new Promise<void>(() => {}));
    await pass(60);
    assert.deepEqual([connections.count, dialled()], [0, 5]);
  });

  test('are none where another host key was shown', async (t) => {
    const refused = () => Promise.reject(new HostKeysError('HOST_KEY_CHANGED', 'another key'));
    const { spread, pass, moved, connections, dialled } = setUp(t, { dial: refused });
    void spread(4).during({ moved }, () => new Promise<void>(() => {}));
    await pass(60);
    assert.deepEqual([connections.count, dialled()], [0, 3]);
  });

  for (const { what, rateOf, used } of [
    { what: 'none where the first carries all there is', rateOf: () => 1000, used: 0 },
    { what: 'as many as bring a quarter more', rateOf: (count: number) => Math.min(count, 3) * 100, used: 2 },
    {
      what: 'up to five, of which the last brings a quarter',
      rateOf: (count: number) => count * 100,
      used: 4,
    },
  ])
    test(`are ${what}, with 'auto'`, async (t) => {
      const { spread, pass, moved } = setUp(t, { rateOf });
      const call = spread('auto');
      void call.during({ moved }, () => new Promise<void>(() => {}));
      await pass(60);
      assert.equal(call.clients.length, used);
    });
});
