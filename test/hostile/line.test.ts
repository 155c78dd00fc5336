/** The rows T6 to T8 of the fault catalogue: what happens to the line between two honest sides. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type Connection, type ConnectOptions, connect, SftpError } from '../../src/index.js';
import { startServer, type TestServer } from '../../src/testing/index.js';
import { type FaultProxy, type LineFault, startFaultProxy } from '../support/fault-proxy.js';
import { makeFolder, snapshot } from '../support/folder.js';

/** Reproducible: the same numbers in every run. */
function randomSource(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Bytes that look random, the same for the same name. */
function contentOf(name: string, length: number): Buffer {
  const seed = createHash('sha256').update(name).digest();
  return Buffer.alloc(length, seed);
}

const TREE: Readonly<Record<string, number>> = { a: 150_000, b: 0, 'd/c': 70_000, 'd/e/f': 33_000, 'd/g': 5 };

function plant(folder: string): void {
  for (const [path, length] of Object.entries(TREE)) {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    writeFileSync(join(folder, path), contentOf(path, length));
  }
}

describe('a line that breaks', () => {
  let root: string;
  let server: TestServer;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), 'tsftp-line-'));
    mkdirSync(join(root, 'tree'));
    plant(join(root, 'tree'));
    server = await startServer({ root });
  });
  after(async () => {
    await server.close();
    rmSync(root, { recursive: true, force: true });
  });

  const open = (proxy: FaultProxy, cnopts = {}, more: ConnectOptions = {}): Promise<Connection> =>
    connect('127.0.0.1', {
      port: proxy.port,
      username: server.username,
      password: server.password,
      cnopts: { fingerprint: server.hostKey.fingerprint, hostkeys: null, agent: false, ...cnopts },
      ...more,
    });

  /** Runs `act` over a connection, and closes it. */
  async function over(proxy: FaultProxy, act: (connection: Connection) => Promise<unknown>): Promise<void> {
    const connection = await open(proxy);
    try {
      await act(connection);
    } finally {
      await connection.close();
    }
  }

  interface Work {
    /** Does it all over one connection. */
    act(connection: Connection): Promise<unknown>;
    /** Throws where something is neither as before nor complete. */
    check(): void;
    /** Throws where not everything has arrived. */
    checkDone(): void;
  }

  const old = Buffer.from('the old content');
  const works: Readonly<Record<string, (t: TestContext, index: number) => Work>> = {
    get: (t) => {
      const path = join(makeFolder(t), 'a');
      writeFileSync(path, old);
      const whole = contentOf('a', 150_000);
      return {
        act: (connection) => connection.get('/tree/a', path),
        check: () => {
          const found = readFileSync(path);
          assert.ok(found.equals(old) || found.equals(whole), `${found.length} bytes`);
        },
        checkDone: () => assert.deepEqual(snapshot(join(path, '..')), snapshotOf({ a: whole })),
      };
    },
    'put, atomic': (t, index) => {
      const source = join(makeFolder(t), 'a');
      const whole = contentOf('a', 150_000);
      const folder = join(root, `put-${index}`);
      mkdirSync(folder);
      writeFileSync(source, whole);
      writeFileSync(join(folder, 'a'), old);
      return {
        act: (connection) => connection.put(source, `/put-${index}/a`, { atomic: true }),
        check: () => {
          const found = readFileSync(join(folder, 'a'));
          assert.ok(found.equals(old) || found.equals(whole), `${found.length} bytes`);
        },
        checkDone: () => assert.ok(readFileSync(join(folder, 'a')).equals(whole)),
      };
    },
    getR: (t) => {
      const folder = makeFolder(t);
      const whole = snapshot(join(root, 'tree'));
      return {
        act: (connection) => connection.getR('/tree', folder),
        check: () => {
          for (const [path, what] of snapshot(folder)) {
            const name = path.replace(/^tree\/?/, '');
            if (name !== '') assert.equal(what, whole.get(name), path);
          }
        },
        checkDone: () => assert.deepEqual(snapshot(join(folder, 'tree')), whole),
      };
    },
    'putR, atomic': (t, index) => {
      const source = makeFolder(t);
      plant(source);
      const whole = snapshot(source);
      const folder = join(root, `put-tree-${index}`);
      return {
        act: (connection) => connection.putR(source, `/put-tree-${index}`, { atomic: true }),
        check: () => {
          mkdirSync(folder, { recursive: true });
          for (const [path, what] of withoutTemporary(snapshot(folder)))
            assert.equal(what, whole.get(path), path);
        },
        checkDone: () => assert.deepEqual(withoutTemporary(snapshot(folder)), whole),
      };
    },
  };

  /** Eight times this: 304 cuts. */
  const CUTS = 38;
  for (const [name, begin] of Object.entries(works)) {
    for (const kind of ['reset', 'finish'] as const) {
      test(`T6: ${name}, ended by a ${kind} at ${CUTS} places, leaves the old or the new and works again`, async (t) => {
        const proxy = await startFaultProxy(t, server.port);
        const label = kind === 'reset' ? 0 : 1000;
        const whole = begin(t, label);
        await over(proxy, whole.act);
        whole.checkDone();
        const { toClient, toServer } = proxy.passed;
        const random = randomSource(7);
        let failures = 0;
        for (let cut = 1; cut <= CUTS; cut += 1) {
          const work = begin(t, label + cut);
          const atByte = random(toClient + toServer);
          const fault: LineFault =
            atByte < toClient
              ? { kind, direction: 'toClient', atByte }
              : { kind, direction: 'toServer', atByte: atByte - toClient };
          proxy.fault = fault;
          await over(proxy, work.act).catch((error: unknown) => {
            failures += 1;
            assert.ok(error instanceof SftpError, `${JSON.stringify(fault)}: ${error}`);
          });
          // What the server had received before the cut, it carries out after it.
          await new Promise((resolve) => setImmediate(resolve));
          work.check();
          proxy.fault = undefined;
          await over(proxy, work.act);
          work.checkDone();
        }
        assert.ok(failures > CUTS / 2, `${failures} of ${CUTS} cuts were felt`);
      });
    }
  }

  test('T6: a bit that turns anywhere on the line ends it with an error, and nothing wrong arrives', async (t) => {
    const proxy = await startFaultProxy(t, server.port);
    const { act, checkDone } = works.get?.(t, 0) ?? assert.fail();
    await over(proxy, act);
    checkDone();
    const random = randomSource(11);
    const { toClient } = proxy.passed;
    for (let turn = 0; turn < 12; turn += 1) {
      const work = works.get?.(t, 0) ?? assert.fail();
      proxy.fault = { kind: 'flip', direction: 'toClient', atByte: random(toClient) };
      // Before the keys are exchanged a length may have grown: then the connect timeout ends it.
      const connecting = open(proxy, {}, { connectTimeout: 1_500 });
      const ended = await connecting.then(
        async (connection) => {
          const failure = await work.act(connection).then(
            () => undefined,
            (error: unknown) => error,
          );
          await connection.close();
          return failure;
        },
        (error: unknown) => error,
      );
      assert.ok(ended === undefined || ended instanceof SftpError, String(ended));
      work.check();
    }
  });

  /** How far each stage of a session goes, in bytes towards the client. */
  async function stages(t: TestContext): Promise<Readonly<Record<string, number>>> {
    const proxy = await startFaultProxy(t, server.port);
    const connection = await open(proxy);
    const opened = proxy.passed.toClient;
    await connection.get('/tree/a', join(makeFolder(t), 'a'));
    const transferred = proxy.passed.toClient;
    await connection.close();
    return {
      'before the identification': 0,
      'in the key exchange': 600,
      'in the login': Math.floor(opened * 0.75),
      'at the opening of the session': opened - 40,
      'in a transfer': opened + Math.floor((transferred - opened) / 2),
    };
  }

  test('T7: silence at any stage is noticed, and close() settles within two seconds', async (t) => {
    for (const [stage, atByte] of Object.entries(await stages(t))) {
      const proxy = await startFaultProxy(t, server.port);
      proxy.fault = { kind: 'silence', direction: 'toClient', atByte };
      const target = join(makeFolder(t), 'a');
      const act = async () => {
        const connection = await open(
          proxy,
          { keepaliveInterval: 100, keepaliveCountMax: 2 },
          { connectTimeout: 700 },
        );
        try {
          await connection.get('/tree/a', target);
        } finally {
          const begin = performance.now();
          await connection.close();
          assert.ok(performance.now() - begin < 2_500, stage);
        }
      };
      await assert.rejects(act(), (error: unknown) => {
        assert.ok(error instanceof SftpError, `${stage}: ${error}`);
        assert.equal(error.code, 'ETIMEDOUT', `${stage}: ${error}`);
        return true;
      });
      assert.deepEqual([...snapshot(join(target, '..')).keys()], [], stage);
    }
  });

  test('T7: silence at the end, when nothing is pending, does not keep close() for more than two seconds', async (t) => {
    const proxy = await startFaultProxy(t, server.port);
    const measured = await open(proxy);
    const { toServer } = proxy.passed;
    await measured.close();
    proxy.fault = { kind: 'silence', direction: 'toServer', atByte: toServer };
    const connection = await open(proxy);
    const begin = performance.now();
    await connection.close();
    assert.ok(performance.now() - begin < 2_500);
  });

  for (const direction of ['toClient', 'toServer'] as const) {
    test(`T7: a line that is slow from its middle on is no dead one: ${direction}`, async (t) => {
      const proxy = await startFaultProxy(t, server.port);
      const { 'in a transfer': atByte = 0 } = await stages(t);
      const fault: LineFault = { kind: 'delay', direction, atByte: Math.floor(atByte / 4), delayMs: 120 };
      proxy.fault = fault;
      const [down, up] = ['get', 'put, atomic'].map(
        (name) => works[name]?.(t, direction === 'toClient' ? 5000 : 5001) ?? assert.fail(),
      );
      // Each keepalive would be late, but what comes at all is a sign of life.
      const connection = await open(proxy, { keepaliveInterval: 100, keepaliveCountMax: 3 });
      await down?.act(connection);
      await up?.act(connection);
      await connection.close();
      down?.checkDone();
      up?.checkDone();
    });
  }

  test('T7: an answer that comes later than the connect timeout is none', async (t) => {
    const proxy = await startFaultProxy(t, server.port);
    proxy.fault = { kind: 'delay', direction: 'toClient', atByte: 100, delayMs: 1_000 };
    await assert.rejects(open(proxy, {}, { connectTimeout: 300 }), { code: 'ETIMEDOUT' });
  });

  test('T8: a byte now and then is no progress', async (t) => {
    const { 'in a transfer': atByte = 0 } = await stages(t);
    const proxy = await startFaultProxy(t, server.port);
    proxy.fault = { kind: 'trickle', direction: 'toClient', atByte, bytes: 1, everyMs: 20 };
    const connection = await open(proxy, { keepaliveInterval: 150, keepaliveCountMax: 2 });
    const target = join(makeFolder(t), 'a');
    await assert.rejects(connection.get('/tree/a', target), { code: 'ETIMEDOUT' });
    await connection.close();
  });
});

function snapshotOf(files: Readonly<Record<string, Buffer>>): Map<string, string> {
  return new Map(
    Object.entries(files).map(([name, bytes]) => [name, createHash('sha256').update(bytes).digest('hex')]),
  );
}

/** A cut connection cannot take its temporary file back. */
function withoutTemporary(found: Map<string, string>): Map<string, string> {
  return new Map([...found].filter(([path]) => !/\.tsftp-[0-9a-f-]+\.part$/.test(path)));
}
