import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { appendFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import {
  AuthenticationError,
  ConnectionError,
  ConnectionLostError,
  CredentialError,
  HostKeysError,
  SshError,
} from '../../../src/errors.js';
import { connect } from '../../../src/index.js';
import { Session } from '../../../src/session/session.js';
import { SftpClient } from '../../../src/session/sftp-client.js';
import { listAgentKeys } from '../../../src/ssh/credentials/agent.js';
import { parsePrivateKey } from '../../../src/ssh/credentials/private-key.js';
import { HostKeys } from '../../../src/ssh/host-keys/known-hosts.js';
import { connectOpenssh } from '../../../src/ssh/openssh/openssh.js';
import type { OpensshOptions } from '../../../src/ssh/openssh/openssh-options.js';
import type { RemoteCommand, SshConnection } from '../../../src/ssh/ssh-connection.js';
import { ownProcesses } from '../../support/processes.js';
import { makePuttyKey } from '../../support/putty-key.js';
import { startSshAgent } from '../../support/ssh-agent.js';
import {
  addUser,
  makeKey,
  needsOpenSsh,
  type Sshd,
  startSshd,
  type TemporaryUser,
} from '../../support/sshd.js';

type Changes = Partial<OpensshOptions>;

async function open(sshd: Sshd, changes: Changes = {}): Promise<SshConnection> {
  return await connectOpenssh({
    host: sshd.host,
    port: sshd.port,
    username: sshd.user,
    config: false,
    hostKeys: new HostKeys().load(sshd.knownHosts),
    ...(changes.password === undefined && { privateKey: sshd.privateKeyPath }),
    ...changes,
  });
}

async function output({ stdin, stdout, stderr, exit }: RemoteCommand, input = '') {
  stdin.end(input);
  const read = async (stream: AsyncIterable<Buffer>): Promise<string> => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  };
  const [out, err, { exitCode }] = await Promise.all([read(stdout), read(stderr), exit]);
  return { out, err, exitCode };
}

/** A part of a password; no port and no process has such a number. */
const SECRET = 'secret of mine';
const SECRET_PATTERN = new RegExp(SECRET);

const sshProcesses = () => ownProcesses().filter(({ commandLine }) => commandLine.startsWith('ssh '));

async function folders(): Promise<readonly string[]> {
  const names = await readdir(tmpdir());
  return names.filter((name) => /^tsftp-[^-]{6}$/.test(name));
}

/** A call that was under way when the connection was lost rejects, and the next one finds it made again. */
async function untilItWorks(call: () => Promise<unknown>): Promise<void> {
  await call().catch((error) => {
    if (!(error instanceof ConnectionLostError)) throw error;
    return call();
  });
}

