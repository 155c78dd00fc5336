/** Pools of connections: limits, servers that allow little, broken connections, and what they tell. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { outlookOf } from '../../../src/index.js';
import {
  CHANNELS,
  ConnectionPool,
  type ConnectionPoolOptions,
  type Lease,
  parseServer,
  SERVER_SCHEMA,
  type ServerDescription,
  writeEvents,
} from '../../../src/jobs/index.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';

interface Partner {
  readonly server: ServerDescription;
  /** Connections that are open, the most that were, and when each was made. */
  readonly open: Set<Socket>;
  readonly seen: { most: number; readonly connectsMs: number[] };
  pool(options?: Partial<ConnectionPoolOptions>): ConnectionPool;
}

/** A server that allows so many connections at the same time, and breaks off any further one. */
async function startPartner(t: TestContext, max = Number.POSITIVE_INFINITY): Promise<Partner> {
  const inner = await startServer({ files: { 'd/f': 'x' } });
  t.after(() => inner.close());
  const open = new Set<Socket>();
  const seen = { most: 0, connectsMs: [] as number[] };
  const gate = createServer((socket) => {
    seen.connectsMs.push(performance.now());
    socket.on('error', () => {});
    if (open.size >= max) return void socket.destroy();
    open.add(socket);
    seen.most = Math.max(seen.most, open.size);
    const onward = dial(inner.port, inner.host);
    onward.on('error', () => socket.destroy());
    socket.on('close', () => {
      open.delete(socket);
      onward.destroy();
    });
    onward.on('close', () => socket.destroy());
    socket.pipe(onward).pipe(socket);
  });
  gate.listen(0, '127.0.0.1');
  await once(gate, 'listening');
  t.after(() => gate.close());
  const { port } = gate.address() as AddressInfo;
  const { username, password } = inner;
  const { fingerprint } = inner.hostKey;
  const server = { v: 1, host: '127.0.0.1', port, username, secret: 'partner' } as const;
  return {
    server,
    open,
    seen,
    pool: (options) => {
      const resolve = ({ host, port: at, username: user }: ServerDescription) => {
        return {
          host,
          username: user,
          password,
          ...(at && { port: at }),
          cnopts: { fingerprint, hostkeys: null },
        };
      };
      const pool = new ConnectionPool({ resolve, connectsPerMinute: 1000, ...options });
      t.after(() => pool.close());
      return pool;
    },
  };
}

async function work(pool: ConnectionPool, server: ServerDescription): Promise<void> {
  await using lease = await pool.lease(server);
  assert.deepEqual(await lease.connection.listdir('/d'), ['f']);
}

