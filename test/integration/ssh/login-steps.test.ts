/** Servers that want several steps of a login: every order that OpenSSH's client manages, with both transports. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { AuthenticationError, type ConnectOptions, connect, listAgentKeys } from '../../../src/index.js';
import { startSshAgent } from '../../support/ssh-agent.js';
import { addUser, makeKey, needsOpenSsh, startSshd, type TemporaryUser } from '../../support/sshd.js';

const METHODS = ['publickey', 'password', 'keyboard-interactive'] as const;

/** Every order of two and of three methods. */
const ORDERS: readonly string[] = METHODS.flatMap((first) =>
  METHODS.filter((one) => one !== first).flatMap((second) => [
    `${first},${second}`,
    ...METHODS.filter((one) => one !== first && one !== second).map((third) => `${first},${second},${third}`),
  ]),
);

const TRANSPORTS = ['ssh2', 'openssh'] as const;

describe('logins in several steps', { skip: needsOpenSsh }, () => {
  let folder = '';
  let user: TemporaryUser;
  let keys: readonly [string, string];
  let authorizedKeys: readonly string[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-steps-'));
    user = addUser();
    keys = [join(folder, 'one'), join(folder, 'other')];
    authorizedKeys = [await makeKey(keys[0], 'ed25519'), await makeKey(keys[1], 'rsa')];
  });
  after(async () => {
    user?.[Symbol.dispose]();
    await rm(folder, { recursive: true, force: true });
  });

  const startWith = (order: string, maxAuthTries: number) =>
    startSshd({
      hostKeyTypes: ['ed25519'],
      authorizedKeys,
      config: [
        'UsePAM yes',
        'KbdInteractiveAuthentication yes',
        `AuthenticationMethods ${order}`,
        `MaxAuthTries ${maxAuthTries}`,
      ],
    });

  const login = async (
    order: string,
    { maxAuthTries = 1, ...options }: ConnectOptions & { readonly maxAuthTries?: number },
  ): Promise<void> => {
    await using sshd = await startWith(order, maxAuthTries);
    const cnopts = { knownhosts: sshd.knownHosts, agent: false, config: false, ...options.cnopts } as const;
    const { port } = sshd;
    await using sftp = await connect(sshd.host, { port, username: user.name, ...options, cnopts });
    assert.equal(await sftp.exists('/'), true);
  };

  for (const order of ORDERS) {
    test(`X19: ${order} lets in whoever has both secrets`, async () => {
      // In the orders of three are all those of two.
      for (const transport of order.split(',').length === 3 ? TRANSPORTS : (['ssh2'] as const)) {
        await login(order, { password: user.password, privateKey: keys[0], cnopts: { transport } });
      }
    });
  }

  test('X19: a server that wants two keys gets both of them, from an agent too', async () => {
    await using agent = await startSshAgent();
    for (const key of keys) agent.add(key);
    for (const transport of TRANSPORTS) {
      const cnopts = { transport, agent: agent.path };
      await login('publickey,publickey', { cnopts, maxAuthTries: 3 });
      const { password } = user;
      await login('publickey,publickey,password', { cnopts, maxAuthTries: 3, password });
    }
  });

  test('X19: a key of an agent is one step, and the next one is asked for behind it', async () => {
    await using agent = await startSshAgent();
    for (const key of keys) {
      agent.add(key);
      const [privateKey] = (await listAgentKeys(agent.path)).slice(-1);
      for (const order of ['publickey,password', 'password,publickey', 'keyboard-interactive,publickey']) {
        await login(order, { password: user.password, privateKey });
      }
    }
  });

  test('X19: a server with several lists of steps is followed along the one that can be finished', async () => {
    const { password } = user;
    for (const transport of TRANSPORTS) {
      await login('password,publickey keyboard-interactive', { password, cnopts: { transport } });
      await login('publickey,password password,keyboard-interactive', { password, cnopts: { transport } });
    }
  });

  test('X19: a second step that cannot be taken fails with the steps that were tried', async () => {
    await using sshd = await startWith('password,publickey', 6);
    const { port, knownHosts: knownhosts } = sshd;
    const options = { port, username: user.name, password: user.password, cnopts: { knownhosts } };
    await assert.rejects(connect(sshd.host, options), (error) => {
      assert.ok(error instanceof AuthenticationError);
      assert.deepEqual([error.tried, error.offered], [['password'], ['publickey']]);
      assert.match(error.message, /one step succeeded/);
      return true;
    });
  });
});
