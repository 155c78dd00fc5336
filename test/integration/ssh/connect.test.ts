import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  AuthenticationError,
  ConnectionError,
  ConnectionLostError,
  HostKeysError,
  SshError,
} from '../../../src/errors.js';
import { connectSsh2 } from '../../../src/ssh/builtin/ssh2.js';
import type { Ssh2Options } from '../../../src/ssh/builtin/ssh2-options.js';
import { type CredentialOptions, loadCredentials } from '../../../src/ssh/credentials/credentials.js';
import { HostKeys } from '../../../src/ssh/host-keys/known-hosts.js';
import type { RemoteCommand, SshConnection } from '../../../src/ssh/ssh-connection.js';
import { programOf } from '../../support/child.js';
import {
  addUser,
  type KeyType,
  makeKey,
  needsOpenSsh,
  type Sshd,
  startSshd,
  type TemporaryUser,
} from '../../support/sshd.js';

type Changes = Partial<Omit<Ssh2Options, 'credentials'>> & CredentialOptions;

async function open(sshd: Sshd, changes: Changes = {}): Promise<SshConnection> {
  const explicit = changes.password !== undefined || changes.privateKey !== undefined;
  const credentials = await loadCredentials(
    explicit ? changes : { ...changes, privateKey: sshd.privateKeyPath },
  );
  const hostKeys = changes.hostKeys === undefined ? new HostKeys().load(sshd.knownHosts) : changes.hostKeys;
  return await connectSsh2({
    host: sshd.host,
    port: sshd.port,
    username: sshd.user,
    ...changes,
    hostKeys,
    credentials,
  });
}

async function output(
  command: RemoteCommand,
): Promise<{ stdout: string; stderr: string; exitCode: number | null }> {
  const [stdout, stderr, exit] = await Promise.all([
    text(command.stdout),
    text(command.stderr),
    command.exit,
  ]);
  return { stdout, stderr, exitCode: exit.exitCode };
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function hostKeyError(code: string, ...parts: RegExp[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HostKeysError, String(error));
    assert.equal(error.code, code);
    assert.match(error.fingerprint ?? '', /^SHA256:/);
    for (const part of parts) {
      assert.match(error.message, part);
    }
    return true;
  };
}