describe('ConnectionPool', () => {
  test('opens no more connections than it may, and uses them again', async (t) => {
    const { pool, server, seen } = await startPartner(t);
    const workers = pool({ maxPerServer: 2 });
    await Promise.all(Array.from({ length: 20 }, () => work(workers, server)));
    assert.equal(seen.most, 2);
    const { leases, opened, idle, leased, waiting } = workers.metrics;
    assert.deepEqual(
      { leases, opened, idle, leased, waiting },
      { leases: 20, opened: 2, idle: 2, leased: 0, waiting: 0 },
    );
    await workers.close();
    await assert.rejects(workers.lease(server), { code: 'POOL_CLOSED' });
  });

  test('takes the lower limit of a description, and closes idle connections', async (t) => {
    const { pool, server, open, seen } = await startPartner(t);
    const workers = pool({ idleTimeout: 20 });
    await Promise.all(Array.from({ length: 5 }, () => work(workers, { ...server, maxConnections: 1 })));
    assert.equal(seen.most, 1);
    const [socket] = open;
    if (socket !== undefined) await once(socket, 'close');
    assert.equal(workers.metrics.idle, 0);
  });

  test('learns that a server allows two connections, and waits for those', async (t) => {
    const { pool, server, seen } = await startPartner(t, 2);
    const workers = pool({ maxPerServer: 6, backoff: 10 });
    await Promise.all(Array.from({ length: 30 }, () => work(workers, server)));
    assert.equal(seen.most, 2);
    assert.ok(seen.connectsMs.length < 8, `${seen.connectsMs.length} connects`);
  });

  test('stays below the connects per minute after which a partner bans', async (t) => {
    const { pool, server, seen } = await startPartner(t);
    const workers = pool({ connectsPerMinute: 9, maxPerServer: 4, maxConnecting: 4 });
    let discarded = 0;
    const controller = new AbortController();
    const { signal } = controller;
    const discarding = async () => {
      for (;;) {
        const lease = await workers.lease(server, { signal });
        await lease.discard();
        discarded += 1;
        if (discarded === 9) setTimeout(() => controller.abort(), 100);
      }
    };
    await Promise.allSettled(Array.from({ length: 4 }, discarding));
    assert.deepEqual([discarded, seen.connectsMs.length], [9, 9]);
    assert.ok((workers.metrics.servers[`127.0.0.1:${server.port}`]?.pauseMs ?? 0) > 50_000);
  });

  test('never hands out a connection that is broken', async (t) => {
    const { pool, server, open } = await startPartner(t);
    const workers = pool({ maxPerServer: 1 });
    await work(workers, server);
    const [socket] = open;
    assert.ok(socket);
    const closed = once(socket, 'close');
    socket.destroy();
    await closed;
    await work(workers, server);
    const lease = await workers.lease(server);
    for (const each of open) each.destroy();
    await assert.rejects(lease.connection.listdir('/d'));
    await lease.release();
    await work(workers, server);
    assert.equal(workers.metrics.opened, 3);
  });

  test('tries again after a failure of the network, and not where a person has to look', async (t) => {
    const { pool, server } = await startPartner(t);
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    taken.close();
    await once(taken, 'close');
    const workers = pool({ attempts: 3, backoff: 1 });
    await assert.rejects(workers.lease({ ...server, port }), { code: 'ECONNREFUSED' });
    assert.equal(workers.metrics.failed, 3);
    const wrong = pool({
      resolve: () => ({
        host: '127.0.0.1',
        port: server.port ?? 22,
        password: 'no',
        username: 'no',
        cnopts: { hostkeys: null },
      }),
    });
    await assert.rejects(wrong.lease(server), { code: 'AUTHENTICATION_FAILED' });
    assert.equal(wrong.metrics.failed, 1);
  });

  test('a lease that is not wanted any more takes nothing from the others', async (t) => {
    const { pool, server } = await startPartner(t);
    const workers = pool({ maxPerServer: 1 });
    const first = await workers.lease(server);
    const controller = new AbortController();
    const second = workers.lease(server, { signal: controller.signal });
    const third = workers.lease(server);
    controller.abort(new Error('not any more'));
    await assert.rejects(second, /not any more/);
    await first.release();
    await (await third).release();
    assert.deepEqual([workers.metrics.leased, workers.metrics.waiting], [0, 0]);
  });

  test('makes room within the limit of all servers', async (t) => {
    const [one, other] = [await startPartner(t), await startPartner(t)];
    const workers = one.pool({
      maxTotal: 1,
      resolve: (server) => ({
        host: server.host,
        port: server.port ?? 22,
        username: 'test',
        password: 'test',
        cnopts: { hostkeys: null },
      }),
    });
    for (const { server } of [one, other, one]) await work(workers, server);
    await Promise.all([one, other, one, other].map(({ server }) => work(workers, server)));
    assert.deepEqual([one.seen.most, other.seen.most], [1, 1]);
    assert.ok(one.open.size + other.open.size <= 1);
  });

  test('asks for a place under a limit across machines, gives it back, and closes where it was lost', async (t) => {
    const { pool, server, open } = await startPartner(t);
    const lost = new AbortController();
    const places = { taken: 0, most: 0 };
    const workers = pool({
      acquire: async () => {
        places.taken += 1;
        places.most = Math.max(places.most, places.taken);
        const release = () => {
          places.taken -= 1;
        };
        return { release, lost: lost.signal };
      },
    });
    await Promise.all(Array.from({ length: 6 }, () => work(workers, server)));
    assert.ok(places.most <= 4 && places.taken === open.size);
    await using lease = await workers.lease(server);
    const waiting = lease.connection.execute('hang');
    lost.abort(new Error('the process was frozen'));
    // A job that fails for it may be tried again.
    const taken = { name: 'ConnectionLostError', code: 'LEASE_LOST', message: /its permit was lost/ };
    await assert.rejects(waiting, taken);
    await assert.rejects(lease.connection.stat('/'), (error) => outlookOf(error) === 'retry');
    await workers.close();
    assert.equal(places.taken, 0);
  });

  test('tells whoever works with a connection that is lost that it was lost, and not that it was closed', async (t) => {
    const { pool, server, open } = await startPartner(t);
    const workers = pool();
    await using lease = await workers.lease(server);
    const { connection } = lease;
    const ended = once(connection.ended, 'abort');
    for (const socket of open) socket.destroy();
    await ended;
    while (workers.metrics.leased > 0) await new Promise((resolve) => setImmediate(resolve));
    const lost = { name: 'ConnectionLostError', code: 'CONNECTION_LOST' };
    await assert.rejects(connection.stat('/'), lost);
    await assert.rejects(connection.get('d/f', join(makeFolder(t), 'f')), lost);
    await workers.close();
  });

  test('gives the next one the directory that the first one found', async (t) => {
    const { pool, server } = await startPartner(t);
    const workers = pool({ maxPerServer: 1 });
    const first: Lease = await workers.lease(server);
    await first.connection.chdir('/d');
    await first.release();
    await using second = await workers.lease(server);
    assert.equal(second.connection.getcwd(), null);
  });

  test('tells what it does', async (t) => {
    const { pool, server } = await startPartner(t);
    const lines: string[] = [];
    const stop = writeEvents({ write: (text: string) => lines.push(text) > 0 }, [CHANNELS.pool]);
    const workers = pool();
    await work(workers, server);
    await workers.close();
    stop();
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).event),
      ['open', 'lease', 'release', 'close'],
    );
    assert.ok(!lines.join('').includes('password'));
  });
});

describe('a description of a server', () => {
  const server = { v: 1, host: 'h', port: 2222, username: 'me', secret: 'name', maxConnections: 2 } as const;

  test('comes out of JSON as it went in', () => {
    assert.deepEqual(parseServer(JSON.stringify(server)), server);
    assert.ok(Object.keys(server).every((key) => Object.hasOwn(SERVER_SCHEMA.properties, key)));
  });

  for (const wrong of [
    { password: 'x' },
    { v: 2 },
    { host: '' },
    { port: '22' },
    { username: undefined },
    { port: 0 },
  ]) {
    test(`is refused with ${JSON.stringify(wrong)}`, () => {
      assert.throws(() => parseServer({ ...server, ...wrong }), TypeError);
    });
  }
});
