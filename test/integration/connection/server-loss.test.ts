import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, ConnectionLostError, connect } from '../../../src/index.js';
import { runChild } from '../../support/child.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { optionsForSshd } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

/** Generous beside the second that is promised, so that a busy machine fails no test. */
const DEADLINE_MS = 5_000;
const SIZE = 20 * 1024 * 1024;

interface Scene {
  readonly server: ServerUnderTest;
  readonly sftp: Connection;
  readonly local: string;
}

/** A connection, and large files and trees on both sides. */
async function setScene(t: TestContext, start: () => Promise<ServerUnderTest>): Promise<Scene> {
  const server = await start();
  t.after(() => server.stop());
  const local = makeFolder(t);
  for (const root of [server.folder, local]) {
    mkdirSync(join(root, 'tree/below'), { recursive: true });
    writeFileSync(join(root, 'large'), Buffer.alloc(SIZE, 'x'));
    for (let index = 0; index < 20; index += 1) {
      writeFileSync(join(root, 'tree/below', `${index}`), Buffer.alloc(SIZE / 20, 'x'));
    }
  }
  const sftp = await server.connect();
  t.after(() => sftp.close());
  return { server, sftp, local };
}

type Call = (scene: Scene, onProgress: () => void) => Promise<unknown>;

const transfers: Readonly<Record<string, Call>> = {
  get: ({ sftp, server, local }, callback) =>
    sftp.get(server.path('large'), join(local, 'down'), { callback }),
  put: ({ sftp, server, local }, callback) => sftp.put(join(local, 'large'), server.path('up'), { callback }),
  'atomic put': ({ sftp, server, local }, callback) =>
    sftp.put(join(local, 'large'), server.path('up'), { callback, atomic: true }),
  getR: ({ sftp, server, local }, callback) =>
    sftp.cd(server.path('tree'), () => sftp.getR('.', join(local, 'tree'), { callback })),
  putR: ({ sftp, server, local }, callback) =>
    sftp.putR(join(local, 'tree'), server.path('up'), { callback }),
};

const calls: Readonly<Record<string, Call>> = {
  ...transfers,
  listdir: ({ sftp, server }) => sftp.listdir(server.path('tree')),
  stat: ({ sftp, server }) => sftp.stat(server.path('large')),
  makedirs: ({ sftp, server }) => sftp.makedirs(server.path('a/b/c')),
  chdir: ({ sftp, server }) => sftp.chdir(server.path('tree')),
};

