/** Servers as people write them with the package ssh2, after its documentation: they say and do as little as they can. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, type TestContext, test } from 'node:test';
import ssh2 from 'ssh2';
import { AuthenticationError, type ConnectOptions, connect } from '../../../src/index.js';
import { makeHostKey } from '../../support/misbehaving-ssh.js';
import { needsOpenSsh } from '../../support/sshd.js';

/** Refuses without a list of methods, and leaves the end of a channel to the client. */
async function start(t: TestContext, accepted: 'password' | 'keyboard-interactive'): Promise<number> {
  const server = new ssh2.Server({ hostKeys: [makeHostKey()] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', (context) => {
      if (context.method === accepted && context.method === 'password' && context.password === 'secret') {
        context.accept();
      } else if (context.method === accepted && context.method === 'keyboard-interactive') {
        context.prompt([{ prompt: 'Password: ', echo: false }], ([answer]) => {
          if (answer === 'secret') context.accept();
          else context.reject();
        });
      } else {
        context.reject();
      }
    });
    client.on('session', (accept) => {
      accept().on('sftp', (acceptSftp) => {
        const sftp = acceptSftp();
        sftp.on('REALPATH', (id) => sftp.name(id, [{ filename: '/', longname: '/', attrs: {} as never }]));
      });
    });
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server as never, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const TRANSPORTS = ['ssh2', ...(needsOpenSsh ? [] : (['openssh'] as const))] as const;

describe('servers written with ssh2', () => {
  for (const transport of TRANSPORTS) {
    const optionsFor = (port: number, options: ConnectOptions): ConnectOptions => {
      const cnopts = { hostkeys: null, agent: false, config: false, transport } as const;
      return { port, username: 'me', cnopts, ...options };
    };

    test(`a server that refuses without a list of methods lets in who has the password, with ${transport}`, async (t) => {
      for (const method of ['password', 'keyboard-interactive'] as const) {
        const port = await start(t, method);
        await using sftp = await connect('127.0.0.1', optionsFor(port, { password: 'secret' }));
        assert.equal(await sftp.normalize('.'), '/');
        await assert.rejects(connect('127.0.0.1', optionsFor(port, { password: 'wrong' })), (error) => {
          assert.ok(error instanceof AuthenticationError);
          assert.deepEqual(error.offered, []);
          assert.ok(error.tried.includes('password'));
          assert.match(error.message, /Check the user name and the password/);
          return true;
        });
      }
    });

    test(`close() does not wait for a server that never closes the channel, with ${transport}`, async (t) => {
      const port = await start(t, 'password');
      const sftp = await connect('127.0.0.1', optionsFor(port, { password: 'secret' }));
      await sftp.normalize('.');
      const startMs = performance.now();
      await sftp.close();
      assert.ok(performance.now() - startMs < 450, `${performance.now() - startMs} ms`);
    });
  }
});
