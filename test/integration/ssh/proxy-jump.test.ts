import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from '../../../src/connect/connect.js';
import { AuthenticationError, HostKeysError, SftpError, SshError } from '../../../src/errors.js';
import { startPeer } from '../../support/misbehaving-ssh.js';
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

  test('a hop may have a password, known hosts and a key of its own', async () => {
    const [first, second] = hops;
    assert.ok(first !== undefined && second !== undefined);
    const both = [
      { host: '127.0.0.1', port: first.port, username: user.name, password: user.password },
      { host: '127.0.0.1', port: second.port, username: second.user, privateKey: second.privateKeyPath },
    ].map((hop, index) => ({ ...hop, cnopts: { knownhosts: hops[index]?.knownHosts } }));
    const cnopts = { knownhosts: target.knownHosts, agent: false as const, proxyJump: both };
    const sftp = await connect({ ...options(), cnopts });
    assert.equal(await sftp.isdir('/'), true);
    await sftp.close();
    assert.match(first.log(), new RegExp(`Accepted password for ${user.name}`));
    const mixed = [both[0] ?? '', `${second.user}@127.0.0.1:${second.port}`];
    await (
      await connect({ ...options(), cnopts: { ...cnopts, knownhosts: known, proxyJump: mixed } })
    ).close();
  });

  test('a hop with a wrong key is refused before it learns anything', async () => {
    const [first, second] = hops;
    assert.ok(first !== undefined && second !== undefined);
    const text = await readFile(second.knownHosts, 'utf8');
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, text.replaceAll(`:${second.port} `, `:${first.port} `));
    const logins = first.log().match(/Accepted|Failed/g)?.length;
    const { host, port, user: username, privateKeyPath: privateKey } = first;
    for (const trust of [{ knownhosts: wrong }, { fingerprint: `SHA256:${'A'.repeat(43)}` }]) {
      const hop = { host, port, username, privateKey, cnopts: trust };
      await assert.rejects(
        connect({ ...options(), cnopts: { knownhosts: known, proxyJump: [hop] } }),
        (error) => {
          return error instanceof HostKeysError && error.code === 'HOST_KEY_CHANGED';
        },
      );
    }
    assert.equal(first.log().match(/Accepted|Failed/g)?.length, logins);
  });

  test('the pin of the server is not the pin of a hop, and lets no hop pass unknown', async () => {
    const sftp = await connect({ ...options(), cnopts: { knownhosts: known } });
    const { fingerprint } = sftp.remoteServerKey;
    await sftp.close();
    const proxyJump = jump();
    await (await connect({ ...options(), cnopts: { knownhosts: known, fingerprint, proxyJump } })).close();
    const cnopts = { hostkeys: null, fingerprint, proxyJump, agent: false as const };
    await assert.rejects(connect({ ...options(), cnopts }), { code: 'HOST_KEY_UNKNOWN' });
  });

  test('a hop that asks for a password gets its own alone, and none where it has none', async (t) => {
    const seen: string[] = [];
    const port = await startPeer(t, {
      onAuthentication: (context) => {
        seen.push(context.method === 'password' ? `password ${context.password}` : context.method);
        context.reject(['publickey', 'password', 'keyboard-interactive']);
      },
    });
    const login = { host: target.host, port: target.port, username: user.name, password: user.password };
    const base = { knownhosts: target.knownHosts, agent: false as const };
    const hop = { host: '127.0.0.1', port, username: user.name, cnopts: { hostkeys: null } };
    await assert.rejects(connect({ ...login, cnopts: { ...base, proxyJump: [hop] } }), {
      code: 'NO_CREDENTIALS',
      message: /the jump host 127\.0\.0\.1/,
    });
    const withKey = { ...login, privateKey: target.privateKeyPath };
    await assert.rejects(connect({ ...withKey, cnopts: { ...base, proxyJump: [hop] } }), AuthenticationError);
    assert.ok(seen.includes('publickey'));
    const config = join(folder, 'trusting');
    await writeFile(config, 'Host localhost\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n');
    const through = (name: string) =>
      ({ ...base, transport: 'openssh', config, proxyJump: `${user.name}@${name}:${port}` }) as const;
    const before = seen.length;
    await assert.rejects(connect({ ...login, cnopts: through('localhost') }), SftpError);
    assert.ok(seen.length > before);
    assert.ok(seen.every((method) => !method.startsWith('password ')));
    await assert.rejects(connect({ ...login, cnopts: through('127.0.0.1') }), { code: 'HOST_KEY_UNKNOWN' });
    seen.length = 0;
    const own = [{ ...hop, password: 'of the hop' }];
    await assert.rejects(connect({ ...login, cnopts: { ...base, proxyJump: own } }), AuthenticationError);
    assert.deepEqual(
      seen.filter((method) => method.startsWith('password ')),
      ['password of the hop'],
    );
  });

  test('with ssh two of them lead to the server, named together or each by the configuration of the next', async () => {
    const [near, far] = hops;
    const config = join(folder, 'two hops');
    const hostLines = (name: string, hop: Sshd | undefined, more = '') =>
      `Host ${name}\nHostName 127.0.0.1\nPort ${hop?.port}\nUser ${hop?.user}\n${more}`;
    const common = `Host *\nIdentityFile "${target.privateKeyPath}"\nUserKnownHostsFile "${known}"\nGlobalKnownHostsFile none\n`;
    const ssh = { transport: 'openssh', config, agent: false } as const;
    for (const [proxyJump, more] of [
      ['near,far', ''],
      ['far', 'ProxyJump near\n'],
    ] as const) {
      await writeFile(config, hostLines('near', near) + hostLines('far', far, more) + common);
      const before = hops.map((hop) => hop.log().match(/Accepted publickey/g)?.length ?? 0);
      const sftp = await connect({ ...options(), cnopts: { ...ssh, proxyJump } });
      assert.deepEqual(await sftp.execute('echo there'), ['there']);
      await sftp.close();
      const after = hops.map((hop) => hop.log().match(/Accepted publickey/g)?.length ?? 0);
      assert.deepEqual(
        after,
        before.map((count) => count + 1),
      );
    }
    // Whichever of them fails is named.
    const unknown = join(folder, 'known of the near one');
    await writeFile(unknown, await readFile(near?.knownHosts ?? '', 'utf8'));
    const lines =
      hostLines('near', near) + hostLines('far', far, `UserKnownHostsFile "${unknown}"\n`) + common;
    await writeFile(config, lines);
    await assert.rejects(connect({ ...options(), cnopts: { ...ssh, proxyJump: 'near,far' } }), {
      code: 'HOST_KEY_UNKNOWN',
      message: new RegExp(`127\\.0\\.0\\.1:${far?.port} `),
    });
    await writeFile(
      config,
      hostLines('near', near) + hostLines('far', undefined).replace('undefined', '1') + common,
    );
    await assert.rejects(connect({ ...options(), cnopts: { ...ssh, proxyJump: 'near,far' } }), SshError);
  });

  test('what is no hop is refused, and what ssh cannot be told', async () => {
    const go = (proxyJump: unknown, transport: 'ssh2' | 'openssh' = 'ssh2') =>
      connect({ ...options(), cnopts: { knownhosts: known, transport, proxyJump: proxyJump as never } });
    for (const transport of ['ssh2', 'openssh'] as const) {
      for (const hop of [
        { host: '-oProxyCommand=x' },
        { host: 'a b' },
        { host: 7 },
        7,
        null,
        '$(x)',
        'u@h@i',
      ]) {
        await assert.rejects(go([hop], transport), TypeError, JSON.stringify(hop));
      }
      await assert.rejects(go([{ host: 'h', port: 0 }], transport), RangeError);
    }
    await assert.rejects(go([{ host: 'h', password: 'x' }], 'openssh'), { code: 'UNSUPPORTED_OPTION' });
    await (await go([])).close();
    await (await go('none', 'openssh')).close();
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
    // `%r` is the user on the server.
    for (const jump of ['one,two', '%r@one,%r@two']) {
      await writeFile(
        config,
        block('files', target, [`ProxyJump ${jump}`]) +
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
    }
  });
});

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    assert.ok(tries < 500, 'it did not come to pass');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