describe('connecting to OpenSSH', { skip: needsOpenSsh }, () => {
  let folder = '';
  let sshd: Sshd;
  let user: TemporaryUser;
  const keys: { type: KeyType; path: string; passphrase: string | undefined }[] = [];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-connect-'));
    const authorizedKeys: string[] = [];
    for (const type of ['ed25519', 'ecdsa', 'rsa'] as const) {
      for (const passphrase of [undefined, 'open sesame']) {
        const path = join(folder, `${type}${passphrase === undefined ? '' : '-encrypted'}`);
        authorizedKeys.push(await makeKey(path, type, passphrase));
        keys.push({ type, path, passphrase });
      }
    }
    sshd = await startSshd({ authorizedKeys });
    user = addUser();
  });
  after(async () => {
    user?.[Symbol.dispose]();
    await sshd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('a password lets in, and a wrong one does not', async () => {
    const connection = await open(sshd, { username: user.name, password: user.password });
    assert.equal(connection.username, user.name);
    await connection.close();
    await assert.rejects(open(sshd, { username: user.name, password: 'wrong guess' }), (error) => {
      assert.ok(error instanceof AuthenticationError);
      assert.deepEqual(error.tried, ['password']);
      assert.deepEqual(error.offered, ['publickey', 'password']);
      assert.doesNotMatch(error.message, /wrong guess/);
      return true;
    });
  });

  test('a key of every type lets in, plain and encrypted', async () => {
    for (const { path, passphrase } of keys) {
      const connection = await open(sshd, { privateKey: path, privateKeyPass: passphrase });
      await connection.close();
    }
  });

  test('what was negotiated and the key of the server are told', async () => {
    await using closing = new Closing(await open(sshd));
    const { negotiated, remoteServerKey } = closing.connection;
    assert.match(negotiated.ciphers[0], /gcm/);
    assert.deepEqual(negotiated.compression, ['none', 'none']);
    assert.equal(negotiated.hostKeyAlgorithm, 'ssh-ed25519');
    assert.equal(
      `ssh-ed25519 ${Buffer.from(remoteServerKey.bytes).toString('base64')}`,
      sshd.hostKeys.ed25519,
    );
  });

  test('H1 an unknown host is refused before any authentication packet', async () => {
    await using talkative = await startSshd({ config: ['LogLevel DEBUG1'] });
    const refusal = hostKeyError('HOST_KEY_UNKNOWN', /\n\n {2}\[127\.0\.0\.1\]:\d+ ssh-ed25519 AAAA/);
    await assert.rejects(open(talkative, { hostKeys: new HostKeys() }), refusal);
    await (await open(talkative)).close();
    const [refused, accepted] = talkative
      .log()
      .split(/^Connection from/m)
      .slice(1);
    assert.doesNotMatch(refused ?? '', /userauth-request/);
    assert.match(accepted ?? '', /userauth-request/);
  });

  test('H2 a changed key and a key of another type are told apart, with file, line and command', async () => {
    const other = await makeKey(join(folder, 'other'), 'ed25519');
    const name = `[${sshd.host}]:${sshd.port}`;
    const changed = new HostKeys();
    changed.parse(`# first\n${name} ${other}\n`, 'my_hosts');
    await assert.rejects(
      open(sshd, { hostKeys: changed }),
      hostKeyError('HOST_KEY_CHANGED', /my_hosts:2/, /ssh-keygen -R '\[127\.0\.0\.1\]:\d+' -f my_hosts/),
    );
    const only = await startSshd({ hostKeyTypes: ['ecdsa'] });
    const otherType = new HostKeys();
    otherType.parse(`[${only.host}]:${only.port} ${other}\n`, 'my_hosts');
    await assert
      .rejects(
        open(only, { hostKeys: otherType }),
        hostKeyError('HOST_KEY_OTHER_TYPE', /ssh-ed25519, my_hosts:1/),
      )
      .finally(() => only.stop());
  });

  test('H3 a revoked key is refused although it is trusted too', async () => {
    const hostKeys = new HostKeys().load(sshd.knownHosts);
    hostKeys.parse(`@revoked * ${sshd.hostKeys.ed25519}\n`, 'revoked');
    await assert.rejects(open(sshd, { hostKeys }), hostKeyError('HOST_KEY_REVOKED', /revoked:1/));
  });

  test('H5 a key known for the bare name is not one for another port', async () => {
    const hostKeys = new HostKeys().add(sshd.host, sshd.hostKeys.ed25519 ?? '');
    await assert.rejects(open(sshd, { hostKeys }), hostKeyError('HOST_KEY_UNKNOWN'));
  });

  test('a server with several keys is asked for the one that is known', async () => {
    for (const type of ['rsa', 'ecdsa', 'ed25519'] as const) {
      const hostKeys = new HostKeys().add(`[${sshd.host}]:${sshd.port}`, sshd.hostKeys[type] ?? '');
      const connection = await open(sshd, { hostKeys });
      assert.equal(connection.remoteServerKey.type, sshd.hostKeys[type]?.split(' ')[0]);
      await connection.close();
    }
  });

  test('fingerprints, or no check at all, can stand in for known hosts', async () => {
    const connection = await open(sshd, { hostKeys: null });
    const { fingerprint } = connection.remoteServerKey;
    await connection.close();
    await (await open(sshd, { hostKeys: ['SHA256:another', fingerprint] })).close();
    await assert.rejects(
      open(sshd, { hostKeys: ['SHA256:another'] }),
      hostKeyError('HOST_KEY_CHANGED', /SHA256:another/),
    );
  });

  test('H13 the configured key goes first, so that MaxAuthTries does not end the login', async () => {
    const strict = await startSshd({ config: ['MaxAuthTries 1'] });
    try {
      await (await open(strict)).close();
      await assert.rejects(open(strict, { privateKey: keys[0]?.path }), AuthenticationError);
    } finally {
      await strict.stop();
    }
  });

  test('a command gives its output, its errors and its exit code', async () => {
    await using closing = new Closing(await open(sshd, { username: user.name, password: user.password }));
    const command = await closing.connection.startCommand('cat; echo oops >&2; exit 3');
    command.stdin.end('in and out');
    assert.deepEqual(await output(command), { stdout: 'in and out', stderr: 'oops\n', exitCode: 3 });
  });

  test('a command can be killed, and one that kills itself tells its signal', async () => {
    await using closing = new Closing(await open(sshd));
    const sleeping = await closing.connection.startCommand('sleep 600');
    sleeping.kill();
    await sleeping.exit;
    const suicidal = await closing.connection.startCommand('kill -KILL $$');
    assert.equal((await suicidal.exit).signal, 'SIGKILL');
  });

  test('8 MiB go through a command and come back as they were', async () => {
    await using closing = new Closing(await open(sshd));
    const command = await closing.connection.startCommand('cat');
    const data = Buffer.alloc(8 * 1024 * 1024, 'some text that repeats');
    command.stdin.write(data.subarray(0, 5));
    command.stdin.write(data.subarray(5, 1000));
    command.stdin.end(data.subarray(1000));
    const chunks: Buffer[] = [];
    for await (const chunk of command.stdout) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(data));
  });

  test('a subsystem that fails at once says why', async () => {
    const broken = await startSshd({ sftpCommand: '/bin/sh -c "echo no sftp-server here >&2; exit 7"' });
    try {
      const connection = await open(broken);
      // Its end may come with the answer that it has begun.
      const error = await connection.openSubsystem('sftp').then(
        async (channel) => (await once(channel.resume(), 'error'))[0],
        (reason) => reason,
      );
      assert.ok(error instanceof SshError);
      assert.match(error.message, /subsystem sftp.*status 7/);
      await assert.rejects(connection.openSubsystem('nothing'), (reason) => {
        return (
          reason instanceof SshError &&
          reason.code === 'CHANNEL_REFUSED' &&
          /subsystem nothing/.test(reason.message)
        );
      });
      await connection.close();
    } finally {
      await broken.stop();
    }
  });

  test('T15 a channel beyond MaxSessions is refused, and the connection goes on', async () => {
    const one = await startSshd({ config: ['MaxSessions 1'] });
    try {
      const connection = await open(one);
      // A channel whose subsystem was refused is closed: else it would be the one that is allowed for ever. The
      // server counts it until it has read that.
      await assert.rejects(connection.openSubsystem('nothing'), SshError);
      let first = await connection.openSubsystem('sftp').catch(() => undefined);
      for (let attempt = 0; first === undefined && attempt < 100; attempt++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        first = await connection.openSubsystem('sftp').catch(() => undefined);
      }
      assert.ok(first, 'the refused channel is still open');
      await assert.rejects(
        connection.openSubsystem('sftp'),
        (error) => error instanceof SshError && error.code === 'CHANNEL_REFUSED',
      );
      const ended = once(first.resume(), 'close');
      first.end();
      await ended;
      await connection.close();
    } finally {
      await one.stop();
    }
  });

  test('T10 rekeying every 100 KiB changes nothing in either direction', async () => {
    const rekeying = await startSshd({ config: ['RekeyLimit 100K'] });
    try {
      await using closing = new Closing(await open(rekeying));
      const command = await closing.connection.startCommand('cat');
      const data = Buffer.alloc(2 * 1024 * 1024, 'rekey');
      command.stdin.end(data);
      assert.equal((await text(command.stdout)) === data.toString(), true);
    } finally {
      await rekeying.stop();
    }
  });

  test('T16 when the server is killed, everything pending rejects', async () => {
    const doomed = await startSshd();
    const connection = await open(doomed);
    const command = await connection.startCommand('sleep 600');
    const channel = await connection.openSubsystem('sftp');
    const failed = once(channel, 'error');
    doomed.pause();
    const rejected = assert.rejects(connection.startCommand('echo'), ConnectionLostError);
    await doomed.stop();
    assert.ok((await failed)[0] instanceof ConnectionLostError);
    await assert.rejects(command.exit, ConnectionLostError);
    assert.ok((await connection.closed) instanceof ConnectionLostError);
    await rejected;
    await assert.rejects(connection.openSubsystem('sftp'), ConnectionLostError);
    await connection.close();
  });

  test('closing twice, and using it afterwards, settle', async () => {
    const connection = await open(sshd);
    const channel = await connection.openSubsystem('sftp');
    const failed = once(channel, 'error');
    await Promise.all([connection.close(), connection.close()]);
    await connection.close();
    assert.equal(await connection.closed, undefined);
    assert.equal((await failed)[0].code, 'CONNECTION_CLOSED');
    await assert.rejects(connection.startCommand('true'), ConnectionLostError);
  });

  test('an abort before, during and after connecting has its own reason', async () => {
    const reason = new Error('changed my mind');
    await assert.rejects(open(sshd, { signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const connecting = open(sshd, { signal: controller.signal });
    setImmediate(() => controller.abort(reason));
    await assert.rejects(connecting, reason);
    const late = new AbortController();
    const connection = await open(sshd, { signal: late.signal });
    late.abort(reason);
    assert.equal((await output(await connection.startCommand('echo alive'))).stdout, 'alive\n');
    await assert.rejects(connection.openSubsystem('sftp', { signal: AbortSignal.abort(reason) }), reason);
    await connection.close();
  });

  test('H15 the log holds no secret', async () => {
    const lines: string[] = [];
    const debug = (line: string): void => void lines.push(line);
    await (await open(sshd, { username: user.name, password: user.password, debug })).close();
    await (
      await open(sshd, { privateKey: keys[1]?.path, privateKeyPass: keys[1]?.passphrase, debug })
    ).close();
    assert.ok(lines.length > 10);
    assert.doesNotMatch(lines.join('\n'), new RegExp(`${user.password}|open sesame`));
  });

  test('the process ends by itself after close, and after a failure', async () => {
    for (const username of [sshd.user, 'nobody-of-this-name']) {
      const child = spawn(process.execPath, programOf('test/integration/ssh/connect-and-close.ts'), {
        stdio: 'inherit',
        env: {
          ...process.env,
          TSFTP_PORT: String(sshd.port),
          TSFTP_USER: username,
          TSFTP_KEY: sshd.privateKeyPath,
        },
      });
      const [code] = await once(child, 'exit');
      assert.equal(code, 0);
    }
  });
});

describe('connecting to what is not there', () => {
  const options = { username: 'me', credentials: { keys: [], password: 'x' }, hostKeys: null } as const;

  test('a refused port, and a name that does not exist, say so', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    server.close();
    await once(server, 'close');
    await assert.rejects(connectSsh2({ ...options, host: '127.0.0.1', port }), (error) => {
      assert.ok(error instanceof ConnectionError);
      assert.deepEqual([error.code, error.host, error.port], ['ECONNREFUSED', '127.0.0.1', port]);
      return error.message.includes(`127.0.0.1:${port}`);
    });
    await assert.rejects(connectSsh2({ ...options, host: 'name.invalid', port: 22 }), (error) => {
      return error instanceof ConnectionError && ['ENOTFOUND', 'EAI_AGAIN'].includes(error.code);
    });
  });
});

/** Closes a connection at the end of a block. */
class Closing {
  readonly connection: SshConnection;

  constructor(connection: SshConnection) {
    this.connection = connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.connection.close();
  }
}