/** What the files of a private folder hold; its sockets and pipes keep nothing. */
function readFiles(name: string): readonly string[] {
  const entries = readdirSync(join(tmpdir(), name), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return files.map((file) => readFileSync(join(file.parentPath, file.name), 'latin1'));
}

describe('connecting with the system’s ssh', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let user: TemporaryUser;
  let folder = '';
  before(async () => {
    sshd = await startSshd();
    user = addUser(`planted ${SECRET}`);
    folder = await mkdtemp(join(tmpdir(), 'tsftp-openssh-'));
    // So that what others leave behind meanwhile is not taken for ours.
    process.env.TMPDIR = folder;
  });
  after(async () => {
    delete process.env.TMPDIR;
    user?.[Symbol.dispose]();
    await sshd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('files, commands and a second channel go over one connection', async () => {
    const connection = await open(sshd);
    const session = await Session.open(await connection.openSubsystem('sftp'));
    const client = new SftpClient({ session });
    assert.equal((await client.realpath('/')).toString(), '/');
    const again = await Session.open(await connection.openSubsystem('sftp'));
    assert.equal((await new SftpClient({ session: again }).realpath('/')).toString(), '/');
    const ran = await output(await connection.startCommand('cat; echo oops >&2; exit 3'), 'in and out');
    assert.deepEqual(ran, { out: 'in and out', err: 'oops\n', exitCode: 3 });
    const authenticated = sshd.log().match(/Accepted publickey/g)?.length;
    await connection.close();
    assert.equal(await connection.closed, undefined);
    assert.equal(authenticated, 1);
  });

  test('channels that are asked for at once are opened, though others end meanwhile', async () => {
    const connection = await open(sshd);
    // The connection lives as long as its first channel.
    await connection.openSubsystem('sftp');
    const run = async (command: string) => output(await connection.startCommand(command));
    for (let round = 0; round < 3; round++) {
      const channels = [];
      const commands = [];
      for (let turn = 0; turn < 3; turn++) {
        commands.push(run('exit 255'), run('echo here'));
        channels.push(connection.openSubsystem('sftp'));
      }
      for (const { out, exitCode } of await Promise.all(commands)) {
        assert.deepEqual(out, exitCode === 255 ? '' : 'here\n');
      }
      for (const channel of await Promise.all(channels)) {
        const session = await Session.open(channel);
        assert.equal((await new SftpClient({ session }).realpath('/')).toString(), '/');
        channel.destroy();
      }
    }
    await connection.close();
  });

  test('what was negotiated and the key of the server are told', async () => {
    for (const hostKeys of [new HostKeys().load(sshd.knownHosts), null]) {
      const connection = await open(sshd, { hostKeys });
      const { negotiated, remoteServerKey, host, port, username } = connection;
      await connection.close();
      assert.deepEqual([host, port, username], [sshd.host, sshd.port, sshd.user]);
      assert.match(negotiated.ciphers.join(), /^(aes|chacha)\S+,(aes|chacha)/);
      assert.deepEqual(negotiated.compression, ['none', 'none']);
      assert.notEqual(negotiated.kex, 'unknown');
      assert.equal(negotiated.hostKeyAlgorithm, 'ssh-ed25519');
      const bytes = Buffer.from(remoteServerKey.bytes).toString('base64');
      assert.equal(`${remoteServerKey.type} ${bytes}`, sshd.hostKeys.ed25519);
      assert.match(remoteServerKey.fingerprint, /^SHA256:/);
    }
  });

  test('the lists and compression that were asked for are used', async () => {
    const algorithms = { ciphers: ['aes256-ctr'], macs: ['hmac-sha2-512'], compression: true };
    const connection = await open(sshd, { algorithms });
    await connection.close();
    assert.deepEqual(connection.negotiated.ciphers, ['aes256-ctr', 'aes256-ctr']);
    assert.deepEqual(connection.negotiated.macs, ['hmac-sha2-512', 'hmac-sha2-512']);
    assert.deepEqual(connection.negotiated.compression, ['zlib@openssh.com', 'zlib@openssh.com']);
  });

  test('a password is in no argument, environment, file or log, and nothing is left behind', async () => {
    const before = await folders();
    const lines: string[] = [];
    const connection = await open(sshd, {
      username: user.name,
      password: user.password,
      debug: (line) => lines.push(line),
    });
    const [private_ = ''] = (await folders()).filter((name) => !before.includes(name));
    const processes = ownProcesses();
    assert.ok(sshProcesses().length > 0 && private_ !== '');
    assert.doesNotMatch(JSON.stringify(processes), SECRET_PATTERN);
    for (const text of readFiles(private_)) assert.doesNotMatch(text, SECRET_PATTERN);
    assert.ok(lines.length > 20);
    assert.doesNotMatch(lines.join('\n'), SECRET_PATTERN);
    await connection.close();
    assert.deepEqual(
      (await folders()).filter((name) => !before.includes(name)),
      [],
    );
    assert.deepEqual(sshProcesses(), []);
  });

  test('a wrong password, and a key that is not known, tell what was tried and offered', async () => {
    await assert.rejects(open(sshd, { username: user.name, password: 'wrong guess' }), (error) => {
      assert.ok(error instanceof AuthenticationError, String(error));
      assert.ok(error.tried.includes('password'));
      assert.deepEqual(error.offered, ['publickey', 'password']);
      assert.doesNotMatch(error.message, /wrong guess/);
      return true;
    });
    const stranger = join(folder, 'stranger');
    await makeKey(stranger, 'ed25519');
    await assert.rejects(open(sshd, { privateKey: stranger }), (error) => {
      assert.ok(error instanceof AuthenticationError, String(error));
      return error.tried.some((tried) => tried.includes(stranger));
    });
    assert.deepEqual(sshProcesses(), []);
  });

  test('an encrypted key is opened with its passphrase, given or asked for', async () => {
    const path = join(folder, 'encrypted');
    const key = await makeKey(path, 'ed25519', 'open sesame');
    const other = await startSshd({ authorizedKeys: [key] });
    try {
      await (await open(other, { privateKey: path, privateKeyPass: 'open sesame' })).close();
      const asked: string[] = [];
      const onPrompt: NonNullable<OpensshOptions['onPrompt']> = ({ prompts }) => {
        asked.push(...prompts.map(({ prompt }) => prompt));
        return ['open sesame'];
      };
      await (await open(other, { privateKey: path, onPrompt })).close();
      assert.match(asked.join(), /passphrase for key .*encrypted/);
      await assert.rejects(open(other, { privateKey: path, privateKeyPass: 'wrong guess' }), (error) => {
        assert.ok(error instanceof CredentialError, String(error));
        assert.equal(error.code, 'WRONG_PASSPHRASE');
        return !error.message.includes('wrong guess');
      });
    } finally {
      await other.stop();
    }
  });

  test('H1 H2 H3 unknown, changed, revoked and other keys are told apart', async () => {
    const other = await makeKey(join(folder, 'other'), 'ed25519');
    const name = `[${sshd.host}]:${sshd.port}`;
    const keys = (text: string): HostKeys => {
      const hostKeys = new HostKeys();
      hostKeys.parse(text);
      return hostKeys;
    };
    const ecdsaOnly = await startSshd({ hostKeyTypes: ['ecdsa'] });
    const cases = [
      [sshd, 'HOST_KEY_UNKNOWN', new HostKeys()],
      [sshd, 'HOST_KEY_UNKNOWN', keys(`${sshd.host} ${sshd.hostKeys.ed25519}`)],
      [sshd, 'HOST_KEY_CHANGED', keys(`${name} ${other}`)],
      [
        sshd,
        'HOST_KEY_REVOKED',
        keys(`${name} ${sshd.hostKeys.ed25519}\n@revoked * ${sshd.hostKeys.ed25519}`),
      ],
      [ecdsaOnly, 'HOST_KEY_OTHER_TYPE', keys(`[${sshd.host}]:${ecdsaOnly.port} ${other}`)],
    ] as const;
    try {
      const trusts = cases.map(([server, code, hostKeys]) => [server, code, { hostKeys }] as const);
      const pins = [[`SHA256:${'A'.repeat(43)}`], []].map(
        (none) => [sshd, 'HOST_KEY_CHANGED', { pins: none }] as const,
      );
      for (const [server, code, trust] of [...trusts, ...pins]) {
        await assert.rejects(open(server, trust), (error) => {
          assert.ok(error instanceof HostKeysError, String(error));
          assert.equal(error.code, code, error.message);
          assert.match(error.fingerprint ?? '', /^SHA256:/);
          return true;
        });
      }
    } finally {
      await ecdsaOnly.stop();
    }
    const connection = await open(sshd, { hostKeys: null });
    await connection.close();
    const pinned = await open(sshd, { pins: [connection.remoteServerKey.fingerprint] });
    await pinned.close();
    assert.deepEqual(Buffer.from(pinned.remoteServerKey.bytes), connection.remoteServerKey.bytes);
  });

  test('what is not there says so: a port, a name, a subsystem, algorithms, a program, silence', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const connectionError = (code: string) => (error: unknown) => {
      assert.ok(error instanceof ConnectionError, String(error));
      assert.equal(error.code, code, error.message);
      return true;
    };
    const sshError = (code: string, text: RegExp) => (error: unknown) => {
      assert.ok(error instanceof SshError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, text);
      return true;
    };
    await assert.rejects(open(sshd, { port, connectTimeout: 300 }), connectionError('ETIMEDOUT'));
    server.close();
    await once(server, 'close');
    await assert.rejects(open(sshd, { port }), connectionError('ECONNREFUSED'));
    await assert.rejects(open(sshd, { host: 'name.invalid' }), (error) => {
      return error instanceof ConnectionError && ['ENOTFOUND', 'EAI_AGAIN'].includes(error.code);
    });
    const nothing = { type: 'subsystem', name: 'nothing' } as const;
    await assert.rejects(open(sshd, { request: nothing }), sshError('CHANNEL_REFUSED', /nothing/));
    const algorithms = { hostKeyAlgorithms: ['rsa-sha2-512'] };
    const onlyEcdsa = await startSshd({ hostKeyTypes: ['ecdsa'] });
    await assert
      .rejects(open(onlyEcdsa, { algorithms }), sshError('NEGOTIATION_FAILED', /ecdsa-sha2-nistp256/))
      .finally(() => onlyEcdsa.stop());
    await assert.rejects(
      open(sshd, { program: '/nowhere/ssh' }),
      sshError('SSH_NOT_FOUND', /transport: 'ssh2'/),
    );
    const config = join(folder, 'wrong');
    await writeFile(config, 'NoSuchKeyword yes\n');
    await assert.rejects(open(sshd, { config }), sshError('CONFIG_INVALID', /nosuchkeyword/i));
    assert.deepEqual(sshProcesses(), []);
  });

  test('a configuration, with a ProxyCommand and an alias, is followed', async () => {
    const config = join(folder, 'config');
    const lines = [
      'Host files',
      `HostName ${sshd.host}`,
      `Port ${sshd.port}`,
      `User ${sshd.user}`,
      `IdentityFile "${sshd.privateKeyPath}"`,
      `UserKnownHostsFile ${sshd.knownHosts}`,
      `ProxyCommand ssh -F none -i ${sshd.privateKeyPath} -oUserKnownHostsFile=${sshd.knownHosts} -W %h:%p -p ${sshd.port} ${sshd.host}`,
    ];
    await writeFile(config, `${lines.join('\n')}\n`);
    for (const files of [config, [config, join(folder, 'missing')]]) {
      const connection = await connectOpenssh({ host: 'files', config: files });
      assert.equal(connection.port, sshd.port);
      assert.equal((await output(await connection.startCommand('echo there'))).out, 'there\n');
      await connection.close();
    }
    assert.deepEqual(sshProcesses(), []);
  });

  test('X18: a connection that the user’s ssh holds already (ControlMaster) is shared, made again, and stays', async () => {
    const config = join(folder, 'shared-config');
    const socket = join(folder, 'master');
    const known = ['-F', 'none', '-i', sshd.privateKeyPath, '-o', `UserKnownHostsFile=${sshd.knownHosts}`];
    const target = ['-p', String(sshd.port), '-l', sshd.user, sshd.host];
    await promisify(execFile)('ssh', [...known, '-M', '-N', '-f', '-S', socket, ...target]);
    try {
      // Nothing in it can log in by itself.
      await writeFile(config, `Host shared\n  HostName ${sshd.host}\n  Port 1\n  ControlPath ${socket}\n`);
      const connection = await connectOpenssh({ host: 'shared', config, agent: false });
      assert.equal((await output(await connection.startCommand('echo there'))).out, 'there\n');
      const stream = await connection.openSubsystem('sftp');
      const session = await Session.open(stream);
      assert.ok(session.extensions.size > 0);
      await connection.close();
      // Of such a connection no key is known to compare the next one with, and it is made again all the same.
      const cnopts = { transport: 'openssh', config, agent: false } as const;
      const before = ownProcesses().map(({ pid }) => pid);
      const sftp = await connect('shared', { cnopts, retry: { attempts: 3, delay: 1 } });
      const ours = sshProcesses().filter(({ pid }) => !before.includes(pid));
      for (const { pid } of ours) process.kill(pid, 'SIGKILL');
      await assert.doesNotReject(untilItWorks(() => sftp.exists('/')));
      await sftp.close();
      // Whoever pins a key does not take another's word for it.
      const pinned = connectOpenssh({
        host: 'shared',
        config,
        agent: false,
        pins: [`SHA256:${'A'.repeat(43)}`],
      });
      await assert.rejects(pinned, ConnectionError);
      await promisify(execFile)('ssh', ['-F', 'none', '-S', socket, '-O', 'check', 'shared']);
    } finally {
      await promisify(execFile)('ssh', ['-F', 'none', '-S', socket, '-O', 'exit', 'shared']);
    }
  });

  test('T15 a channel beyond MaxSessions is refused, and the connection goes on', async () => {
    const two = await startSshd({ config: ['MaxSessions 2'] });
    try {
      const connection = await open(two);
      const running = await connection.startCommand('cat');
      await assert.rejects(connection.startCommand('true'), (error) => {
        assert.ok(error instanceof SshError, String(error));
        return error.code === 'CHANNEL_REFUSED';
      });
      assert.equal((await output(running, 'still here')).out, 'still here');
      await connection.close();
    } finally {
      await two.stop();
    }
  });

  test('T16 when the server is killed, everything pending rejects', async () => {
    const doomed = await startSshd();
    const connection = await open(doomed);
    const command = await connection.startCommand('sleep 600');
    const channel = await connection.openSubsystem('sftp');
    const failed = once(channel.resume(), 'error');
    await doomed.stop();
    assert.ok((await failed)[0] instanceof ConnectionLostError);
    await assert.rejects(command.exit, ConnectionLostError);
    assert.ok((await connection.closed) instanceof ConnectionLostError);
    await assert.rejects(connection.openSubsystem('sftp'), ConnectionLostError);
    await connection.close();
    assert.deepEqual(sshProcesses(), []);
  });

  test('a server that has stopped answering does not hold up close', async () => {
    const silent = await startSshd();
    const connection = await open(silent);
    const channel = await connection.openSubsystem('sftp');
    silent.pause();
    const failed = once(channel, 'error');
    const start = performance.now();
    await connection.close();
    assert.ok(performance.now() - start < 5_000);
    assert.equal((await failed)[0].code, 'CONNECTION_CLOSED');
    await silent.stop();
    assert.deepEqual(sshProcesses(), []);
  });

  test('a command can be killed; closing twice and use afterwards settle', async () => {
    const connection = await open(sshd);
    const sleeping = await connection.startCommand('sleep 600');
    sleeping.kill();
    await sleeping.exit;
    await Promise.all([connection.close(), connection.close()]);
    await assert.rejects(connection.startCommand('true'), ConnectionLostError);
    await assert.rejects(connection.openSubsystem('sftp'), ConnectionLostError);
  });

  test('an abort before and during connecting has its own reason', async () => {
    const reason = new Error('changed my mind');
    await assert.rejects(open(sshd, { signal: AbortSignal.abort(reason) }), reason);
    for (const ms of [0, 20, 60]) {
      const controller = new AbortController();
      const connecting = open(sshd, { signal: controller.signal });
      setTimeout(() => controller.abort(reason), ms);
      await connecting.then(
        (connection) => connection.close(),
        (error) => assert.equal(error, reason),
      );
    }
    assert.deepEqual(sshProcesses(), []);
  });

  test('a command that a signal ends has the status 255 and no signal, as ssh tells no more', async () => {
    const connection = await open(sshd);
    const { stdin, stdout, exit } = await connection.startCommand('kill -TERM $$');
    stdin.end();
    stdout.resume();
    assert.deepEqual(await exit, { exitCode: 255, signal: null });
    assert.equal((await output(await connection.startCommand('echo on'))).out, 'on\n');
    await connection.close();
  });

  test('a key as text, as bytes, of an agent or in PuTTY’s format signs through an agent of our own', async () => {
    const paths = ['ed25519', 'rsa', 'ecdsa'].map((type) => join(folder, `text_${type}`));
    const authorizedKeys = await Promise.all(
      paths.map((path, index) => makeKey(path, (['ed25519', 'rsa', 'ecdsa'] as const)[index] ?? 'rsa')),
    );
    await using agent = await startSshAgent();
    for (const path of paths) agent.add(path);
    await using server = await startSshd({ authorizedKeys, config: ['PasswordAuthentication no'] });
    const texts = paths.map((path) => readFileSync(path, 'utf8'));
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const putty = join(folder, 'rsa.ppk');
    await writeFile(putty, makePuttyKey(rsa.privateKey, 'open sesame'));
    const { parsed } = parsePrivateKey(makePuttyKey(rsa.privateKey), 'key');
    const line = `ssh-rsa ${parsed.getPublicSSH().toString('base64')}\n`;
    await appendFile(join(server.folder, 'authorized_keys'), line);
    const keys = [...texts, Buffer.from(texts[0] ?? ''), ...(await listAgentKeys(agent.path)), putty];
    const before = await folders();
    for (const privateKey of keys) {
      const connection = await open(server, { privateKey, privateKeyPass: 'open sesame' });
      const seen = JSON.stringify(ownProcesses());
      const [ours = ''] = (await folders()).filter((name) => !before.includes(name));
      for (const text of readFiles(ours)) assert.doesNotMatch(text, /PRIVATE/);
      await connection.close();
      assert.doesNotMatch(seen, /BEGIN|PRIVATE/);
    }
    assert.equal(server.log().match(/Accepted publickey/g)?.length, keys.length);
    assert.deepEqual(await folders(), before);
    // The agent itself is no obstacle.
    await (await open(server, { privateKey: undefined, agent: agent.path })).close();
  });

  test('a key as text that cannot be opened, or that the server does not know, says so', async () => {
    const locked = join(folder, 'locked');
    const key = await makeKey(locked, 'ecdsa', 'open sesame');
    const privateKey = readFileSync(locked, 'utf8');
    await assert.rejects(open(sshd, { privateKey }), { code: 'PASSPHRASE_REQUIRED' });
    await assert.rejects(open(sshd, { privateKey, privateKeyPass: 'wrong guess' }), {
      code: 'WRONG_PASSPHRASE',
    });
    await assert.rejects(open(sshd, { privateKey, privateKeyPass: 'open sesame' }), (error) => {
      assert.ok(error instanceof AuthenticationError, String(error));
      return !/BEGIN|open sesame/.test(error.message);
    });
    await using other = await startSshd({ authorizedKeys: [key] });
    const onPrompt = () => ['open sesame'];
    await (await open(other, { privateKey, onPrompt })).close();
    await assert.rejects(
      open(sshd, {
        privateKey: undefined,
        onPrompt: () => Promise.reject(new Error('gone for lunch')),
        agent: false,
      }),
      new Error('gone for lunch'),
    );
    assert.deepEqual(sshProcesses(), []);
  });

  test('8 MiB go through a command and come back as they were', async () => {
    const connection = await open(sshd);
    const data = 'some text that repeats'.repeat(400_000);
    assert.equal((await output(await connection.startCommand('cat'), data)).out === data, true);
    await connection.close();
  });

  test('A2 what could be taken for something else is refused before anything is started', async () => {
    const before = await folders();
    const hosts = ['-oProxyCommand=touch x', 'u@h', 'h\n-oA', '$(touch x)', '`x`', 'a b', 'ssh://h', ''];
    for (const host of hosts) await assert.rejects(open(sshd, { host }), TypeError, host);
    for (const username of ['-oA', 'u@h', 'a\nb', '$(x)', 'a;b', '']) {
      await assert.rejects(open(sshd, { username }), TypeError, username);
    }
    for (const proxyJump of ['-oA', 'a b', '$(x)', 'a;b@c', 'h:x']) {
      await assert.rejects(open(sshd, { proxyJump }), TypeError, proxyJump);
    }
    await assert.rejects(open(sshd, { algorithms: { ciphers: ['aes128-ctr -oA'] } }), TypeError);
    await assert.rejects(open(sshd, { pins: ["SHA256:'$(x)'"] }), TypeError);
    assert.deepEqual(await folders(), before);
    assert.deepEqual(sshProcesses(), []);
  });
});