/** Settles in time, and tells how. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  const settled = promise.then(
    (value) => ({ value }),
    (error: unknown) => error,
  );
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('nothing within the deadline'), DEADLINE_MS);
  });
  try {
    return await Promise.race([settled, late]);
  } finally {
    clearTimeout(timer);
  }
}

for (const { name, skip, start } of serverKinds) {
  describe(`a connection to ${name} that is lost`, { skip }, () => {
    for (const [what, call] of Object.entries(transfers)) {
      test(`T16: in the middle of ${what}`, async (t) => {
        const scene = await setScene(t, start);
        const earlier = snapshot(scene.local);
        let cutMs = 0;
        const error = await outcome(
          call(scene, () => {
            if (cutMs === 0) scene.server.cut();
            cutMs ||= performance.now();
          }),
        );
        assert.ok(error instanceof ConnectionLostError, String(error));
        assert.ok(performance.now() - cutMs < DEADLINE_MS);
        const { source, bytesDone } = error.transfer ?? assert.fail('it tells which transfer');
        assert.match(source, /large|tree/);
        assert.ok(bytesDone >= 0 && bytesDone <= SIZE);
        assert.deepEqual(snapshot(scene.local), earlier, 'no local file is damaged or left behind');
        assert.ok((await outcome(scene.sftp.stat('.'))) instanceof ConnectionLostError);
      });
    }

    test('with every kind of call pending: all reject, in time, for one reason', async (t) => {
      const scene = await setScene(t, start);
      const earlier = snapshot(scene.local);
      const running = scene.sftp.run(name === 'OpenSSH' ? 'sleep 1000' : 'hang');
      const hanging = outcome(running);
      // Its channel opens before the server falls silent.
      await scene.sftp.stat('.');
      await scene.sftp.execute('echo');
      scene.server.freeze();
      const pending = Object.entries(calls).map(
        async ([what, call]) => [what, await outcome(call(scene, () => {}))] as const,
      );
      await new Promise(setImmediate);
      scene.server.cut();
      const reasons = new Set<unknown>();
      for (const [what, error] of await Promise.all(pending)) {
        assert.ok(error instanceof ConnectionLostError, `${what}: ${String(error)}`);
        reasons.add(error.transfer === undefined ? error : error.cause);
      }
      assert.ok((await hanging) instanceof ConnectionLostError, String(await hanging));
      assert.equal(reasons.size, 1);
      assert.deepEqual(snapshot(scene.local), earlier);
    });

    test('close settles while the server is silent, and everything pending gets one error', async (t) => {
      const scene = await setScene(t, start);
      const hanging = outcome(scene.sftp.run(name === 'OpenSSH' ? 'sleep 1000' : 'hang'));
      await scene.sftp.execute('echo');
      scene.server.freeze();
      const pending = Object.values(calls).map((call) => outcome(call(scene, () => {})));
      await new Promise(setImmediate);
      const before = performance.now();
      const closings = [scene.sftp.close(), scene.sftp.close(), scene.sftp[Symbol.asyncDispose]()];
      const reasons = await Promise.all([...pending, hanging]);
      await Promise.all(closings);
      assert.ok(performance.now() - before < DEADLINE_MS);
      const causes = reasons.map((error) => {
        assert.ok(error instanceof ConnectionLostError, String(error));
        assert.equal(error.code, 'CLOSED');
        return error.transfer === undefined ? error : error.cause;
      });
      assert.equal(new Set(causes).size, 1);
    });
  });
}

describe('connecting to a server that is lost', { skip: needsOpenSsh }, () => {
  test('before it says anything', async (t) => {
    const sshd = await startSshd();
    t.after(() => sshd.stop());
    process.kill(sshd.pid, 'SIGSTOP');
    const connecting = outcome(connect(sshd.host, optionsForSshd(sshd)));
    await new Promise(setImmediate);
    await sshd.stop();
    const error = await connecting;
    assert.ok(error instanceof Error && error.name === 'ConnectionError', String(error));
  });

  test('a server that accepts and says nothing is given up in time', async (t) => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const cnopts = { fingerprint: 'SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' };
    const options = { port: address.port, password: 'x', cnopts, connectTimeout: 200 };
    const error = await outcome(connect('127.0.0.1', options));
    assert.ok(error instanceof Error && 'code' in error && error.code === 'ETIMEDOUT', String(error));
  });

  test('the process ends by itself after the loss, without closing', async (t) => {
    const sshd = await startSshd();
    t.after(() => sshd.stop());
    const local = makeFolder(t);
    writeFileSync(join(local, 'large'), Buffer.alloc(SIZE));
    const script = `
      const sftp = await tsftp.connect(input.host, input.options);
      const pid = Number((await sftp.execute('echo $PPID'))[0]);
      const outcomes = [];
      const note = (error) => outcomes.push(error?.name ?? 'done');
      const callback = () => { try { process.kill(pid, 'SIGKILL'); } catch {} };
      await Promise.all([
        sftp.put(input.file, input.file + '.up', { callback }).then(note, note),
        sftp.run('sleep 1000').then(note, note),
      ]);
      console.log(JSON.stringify(outcomes));`;
    const input = { host: sshd.host, options: optionsForSshd(sshd), file: join(local, 'large') };
    const { exitCode, stdout, stderr } = await runChild(script, input);
    assert.deepEqual([exitCode, stderr, stdout], [0, '', '["ConnectionLostError","ConnectionLostError"]\n']);
  });
});
