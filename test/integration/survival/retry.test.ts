/** A connection that is lost and made again: what goes on, and what must not be repeated. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect as dial } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  ConnectionError,
  ConnectionLostError,
  type ConnectOptions,
  HostKeysError,
  SftpError,
} from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToServer, connectToSshd } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';
import { startSshd } from '../../support/sshd.js';

const RETRY = { attempts: 4, delay: 10, factor: 1, jitter: 0 };
const LARGE = 3_000_000;

for (const { name, skip, start } of serverKinds) {
  describe(`a lost connection to ${name}`, { skip }, () => {
    let server: ServerUnderTest;
    let fingerprint: string;
    before(async () => {
      server = await start();
      const sftp = await server.connect();
      fingerprint = sftp.remoteServerKey.fingerprint;
      await sftp.close();
    });
    after(() => server?.stop());

    const through = ({ port }: FaultProxy, options: ConnectOptions = {}) =>
      server.connect({
        port,
        cnopts: { fingerprint, hostkeys: null, agent: false },
        retry: RETRY,
        ...options,
      });

    for (const atomic of [true, false]) {
      test(`T6: put goes on where it was, ${atomic ? 'atomic' : 'in place'}`, async (t) => {
        const folder = makeFolder(t);
        const content = randomBytes(LARGE);
        writeFileSync(join(folder, 'large'), content);
        const proxy = await startFaultProxy(t, server.port);
        proxy.queue.push({ kind: 'reset', direction: 'toServer', atByte: LARGE * 0.9 });
        const sftp = await through(proxy);
        t.after(() => sftp.close());
        const target = `put ${atomic}`;
        const progress: (readonly [number, number])[] = [];
        const attributes = await sftp.put(join(folder, 'large'), server.path(target), {
          atomic,
          callback: (transferred, total) => progress.push([transferred, total]),
        });
        assert.equal(attributes.size, LARGE);
        assert.deepEqual(readFileSync(join(server.folder, target)), content);
        assert.equal(proxy.connections, 2);
        assert.ok(proxy.passed.toServer < LARGE * 1.8, `${proxy.passed.toServer} bytes were sent`);
        assert.deepEqual(progress.at(-1), [LARGE, LARGE]);
        const figures = progress.map(([transferred]) => transferred);
        assert.deepEqual(
          figures,
          [...figures].sort((a, b) => a - b),
        );
        assert.deepEqual(
          [...snapshot(server.folder).keys()].filter((path) => path.startsWith('.tsftp-')),
          [],
        );
      });
    }

    test('T6: get goes on where it was, and leaves nothing beside the file', async (t) => {
      const folder = makeFolder(t);
      const content = randomBytes(LARGE);
      writeFileSync(join(server.folder, 'down'), content);
      const proxy = await startFaultProxy(t, server.port);
      proxy.queue.push({ kind: 'finish', direction: 'toClient', atByte: LARGE * 0.9 });
      const sftp = await through(proxy);
      t.after(() => sftp.close());
      await sftp.get(server.path('down'), join(folder, 'down'));
      assert.deepEqual(readFileSync(join(folder, 'down')), content);
      assert.deepEqual([...snapshot(folder).keys()], ['down']);
      assert.ok(proxy.passed.toClient < LARGE * 1.8, `${proxy.passed.toClient} bytes were received`);
    });

    test('a source that changes meanwhile is copied from its beginning', async (t) => {
      const folder = makeFolder(t);
      const path = join(server.folder, 'changing');
      writeFileSync(path, randomBytes(LARGE));
      const proxy = await startFaultProxy(t, server.port);
      proxy.queue.push({ kind: 'reset', direction: 'toClient', atByte: LARGE * 0.7 });
      const sftp = await through(proxy, { retry: { ...RETRY, delay: 200 } });
      t.after(() => sftp.close());
      const getting = sftp.get(server.path('changing'), join(folder, 'file'));
      while (proxy.passed.toClient < LARGE * 0.6 || proxy.open > 0) await new Promise(setImmediate);
      const content = randomBytes(LARGE - 1);
      writeFileSync(path, content);
      await getting;
      assert.deepEqual(readFileSync(join(folder, 'file')), content);
    });

    test('without retry the connection stays lost', async (t) => {
      const proxy = await startFaultProxy(t, server.port);
      const sftp = await through(proxy, { retry: false });
      server.cut();
      await assert.rejects(sftp.listdir(server.path('')), ConnectionLostError);
      await assert.rejects(sftp.listdir(server.path('')), ConnectionLostError);
      assert.equal(proxy.connections, 1);
      await sftp.close();
    });

    test('a transfer may have a policy of its own, or none', async (t) => {
      const folder = makeFolder(t);
      writeFileSync(join(folder, 'large'), randomBytes(LARGE));
      const proxy = await startFaultProxy(t, server.port);
      const fault = { kind: 'reset', direction: 'toServer', atByte: LARGE / 2 } as const;
      proxy.queue.push(fault, fault);
      const sftp = await through(proxy, { retry: false });
      await sftp.put(join(folder, 'large'), server.path('own policy'), { retry: { ...RETRY } });
      assert.equal(proxy.connections, 3);
      await sftp.close();
      proxy.queue.push(fault);
      const other = await through(proxy);
      t.after(() => other.close());
      await assert.rejects(
        other.put(join(folder, 'large'), server.path('no policy'), { retry: false }),
        (error) => error instanceof ConnectionLostError && error.transfer !== undefined,
      );
    });

    test('the next call finds the connection made again; what was under way is not repeated', async (t) => {
      const proxy = await startFaultProxy(t, server.port);
      const sftp = await through(proxy, { defaultPath: server.path('') });
      t.after(() => sftp.close());
      mkdirSync(join(server.folder, 'gone'));
      const pending = sftp.rmdir('gone');
      const handle = await sftp.sftpClient.open(server.path('own policy'), 1);
      await pending;
      sftp.timeout = 30_000;
      server.cut();
      await assert.rejects(sftp.sftpClient.fstat(handle), ConnectionLostError);
      assert.ok((await sftp.listdir()).length > 0);
      assert.equal(sftp.timeout, 30_000);
      assert.equal(proxy.connections, 2);
      // A handle of the lost session would be that of another file by now.
      await sftp.sftpClient.open(server.path('own policy'), 1);
      await assert.rejects(sftp.sftpClient.fstat(handle), ConnectionLostError);
    });

    test('after close() nothing is made again', async (t) => {
      const proxy = await startFaultProxy(t, server.port);
      const sftp = await through(proxy);
      await sftp.close();
      await assert.rejects(sftp.listdir(server.path('')), { code: 'CLOSED' });
      const other = await through(proxy);
      server.cut();
      const call = assert.rejects(other.listdir(server.path('')), ConnectionLostError);
      await other.close();
      await call;
      await assert.rejects(other.listdir(server.path('')), { code: 'CLOSED' });
    });

    test('an abort ends the waiting for the next attempt at once', async (t) => {
      const folder = makeFolder(t);
      writeFileSync(join(folder, 'large'), randomBytes(LARGE));
      const proxy = await startFaultProxy(t, server.port);
      proxy.queue.push({ kind: 'reset', direction: 'toServer', atByte: LARGE / 2 });
      const sftp = await through(proxy, { retry: { attempts: 3, delay: 60_000 } });
      t.after(() => sftp.close());
      const abort = new AbortController();
      const putting = sftp.put(join(folder, 'large'), server.path('aborted'), { signal: abort.signal });
      while (proxy.connections < 1 || proxy.open > 0) await new Promise(setImmediate);
      abort.abort('enough');
      await assert.rejects(putting, (reason) => reason === 'enough');
    });

    test('when no attempt succeeds the loss is told, and why', async (t) => {
      const folder = makeFolder(t);
      writeFileSync(join(folder, 'large'), randomBytes(LARGE));
      const proxy = await startFaultProxy(t, server.port);
      proxy.queue.push({ kind: 'reset', direction: 'toServer', atByte: LARGE / 2 });
      proxy.fault = { kind: 'reset', direction: 'toServer', atByte: 10 };
      const sftp = await through(proxy);
      await assert.rejects(sftp.put(join(folder, 'large'), server.path('lost')), (error) => {
        assert.ok(error instanceof ConnectionLostError);
        assert.match(error.message, /; reconnecting failed: /);
        assert.ok((error.transfer?.bytesDone ?? 0) > 0);
        return true;
      });
      assert.equal(proxy.connections, 1 + RETRY.attempts);
      await sftp.close();
    });

    test('connecting is tried again where the line fails, and not where the server says no', async (t) => {
      const proxy = await startFaultProxy(t, server.port);
      const fault = { kind: 'reset', direction: 'toClient', atByte: 100 } as const;
      proxy.queue.push(fault, fault);
      const sftp = await through(proxy);
      assert.equal(proxy.connections, 3);
      await sftp.close();
      proxy.fault = fault;
      await assert.rejects(through(proxy), ConnectionError);
      assert.equal(proxy.connections, 3 + 1 + RETRY.attempts);
      proxy.fault = undefined;
      const wrong = { fingerprint: `SHA256:${'A'.repeat(43)}`, hostkeys: null, agent: false } as const;
      await assert.rejects(through(proxy, { cnopts: wrong }), HostKeysError);
      assert.equal(proxy.connections, 3 + 2 + RETRY.attempts);
    });
  });
}

describe('a server that takes one at a time', { skip: serverKinds[0]?.skip ?? false }, () => {
  const config = ['MaxStartups 1:100:1'];

  test('T15: connecting waits with growing pauses until another has left, and goes on', async (t) => {
    const full = await startSshd({ hostKeyTypes: ['ed25519'], config });
    t.after(() => full.stop());
    const held = dial(full.port, '127.0.0.1');
    t.after(() => held.destroy());
    await once(held, 'data');
    const proxy = await startFaultProxy(t, full.port);
    const options = {
      port: proxy.port,
      cnopts: { knownhosts: undefined, hostkeys: null, agent: false },
    } as const;
    await assert.rejects(connectToSshd(full, { ...options, retry: { attempts: 1, delay: 1 } }), SftpError);
    assert.equal(proxy.connections, 2);
    const connecting = connectToSshd(full, {
      ...options,
      retry: { attempts: 50, delay: 5, factor: 1.2, jitter: 0.5, maxDelay: 200 },
    });
    // Refused again and again; and then the slot is free.
    while (proxy.connections < 6) await new Promise((resolve) => setTimeout(resolve, 1));
    held.destroy();
    const sftp = await connecting;
    t.after(() => sftp.close());
    assert.equal(await sftp.pwd(), await sftp.normalize('.'));
  });

  test('T15: many at once all get in, each in its turn', async (t) => {
    const full = await startSshd({ hostKeyTypes: ['ed25519'], config });
    t.after(() => full.stop());
    const retry = { attempts: 100, delay: 20, factor: 1.3, jitter: 0.5, maxDelay: 300 };
    const connections = await Promise.all(Array.from({ length: 6 }, () => connectToSshd(full, { retry })));
    await Promise.all(connections.map((sftp) => sftp.close()));
  });
});

describe('a connection that is made again', { skip: serverKinds[0]?.skip ?? false }, () => {
  test('is refused where another server answers, and nobody logs in there', async (t) => {
    const first = await startSshd();
    t.after(() => first.stop());
    const second = await startSshd();
    t.after(() => second.stop());
    const [kind] = serverKinds;
    assert.ok(kind);
    let port = first.port;
    const proxy = await startFaultProxy(t, () => port);
    const { connect } = await import('../../../src/index.js');
    const sftp = await connect(first.host, {
      port: proxy.port,
      username: first.user,
      privateKey: first.privateKeyPath,
      // Whatever key it had, it must be the same the second time.
      cnopts: { hostkeys: null, agent: false },
      retry: RETRY,
    });
    t.after(() => sftp.close());
    port = second.port;
    for (const pid of first.children()) process.kill(pid, 'SIGKILL');
    await assert.rejects(sftp.listdir('/'), (error) => {
      // The lost call is the first, the refused connection the second.
      return error instanceof ConnectionLostError || error instanceof HostKeysError;
    });
    await assert.rejects(sftp.listdir('/'), HostKeysError);
    assert.doesNotMatch(second.log(), /Accepted/);
  });
});

test('what a server makes late for a lost connection is not left behind', async (t) => {
  let makeIt = () => {};
  const late = new Promise<undefined>((resolve) => {
    makeIt = () => resolve(undefined);
  });
  let opened = 0;
  const server = await startServer(
    { files: { file: 'old' } },
    {
      faults: {
        failOn: ({ kind, path }) => {
          if (kind !== 'open' || !path?.includes('.tsftp-')) return undefined;
          opened += 1;
          if (opened > 1) return void makeIt();
          server.disconnectAll();
          return late;
        },
      },
    },
  );
  t.after(() => server.close());
  const sftp = await connectToServer(server, { retry: RETRY });
  t.after(() => sftp.close());
  const local = join(makeFolder(t), 'local');
  writeFileSync(local, 'new');
  await sftp.put(local, '/file');
  assert.equal(opened, 2);
  assert.deepEqual(await sftp.listdir('/'), ['file']);
  assert.equal(String(await sftp.readFile('/file')), 'new');
});
