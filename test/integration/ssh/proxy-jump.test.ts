import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from '../../../src/connect.js';
import { AuthenticationError, HostKeysError, SftpError, SshError } from '../../../src/errors.js';
import { addUser, needsOpenSsh, type Sshd, startSshd, type TemporaryUser } from '../../support/sshd.js';

describe('going through other hosts', { skip: needsOpenSsh }, () => {
  let target: Sshd;
  let hops: Sshd[] = [];
  let folder = '';
  let known = '';
  let user: TemporaryUser;
  before(async () => {
    target = await startSshd();
    const key = (await readFile(`${target.privateKeyPath}.pub`, 'utf8')).trim();
    // Hops that offer no SFTP.
    const options = { authorizedKeys: [key], sftpCommand: '/bin/false' };
    hops = [await startSshd(options), await startSshd(options)];
    folder = await mkdtemp(join(tmpdir(), 'tsftp-jump-'));
    known = join(folder, 'known_hosts');
    const files = [target, ...hops].map(({ knownHosts }) => readFile(knownHosts, 'utf8'));
    await writeFile(known, (await Promise.all(files)).join(''));
    user = addUser('the password of the target');
  });
  after(async () => {
    user?.[Symbol.dispose]();
    await Promise.all([target, ...hops].map((sshd) => sshd?.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  const jump = (): string => hops.map(({ user: name, port }) => `${name}@127.0.0.1:${port}`).join(',');
  const options = () => ({
    host: target.host,
    port: target.port,
    username: target.user,
    privateKey: target.privateKeyPath,
  });

  test('two of them lead to the server, and are left at the end', async () => {
    const sftp = await connect({ ...options(), cnopts: { knownhosts: known, proxyJump: jump() } });
    assert.deepEqual(
      await sftp.execute('echo there'),
      ['there\n'].map((line) => line.trimEnd()),
    );
    assert.equal(await sftp.isdir('/'), true);
    assert.ok(hops.every((hop) => /Accepted publickey/.test(hop.log())));
    await sftp.close();
    await Promise.all(hops.map((hop) => until(() => hop.children().length === 0)));
  });

  test('each of them must be known', async () => {
    for (const trusted of [[target, hops[0]], [target, hops[1]], hops]) {
      const files = await Promise.all(trusted.map((sshd) => readFile(sshd?.knownHosts ?? '', 'utf8')));
      const some = join(folder, 'some');
      await writeFile(some, files.join(''));
      await assert.rejects(
        connect({ ...options(), cnopts: { knownhosts: some, proxyJump: jump() } }),
        HostKeysError,
      );
    }
    await Promise.all([target, ...hops].map((sshd) => until(() => sshd.children().length === 0)));
  });

  test('a hop never gets the password of the server', async () => {
    const { host, port } = target;
    const login = { host, port, username: user.name, password: user.password };
    const proxyJump = `${user.name}@127.0.0.1:${hops[0]?.port}`;
    const connecting = connect({ ...login, cnopts: { knownhosts: known, proxyJump, agent: false } });
    await assert.rejects(
      connecting,
      (error) => error instanceof SftpError && !(error instanceof HostKeysError),
    );
    assert.doesNotMatch(hops[0]?.log() ?? '', /password for/);
  });

  test('a hop that forwards nothing says so, and a server that is not there too', async () => {
    const strict = await startSshd({
      config: ['AllowTcpForwarding no'],
      authorizedKeys: [(await readFile(`${target.privateKeyPath}.pub`, 'utf8')).trim()],
    });
    try {
      const cnopts = { hostkeys: null, proxyJump: `127.0.0.1:${strict.port}` };
      await assert.rejects(connect({ ...options(), cnopts }), (error) => {
        return error instanceof SshError && error.code === 'CHANNEL_REFUSED';
      });
      await assert.rejects(
        connect({ ...options(), username: 'nobody-there', cnopts: { hostkeys: null, proxyJump: jump() } }),
        AuthenticationError,
      );
    } finally {
      await strict.stop();
    }
  });

  test('the configuration leads the same way, with either transport', async () => {
    const config = join(folder, 'config');
    const block = (name: string, { port, user: who }: Sshd, lines: readonly string[]): string =>
      [`Host ${name}`, 'HostName 127.0.0.1', `Port ${port}`, `User ${who}`, ...lines, ''].join('\n');
    const [first, second] = hops;
    assert.ok(first !== undefined && second !== undefined);
    const common = `Host *\nIdentityFile ${target.privateKeyPath}\nIdentitiesOnly yes\nUserKnownHostsFile ${known}\n`;
    await writeFile(
      config,
      block('files', target, ['ProxyJump one,two']) +
        block('one', first, []) +
        block('two', second, []) +
        common,
    );
    for (const transport of ['ssh2', 'openssh'] as const) {
      const sftp = await connect('files', { cnopts: { config, transport } });
      assert.equal(await sftp.isdir('/'), true, transport);
      assert.match(sftp.activeCiphers.join(), /aes|chacha/);
      await sftp.close();
    }
  });
});

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    assert.ok(tries < 500, 'it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
