/** Connecting with ssh2-sftp-client's options, against OpenSSH: host keys, logging in, errors, and what comes before and after. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import Client, { type ConnectOptions, type KeyboardPrompt } from '../../../src/ssh2-sftp-client/index.js';
import { startPeer } from '../../support/misbehaving-ssh.js';
import { addUser, makeKey, needsOpenSsh, type TemporaryUser } from '../../support/sshd.js';
import { failureOf, startWorld, type World } from './world.js';

const DENIED = 'getConnection: Host denied (verification failed)';
const NO_METHOD_LEFT = 'getConnection: All configured authentication methods failed';

describe('ssh2-sftp-client, connecting', { skip: needsOpenSsh }, () => {
  let world: World;
  let user: TemporaryUser;
  before(async () => {
    user = addUser('s3cret pass');
    world = await startWorld();
  });
  after(async () => {
    await world[Symbol.asyncDispose]();
    user[Symbol.dispose]();
  });

  /** Connects, looks for what is there, and ends. */
  async function tryOut(options: ConnectOptions): Promise<void> {
    const client = await world.connect(options);
    assert.equal(await client.exists(world.there), 'd');
    assert.equal(await client.end(), true);
  }

  const failure = (options: ConnectOptions) =>
    failureOf(new Client('test', {}).connect({ ...world.options, ...options }));

  async function listen(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
    const server = createServer(onSocket).listen(0, '127.0.0.1');
    t.after(() => server.close());
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  test('a key that nobody has decided on is refused, with the line that pins it', async () => {
    const { knownHosts, hostKeys } = world.sshd;
    const fingerprint = `SHA256:${createHash('sha256')
      .update(Buffer.from(hostKeys.ed25519?.split(' ')[1] ?? '', 'base64'))
      .digest('base64')
      .replace(/=$/, '')}`;
    const others = `${world.here}/known_hosts`;
    writeFileSync(others, `other.example.org ${hostKeys.ed25519}\n`);
    const [message, code] = await failure({ hostVerifier: undefined, knownhosts: others });
    assert.equal(code, 'HOST_KEY_UNKNOWN');
    assert.ok(message.startsWith(`${DENIED}: `), message);
    assert.ok(message.includes(`127.0.0.1:${world.sshd.port} (ssh-ed25519 ${fingerprint})`), message);
    assert.ok(message.endsWith(`fingerprint: '${fingerprint}'`));
    await tryOut({ hostVerifier: undefined, fingerprint });
    await tryOut({ hostVerifier: undefined, knownhosts: knownHosts });
  });

  test('hostVerifier decides by what it returns, promises or passes on', async () => {
    for (const hostVerifier of [
      () => true,
      () => 1,
      async () => true,
      (_key: Buffer, verify: (isValid: boolean) => void) => void setImmediate(verify, true),
    ]) {
      await tryOut({ hostVerifier });
    }
    for (const hostVerifier of [
      () => false,
      async () => false,
      (_key: Buffer, verify: (isValid: boolean) => void) => void setImmediate(verify, false),
    ]) {
      const [message, code] = await failure({ hostVerifier });
      assert.ok(message.startsWith(`${DENIED}: `) && message.endsWith('was refused by the program'), message);
      assert.equal(code, 'HOST_KEY_REFUSED');
    }
    const hostVerifier = () => {
      throw new Error('my own');
    };
    assert.equal((await failure({ hostVerifier }))[0], 'getConnection: my own');
  });

  test('hostVerifier does not overrule a fingerprint that is given beside it', async () => {
    const [message, code] = await failure({
      fingerprint: `SHA256:${'A'.repeat(43)}`,
      hostVerifier: () => true,
    });
    assert.ok(message.startsWith(`${DENIED}: `), message);
    assert.equal(code, 'HOST_KEY_CHANGED');
  });

  test('hostVerifier gets the bytes of the key, or with hostHash the digits of its hash', async () => {
    const [, base64 = ''] = world.sshd.hostKeys.ed25519?.split(' ') ?? [];
    const key = Buffer.from(base64, 'base64');
    const shown: unknown[] = [];
    const hostVerifier = (each: unknown) => shown.push(each) > 0;
    for (const hostHash of [undefined, 'sha256', 'md5']) await tryOut({ hostVerifier, hostHash });
    const hex = (name: string) => createHash(name).update(key).digest('hex');
    assert.deepEqual(shown, [key, hex('sha256'), hex('md5')]);
  });

  test('a password, a private key as text, and one with a passphrase log in', async () => {
    const login = { privateKey: undefined, username: user.name, password: user.password };
    const client = await world.connect(login);
    assert.equal(await client.cwd(), `/home/${user.name}`);
    await client.end();
    await tryOut({
      privateKey: readFileSync(world.sshd.privateKeyPath, 'utf8'),
      port: String(world.sshd.port),
    });
    const path = `${world.here}/encrypted`;
    await makeKey(path, 'ed25519', 'open it');
    const encrypted = { privateKey: readFileSync(path), passphrase: 'open it' };
    assert.deepEqual(await failure(encrypted), [NO_METHOD_LEFT, undefined]);
    const [locked] = await failure({ privateKey: readFileSync(path) });
    assert.match(locked, /^Cannot parse privateKey: /);
    await tryOut({ host: '' });
    await tryOut({ host: 'sftp.invalid', hostname: '127.0.0.1' });
    const names = { host: undefined, hostname: '127.0.0.1', username: undefined, user: user.name };
    await tryOut({ ...names, privateKey: undefined, password: user.password });
  });

  test('only what is given is used to log in', async () => {
    const nothing = { privateKey: undefined, username: user.name };
    assert.deepEqual(await failure(nothing), [NO_METHOD_LEFT, undefined]);
    assert.deepEqual(await failure({ ...nothing, password: 'wrong' }), [NO_METHOD_LEFT, undefined]);
    assert.deepEqual(await failure({ username: undefined }), ['Invalid username', undefined]);
    assert.match((await failure({ privateKey: 'no key' }))[0], /^Cannot parse privateKey: /);
  });

  test('authHandler as a list says what may be used', async () => {
    const both = { username: user.name, password: user.password };
    assert.deepEqual(await failure({ ...both, authHandler: ['publickey'] }).catch(() => ['connected']), [
      'connected',
    ]);
    await tryOut({ ...both, privateKey: undefined, authHandler: ['none', 'password'] });
    const own = { type: 'password', username: user.name, password: user.password };
    await tryOut({ username: undefined, privateKey: undefined, authHandler: [own] });
    assert.match((await failure({ authHandler: () => {} }))[0], /^connect: authHandler cannot be a function/);
  });

  test('the server asks its questions by the event keyboard-interactive, and a password answers one by itself', async (t) => {
    const port = await startPeer(t, {
      onAuthentication: (context) => {
        if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive']);
        context.prompt([{ prompt: 'Password: ', echo: false }], 'Title', 'Read this', ([answer]) =>
          answer === 'secret' ? context.accept() : context.reject(),
        );
      },
      // What an SFTP server begins with: version 3, and no extension.
      onChannel: (channel) =>
        channel.once('data', () => channel.write(Buffer.from('000000050200000003', 'hex'))),
    });
    const login = { ...world.options, privateKey: undefined, port, username: 'me' };
    const client = new Client();
    await client.connect({ ...login, password: 'secret' });
    await client.end();
    const asked: unknown[] = [];
    const answer = (
      name: string,
      instructions: string,
      _language: string,
      prompts: readonly KeyboardPrompt[],
      finish: (answers: readonly string[]) => void,
    ) => {
      asked.push(name, instructions, prompts);
      finish(['secret']);
    };
    client.on('keyboard-interactive', answer);
    await client.connect({ ...login, tryKeyboard: true });
    await client.end();
    assert.deepEqual(asked, ['Title', 'Read this', [{ prompt: 'Password: ', echo: false }]]);
  });

  test('algorithms are lists, or changes to those that there are', async () => {
    const lists = {
      cipher: ['aes256-ctr'],
      kex: ['curve25519-sha256'],
      serverHostKey: ['rsa-sha2-512'],
      hmac: ['hmac-sha2-256'],
      compress: ['none'],
    };
    const client = await world.connect({ algorithms: lists });
    assert.deepEqual(client.sftp?.activeCiphers, ['aes256-ctr', 'aes256-ctr']);
    assert.equal(client.sftp?.remoteServerKey.type, 'ssh-rsa');
    const changes = {
      cipher: { prepend: 'aes192-ctr', remove: [/gcm/] },
      compress: { prepend: 'zlib@openssh.com' },
    };
    const other = await world.connect({ algorithms: changes });
    assert.deepEqual(other.sftp?.activeCiphers, ['aes192-ctr', 'aes192-ctr']);
    assert.deepEqual(other.sftp?.activeCompression, ['zlib@openssh.com', 'zlib@openssh.com']);
    assert.deepEqual(await failure({ algorithms: { cipher: ['nope'] } }), [
      'Unsupported algorithm: nope',
      undefined,
    ]);
    assert.equal(
      (await failure({ algorithms: { cipher: ['aes256-cbc'] } }))[0],
      'getConnection: Handshake failed: no matching C->S cipher',
    );
  });

  test('sock is spoken over in place of TCP, and the address may be bound', async () => {
    const sock = dial(world.sshd.port, world.sshd.host);
    await tryOut({ host: 'sftp.invalid', sock });
    await tryOut({ forceIPv4: true, localAddress: '127.0.0.1' });
    assert.equal(
      (await failure({ sock: {} as never }))[0],
      'connect: sock must be a Duplex stream, as the socket of a proxy is',
    );
    const { host, port } = { host: '127.0.0.1', port: 1 };
    assert.deepEqual(await failure({ host, port, forceIPv4: true }), [
      'getConnection: connect ECONNREFUSED 127.0.0.1:1',
      'ECONNREFUSED',
    ]);
  });

  test('options that have no meaning here are passed over, and debug gets lines', async () => {
    const lines: unknown[] = [];
    const debug = (line: string) => lines.push(line);
    const client = await world.connect({
      ...({ bogus: 1 } as object),
      strictVendor: true,
      agentForward: false,
      keepaliveInterval: 1000,
      keepaliveCountMax: 2,
      compress: true,
      debug,
    });
    await client.list(world.there);
    assert.ok(lines.every((line) => typeof line === 'string'));
    assert.ok(lines.includes(`CLIENT[test]: list ${world.there}`));
    const [message, code] = await failureOf(client.stat(`${world.there}/none`));
    await client.end();
    assert.ok(lines.includes(`CLIENT[test]: ${message} (${code})`));
    assert.ok(lines.includes('CLIENT[test]: end'));
  });

  test('a server that cannot be reached is told with the code of Node', async (t) => {
    assert.deepEqual(await failure({ port: 1 }), [
      'getConnection: connect ECONNREFUSED 127.0.0.1:1',
      'ECONNREFUSED',
    ]);
    const [message, code] = await failure({ host: 'sftp.invalid' });
    assert.match(message, /^getConnection: getaddrinfo (?:ENOTFOUND|EAI_AGAIN) sftp\.invalid$/);
    assert.match(String(code), /^(?:ENOTFOUND|EAI_AGAIN)$/);
    const silent = await listen(t, (socket) => t.after(() => socket.destroy()));
    assert.deepEqual(await failure({ port: silent, readyTimeout: 50 }), [
      'getConnection: Timed out while waiting for handshake',
      'ETIMEDOUT',
    ]);
    for (const farewell of ['', 'HTTP/1.1 400 Bad Request\r\n\r\n']) {
      const closing = await listen(t, (socket) => socket.end(farewell));
      assert.deepEqual(await failure({ port: closing }), [
        'getConnection: Connection lost before handshake',
        'ECONNRESET',
      ]);
    }
    await assert.rejects(new Client('test', {}).connect({ ...world.options, port: 99_999 }), {
      name: 'RangeError',
      code: 'ERR_SOCKET_BAD_PORT',
      message: 'Port should be >= 0 and < 65536. Received type number (99999).',
    });
    await assert.rejects(
      new Client('test', {}).connect(undefined as never),
      /^Error: connect: the options must be an object$/,
    );
  });

  test('retries tries again where the server cannot be reached, and not where it refuses', async (t) => {
    let dials = 0;
    const port = await listen(t, (socket) => {
      dials += 1;
      socket.on('error', () => {});
      if (dials < 3) {
        socket.destroy();
      } else {
        const onward = dial(world.sshd.port, world.sshd.host);
        onward.on('error', () => {});
        socket.pipe(onward).pipe(socket);
      }
    });
    const pauses = { retry_factor: 1, retry_minTimeout: 1 };
    assert.equal((await failure({ port, retries: 2, ...pauses }))[1], 'ECONNRESET');
    assert.equal(dials, 2);
    await tryOut({ port, retries: 2, ...pauses });
    assert.equal(dials, 3);
    const refused = { port, retries: 3, ...pauses, privateKey: undefined, password: 'wrong' };
    assert.equal((await failure(refused))[0], NO_METHOD_LEFT);
    assert.equal(dials, 4);
  });

  test('a client connects once at a time, and again after its end', async () => {
    const client = await world.connect();
    const again = ['connect: An existing SFTP connection is already defined', 'ERR_NOT_CONNECTED'];
    assert.deepEqual(await failureOf(client.connect(world.options)), again);
    assert.equal(await client.end(), true);
    const connecting = client.connect(world.options);
    assert.deepEqual(await failureOf(client.connect(world.options)), again);
    assert.equal(await connecting, client.sftp);
    assert.equal(await client.exists(world.there), 'd');
    await client.end();
    assert.equal(client.sftp, undefined);
  });

  test('end while connecting gives up on it, and the client may connect anew', async (t) => {
    const client = new Client();
    const silent = await listen(t, (socket) => t.after(() => socket.destroy()));
    const connecting = client.connect({ ...world.options, port: silent });
    await client.end();
    assert.deepEqual(await failureOf(connecting), [
      'getConnection: end() was called before the connection was made',
      'ERR_GENERIC_CLIENT',
    ]);
    await client.connect(world.options);
    assert.equal(await client.end(), true);
  });

  test('without a connection every method rejects, before it and after the end', async () => {
    const client = new Client();
    const calls: readonly (readonly [method: string, call: () => unknown])[] = [
      ['list', () => client.list('x')],
      ['exists', () => client.exists('x')],
      ['stat', () => client.stat('x')],
      ['lstat', () => client.lstat('x')],
      ['realPath', () => client.realPath('x')],
      ['cwd', () => client.cwd()],
      ['get', () => client.get('x')],
      ['fastGet', () => client.fastGet('x', 'y')],
      ['put', () => client.put(Buffer.from('x'), 'y')],
      ['fastPut', () => client.fastPut('x', 'y')],
      ['append', () => client.append(Buffer.from('x'), 'y')],
      ['mkdir', () => client.mkdir('x')],
      ['rmdir', () => client.rmdir('x')],
      ['delete', () => client.delete('x')],
      ['rename', () => client.rename('x', 'y')],
      ['posixRename', () => client.posixRename('x', 'y')],
      ['chmod', () => client.chmod('x', 0o644)],
      ['rcopy', () => client.rcopy('x', 'y')],
      ['uploadDir', () => client.uploadDir('x', 'y')],
      ['downloadDir', () => client.downloadDir('x', 'y')],
      ['createReadStream', () => client.createReadStream('x')],
      ['createWriteStream', () => client.createWriteStream('x')],
    ];
    const checkAll = async () => {
      for (const [method, call] of calls) {
        assert.deepEqual(await failureOf((async () => call())()), [
          `${method}: No SFTP connection available`,
          'ERR_NOT_CONNECTED',
        ]);
      }
    };
    await checkAll();
    assert.equal(await client.end(), true);
    await client.connect(world.options);
    await client.end();
    await checkAll();
    assert.equal(await client.end(), true);
  });
});
