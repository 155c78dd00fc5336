import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { type Connection, type ConnectOptions, connect, DEFAULT_ALGORITHMS } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';

/** Copies its input to a socket and back, and tells its process id on stderr. */
const RELAY = `
import { connect } from 'node:net';
const [host, port, user] = process.argv.slice(2);
console.error('relay', process.pid, user);
const socket = connect(Number(port), host);
process.stdin.pipe(socket).pipe(process.stdout);
socket.on('error', (error) => { console.error('relay failed:', error.code); process.exit(3); });
`;

describe('how a server is reached and logged in to', {
  skip: process.platform === 'win32' && 'needs sh',
}, () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ files: { 'readme.txt': 'hello' } });
  });
  after(() => server?.close());

  function open(options: ConnectOptions = {}): Promise<Connection> {
    const { host, port, username, password } = server;
    return connect(host, { port, username, password, fingerprint: server.hostKey.fingerprint, ...options });
  }

  function relay(t: TestContext): string {
    const file = join(makeFolder(t), 'relay.mjs');
    writeFileSync(file, RELAY);
    return `'${process.execPath}' '${file}'`;
  }

  async function untilGone(pid: number): Promise<void> {
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
      try {
        process.kill(pid, 0);
      } catch {
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.fail(`the process ${pid} still runs`);
  }

  test('proxyCommand: its input and output are the connection, and it ends with it', async (t) => {
    const folder = makeFolder(t);
    const told = join(folder, 'told');
    const sftp = await open({ proxyCommand: `${relay(t)} %h %p %r 2>'${told}'` });
    assert.equal(await sftp.readFile('readme.txt', 'utf8'), 'hello');
    const [, pid, user] = readFileSync(told, 'utf8').trim().split(' ');
    assert.equal(user, server.username);
    await sftp.close();
    await untilGone(Number(pid));
  });

  test('proxyCommand: each reconnection runs it anew', async (t) => {
    await using sftp = await open({ proxyCommand: `${relay(t)} %h %p %r`, retry: { delay: 1 } });
    const lost = sftp.stat('readme.txt').catch(() => {});
    server.disconnectAll();
    await lost;
    assert.equal(await sftp.readFile('readme.txt', 'utf8'), 'hello');
  });

  test('proxyCommand: what it says is in the error where it fails', async (t) => {
    await assert.rejects(open({ proxyCommand: `sh -c 'echo no way to %h >&2; exit 7'` }), {
      name: 'SshError',
      code: 'PROXY_FAILED',
      message: new RegExp(
        `^The proxy command did not lead to ${server.host}:${server.port} \\(exit code 7\\): no way to ${server.host};`,
      ),
    });
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
    const address = closed.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    await new Promise((resolve) => closed.close(resolve));
    await assert.rejects(open({ port, proxyCommand: `${relay(t)} %h %p` }), {
      code: 'PROXY_FAILED',
      message: /relay failed: ECONNREFUSED/,
    });
  });

  test('proxyCommand: one that gives nothing is given up in time, and ended', async (t) => {
    const told = join(makeFolder(t), 'pid');
    await assert.rejects(
      open({ proxyCommand: `sh -c 'echo $$ > ${told}; exec sleep 1000'`, connectTimeout: 700 }),
      {
        code: 'ETIMEDOUT',
      },
    );
    await untilGone(Number(readFileSync(told, 'utf8')));
  });

  test('proxyCommand: nothing is run where a shell would read a name, or a token means nothing', async () => {
    const wrong: readonly (readonly [ConnectOptions, RegExp])[] = [
      [{ proxyCommand: 'nc %h %p %r', username: '$(touch x)' }, /cannot stand for %r in proxyCommand/],
      [{ proxyCommand: 'nc %q' }, /% before a letter that means nothing/],
      [{ proxyCommand: ' ' }, /must be a command/],
      [{ proxyCommand: 'x', proxyJump: 'y' }, /proxyCommand and proxyJump are two ways/],
      [{ proxyCommand: 'x', socket: () => assert.fail('called') }, /proxyCommand and socket are two ways/],
    ];
    for (const [options, message] of wrong)
      await assert.rejects(open(options), { name: 'TypeError', message });
    await assert.rejects(open({ proxyCommand: 'x', transport: 'openssh' }), { code: 'UNSUPPORTED_OPTION' });
  });

  test('family and localAddress choose how this machine connects', async () => {
    await using sftp = await open({ family: 4, localAddress: '127.0.0.1' });
    assert.equal(await sftp.exists('readme.txt'), true);
    await assert.rejects(
      connect('127.0.0.1', {
        port: server.port,
        username: 'x',
        password: 'x',
        hostkeys: null,
        localAddress: '192.0.2.1',
      }),
      {
        name: 'ConnectionError',
      },
    );
    await assert.rejects(open({ family: 5 as 4 }), { message: 'family must be 4 or 6' });
    await assert.rejects(open({ localAddress: 'eth0' }), { message: /must be an IP address/ });
  });

  test('authMethods says which login methods are used, and in which order', async () => {
    const error: { tried?: readonly string[] } = await open({
      password: 'wrong',
      authMethods: ['publickey'],
    }).catch((thrown) => thrown);
    assert.deepEqual(error.tried, []);
    await using sftp = await open({ authMethods: ['password', 'publickey'] });
    assert.equal(await sftp.exists('readme.txt'), true);
    await assert.rejects(open({ authMethods: ['passwd' as 'password'] }), {
      name: 'TypeError',
      message:
        "authMethods must be a list of publickey, keyboard-interactive, password; 'passwd' is none of them",
    });
    await assert.rejects(open({ authMethods: [] }), { message: /not an empty list/ });
  });

  test('lists of algorithms are changed, or given whole', async () => {
    await using removed = await open({ ciphers: { remove: ['aes128-gcm@openssh.com'] } });
    assert.deepEqual(removed.securityOptions.ciphers, DEFAULT_ALGORITHMS.ciphers.slice(1));
    await using moved = await open({
      ciphers: { prepend: ['aes256-ctr'], append: ['aes128-gcm@openssh.com', 'aes256-cbc'] },
    });
    assert.equal(moved.activeCiphers[0], 'aes256-ctr');
    assert.deepEqual(moved.securityOptions.ciphers.slice(-2), ['aes128-gcm@openssh.com', 'aes256-cbc']);
    await using given = await open({ ciphers: ['aes192-ctr'] });
    assert.deepEqual(given.activeCiphers, ['aes192-ctr', 'aes192-ctr']);
    await assert.rejects(open({ ciphers: { apend: [] } as object }), { message: /did you mean 'append'/ });
    await assert.rejects(open({ macs: 'hmac-sha1' as never }), { message: /macs must be a list of names/ });
    await assert.rejects(open({ kex: { remove: DEFAULT_ALGORITHMS.kex } }), {
      message: /Nothing is left of/,
    });
  });

  test('a function is a logger', async () => {
    const lines: string[] = [];
    await using sftp = await open({ logger: (level, message) => lines.push(`${level} ${message}`) });
    await sftp.exists('readme.txt');
    assert.ok(
      lines.some((line) => line.startsWith('info connecting to ')),
      lines.join('\n'),
    );
    await assert.rejects(open({ logger: {} as Console }), {
      message: 'logger must be a function, or have the method debug, info, warn, error',
    });
  });

  test('knownHosts and hostKeys are knownhosts and hostkeys, and never both', async (t) => {
    const file = join(makeFolder(t), 'known_hosts');
    const { host, port, hostKey } = server;
    writeFileSync(file, `[${host}]:${port} ${hostKey.publicKey}\n`);
    await using sftp = await open({ fingerprint: undefined, knownHosts: file });
    assert.equal(await sftp.exists('readme.txt'), true);
    await using unchecked = await open({ fingerprint: undefined, cnopts: { hostKeys: null } });
    assert.equal(await unchecked.exists('readme.txt'), true);
    const same = {
      name: 'TypeError',
      message: 'knownHosts and knownhosts are the same option: give one of them',
    };
    await assert.rejects(open({ knownHosts: file, knownhosts: file }), same);
    await assert.rejects(open({ knownHosts: file, cnopts: { knownhosts: file } }), {
      name: 'TypeError',
      message: /given twice/,
    });
  });
});
