/** The SFTP server's process ends, and the SSH connection lives: what goes on, and over which connection. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { ConnectionLostError, type ConnectOptions } from '../../../src/index.js';
import { startDelayProxy } from '../../support/delay-proxy.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToSshd } from '../../support/login.js';
import { openBelow } from '../../support/processes.js';
import { needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

const RETRY = { attempts: 3, delay: 1, factor: 1, jitter: 0 };

/** The processes of SFTP sessions, the oldest first. */
function serversOf(sshd: Sshd): readonly number[] {
  const isServer = (pid: number) => readFileSync(`/proc/${pid}/comm`, 'latin1') === 'sftp-server\n';
  return sshd
    .children()
    .filter(isServer)
    .sort((one, other) => one - other);
}

function countLogins(sshd: Sshd): number {
  return sshd.log().split('Accepted publickey').length - 1;
}

for (const transport of ['ssh2', 'openssh'] as const) {
  describe(`the SFTP server's process ends (transport ${transport})`, { skip: needsOpenSsh }, () => {
    let sshd: Sshd;
    before(async () => {
      sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
    });
    after(() => sshd?.stop());

    const open = async (t: TestContext, options: ConnectOptions = { retry: RETRY }) => {
      const logins = countLogins(sshd);
      const cnopts = { knownhosts: sshd.knownHosts, agent: false, transport } as const;
      const sftp = await connectToSshd(sshd, { cnopts, ...options });
      t.after(() => sftp.close());
      const kill = () => {
        for (const pid of serversOf(sshd)) process.kill(pid, 'SIGKILL');
      };
      // The system's ssh ends with the first of its sessions.
      const checkLogins = () => transport === 'openssh' || assert.equal(countLogins(sshd) - logins, 1);
      return { sftp, folder: makeFolder(t), kill, checkLogins };
    };

    test('the next call is answered by a new one over the same connection', async (t) => {
      const { sftp, folder, kill, checkLogins } = await open(t);
      for (let round = 1; round <= 3; round += 1) {
        const pending = sftp.open('/dev/zero').then((file) => file.read(1e9));
        await sftp.stat(folder);
        kill();
        await assert.rejects(pending, ConnectionLostError);
        assert.equal((await sftp.stat(folder)).type, 'directory');
      }
      checkLogins();
    });

    test('put and get go on where they were', async (t) => {
      const { sftp, folder, kill, checkLogins } = await open(t);
      const content = randomBytes(6_000_000);
      writeFileSync(join(folder, 'a'), content);
      for (const copy of ['put', 'get'] as const) {
        let isKilled = false;
        const callback = (transferred: number) => {
          if (isKilled || transferred < 1_000_000) return;
          isKilled = true;
          kill();
        };
        await sftp[copy](join(folder, 'a'), join(folder, copy), { callback });
        assert.equal(isKilled, true);
        assert.ok(content.equals(readFileSync(join(folder, copy))));
      }
      checkLogins();
    });

    test('a tree goes on', async (t) => {
      const { sftp, folder, kill, checkLogins } = await open(t);
      const source = makeFolder(t);
      for (let index = 0; index < 100; index += 1) writeFileSync(join(source, `${index}`), randomBytes(1000));
      let count = 0;
      const callback = () => {
        count += 1;
        if (count === 30) kill();
      };
      await sftp.putR(source, folder, { callback });
      assert.deepEqual(snapshot(folder), snapshot(source));
      checkLogins();
    });

    test('without retry the session is lost, and says so', async (t) => {
      const { sftp, folder, kill } = await open(t, {});
      kill();
      await assert.rejects(
        async () => {
          for (;;) await sftp.stat(folder);
        },
        (error: Error) => error instanceof ConnectionLostError && error.code !== 'CLOSED',
      );
    });
  });
}

test('a put goes on where the server of one of its further channels ends, also without retry', {
  skip: needsOpenSsh,
}, async (t) => {
  const sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
  t.after(() => sshd.stop());
  const proxy = await startDelayProxy(sshd.port, 30);
  t.after(() => proxy[Symbol.asyncDispose]());
  const sftp = await connectToSshd(sshd, { port: proxy.port, cnopts: { hostkeys: null, agent: false } });
  t.after(() => sftp.close());
  const folder = makeFolder(t);
  const content = randomBytes(40 * 1024 * 1024);
  writeFileSync(join(folder, 'source'), content);
  let killed: number | undefined;
  let nextLook = 0;
  const callback = (transferred: number) => {
    // The look into /proc takes a while, and there is a call for each request.
    if (killed !== undefined || transferred < nextLook) return;
    nextLook = transferred + 1024 * 1024;
    const [, second] = serversOf(sshd);
    if (second === undefined || openBelow(folder, second) === 0) return;
    killed = second;
    process.kill(second, 'SIGKILL');
  };
  await sftp.put(join(folder, 'source'), join(folder, 'target'), { callback });
  assert.notEqual(killed, undefined);
  assert.ok(content.equals(readFileSync(join(folder, 'target'))));
  // What has ended is opened again for the next one.
  await sftp.put(join(folder, 'source'), join(folder, 'target'));
  assert.ok(content.equals(readFileSync(join(folder, 'target'))));
});
