/** Whom we trust, and with what we log in, against OpenSSH's own server and agent. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import {
  AuthenticationError,
  type CnOptsFields,
  type ConnectOptions,
  connect,
  HostKeys,
  HostKeysError,
  listAgentKeys,
  type PromptRequest,
  SshError,
} from '../../../src/index.js';
import { optionsForSshd } from '../../support/login.js';
import { type SshAgent, startSshAgent } from '../../support/ssh-agent.js';
import { addUser, makeKey, needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

function withCnopts(sshd: Sshd, cnopts: CnOptsFields, more: ConnectOptions = {}): ConnectOptions {
  const all = { knownhosts: sshd.knownHosts, agent: false, ...cnopts } as const;
  return { ...optionsForSshd(sshd), cnopts: all, ...more };
}

describe('trust in OpenSSH', { skip: needsOpenSsh }, () => {
  let folder = '';
  let sshd: Sshd;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-trust-'));
    sshd = await startSshd();
  });
  after(async () => {
    await sshd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('accept-new adds a server that ssh-keygen then finds, and refuses it when it changes', async () => {
    const knownhosts = join(folder, 'new', 'known_hosts');
    const options = withCnopts(sshd, { knownhosts, hostKeyPolicy: 'accept-new' });
    const sftp = await connect(sshd.host, options);
    const { type } = sftp.remoteServerKey;
    await sftp.close();
    const found = execFileSync('ssh-keygen', ['-F', `[${sshd.host}]:${sshd.port}`, '-f', knownhosts]);
    assert.match(found.toString(), new RegExp(`found: line 1\\s.* ${type} `, 's'));
    await (await connect(sshd.host, withCnopts(sshd, { knownhosts }))).close();
    const other = await makeKey(join(folder, 'other'), 'ed25519');
    await writeFile(knownhosts, `[${sshd.host}]:${sshd.port} ${other}\n`);
    await assert.rejects(
      connect(sshd.host, options),
      (error) => error instanceof HostKeysError && error.code === 'HOST_KEY_CHANGED' && error.line === 1,
    );
  });

  test('H7 a decision that is not true refuses before any authentication packet', async () => {
    await using talkative = await startSshd({ config: ['LogLevel DEBUG1'] });
    const answers: unknown[] = [Promise.resolve(false), null, 0, 'yes'];
    for (const answer of answers) {
      const verifyHostKey = () => answer as boolean;
      await assert.rejects(
        connect(talkative.host, withCnopts(talkative, { verifyHostKey })),
        (error) => error instanceof HostKeysError && error.code === 'HOST_KEY_REFUSED',
      );
    }
    assert.doesNotMatch(talkative.log(), /userauth-request/);
  });

  test('T10 a decision that takes its time is asked once, however often keys are exchanged', async () => {
    await using rekeying = await startSshd({ config: ['RekeyLimit 16K'] });
    let asked = 0;
    const verifyHostKey = async () => {
      asked++;
      await new Promise((resolve) => setImmediate(resolve));
      return true;
    };
    const options = withCnopts(rekeying, { hostkeys: new HostKeys(), verifyHostKey });
    await using sftp = await connect(rekeying.host, options);
    const data = Buffer.alloc(512 * 1024, 'rekey');
    const path = join(folder, 'rekeyed');
    await sftp.putfo(data, path);
    assert.ok((await readFile(path)).equals(data));
    assert.equal(asked, 1);
  });

  test('a pinned fingerprint is enough, and another is refused', async () => {
    const line = execFileSync('ssh-keygen', ['-lf', join(sshd.folder, 'host_ed25519.pub')]).toString();
    const fingerprint = line.split(' ')[1] ?? '';
    const pinned = { hostkeys: new HostKeys(), fingerprint, hostKeyAlgorithms: ['ssh-ed25519'] };
    await (await connect(sshd.host, withCnopts(sshd, pinned))).close();
    const wrong = { ...pinned, fingerprint: `SHA256:${'A'.repeat(43)}` };
    await assert.rejects(connect(sshd.host, withCnopts(sshd, wrong)), HostKeysError);
  });

  test('H6 a @cert-authority line is never taken for the plain key of a server, nor made one by accept-new', async () => {
    await using talkative = await startSshd({ hostKeyTypes: ['ed25519'], config: ['LogLevel DEBUG1'] });
    const name = `[${talkative.host}]:${talkative.port}`;
    const knownhosts = join(folder, 'authority');
    const line = `@cert-authority ${name} ${talkative.hostKeys.ed25519}\n`;
    await writeFile(knownhosts, line);
    for (const hostKeyPolicy of ['strict', 'accept-new'] as const) {
      await assert.rejects(
        connect(talkative.host, withCnopts(talkative, { knownhosts, hostKeyPolicy })),
        (error) => {
          assert.ok(error instanceof HostKeysError, String(error));
          assert.deepEqual([error.code, error.file, error.line], ['HOST_KEY_UNKNOWN', knownhosts, 1]);
          assert.match(error.message, /only an authority for it/);
          return true;
        },
      );
    }
    assert.equal(await readFile(knownhosts, 'utf8'), line);
    assert.doesNotMatch(talkative.log(), /userauth-request/);
    await writeFile(knownhosts, `${line}${name} ${talkative.hostKeys.ed25519}\n`);
    await (await connect(talkative.host, withCnopts(talkative, { knownhosts }))).close();
  });

  test('a configuration may ask for longer RSA keys of servers, and not for shorter ones', async () => {
    const config = join(folder, 'rsa-size');
    for (const [bits, code] of [
      [4096, 'HOST_KEY_REFUSED'],
      [1024, undefined],
    ] as const) {
      await writeFile(config, `RequiredRSASize ${bits}\nHostKeyAlgorithms rsa-sha2-512\n`);
      const outcome = await connect(sshd.host, withCnopts(sshd, { config })).catch((error) => error.code);
      if (code === undefined) await outcome.close();
      else assert.equal(outcome, code);
    }
  });

  test('an old server is an error that names the preset for it, and the preset works', async () => {
    await using old = await startSshd({
      hostKeyTypes: ['rsa'],
      config: [
        'KexAlgorithms diffie-hellman-group14-sha1',
        'HostKeyAlgorithms ssh-rsa',
        'Ciphers aes128-cbc,3des-cbc',
        'MACs hmac-sha1',
        'PubkeyAcceptedAlgorithms ssh-rsa,ssh-ed25519',
      ],
    });
    await assert.rejects(connect(old.host, withCnopts(old, {})), (error) => {
      assert.ok(error instanceof SshError);
      assert.equal(error.code, 'NEGOTIATION_FAILED');
      assert.match(error.message, /We offer: .*The server offers: .*group14-sha1.*algorithms: 'legacy'/);
      return true;
    });
    await using sftp = await connect(old.host, withCnopts(old, { algorithms: 'legacy' }));
    assert.deepEqual([...sftp.activeCiphers], ['aes128-cbc', 'aes128-cbc']);
    assert.ok(sftp.securityOptions.ciphers.includes('3des-cbc'));
  });

  test('the preset for old servers means the same to the system’s ssh', async () => {
    await using old = await startSshd({
      hostKeyTypes: ['rsa'],
      config: [
        'KexAlgorithms diffie-hellman-group14-sha1',
        'HostKeyAlgorithms ssh-rsa',
        'Ciphers aes128-cbc,3des-cbc',
        'MACs hmac-sha1',
      ],
    });
    const openssh = { transport: 'openssh', config: false } as const;
    await assert.rejects(connect(old.host, withCnopts(old, openssh)), (error) => {
      assert.ok(error instanceof SshError, String(error));
      assert.equal(error.code, 'NEGOTIATION_FAILED');
      assert.match(
        error.message,
        /We offer: .*sha256.*The server offers: .*group14-sha1.*algorithms: 'legacy'/,
      );
      return true;
    });
    const legacy = { ...openssh, algorithms: 'legacy' } as const;
    await using sftp = await connect(old.host, withCnopts(old, legacy));
    assert.deepEqual([...sftp.activeCiphers], ['aes128-cbc', 'aes128-cbc']);
    assert.deepEqual([sftp.remoteServerKey.type, await sftp.exists('/')], ['ssh-rsa', true]);
  });

  test('another subsystem, or a command, can speak SFTP; what is refused is closed', async () => {
    await using special = await startSshd({
      config: ['MaxSessions 1', 'Subsystem other /usr/lib/openssh/sftp-server -d /'],
    });
    const serverCommand = `cd ${special.folder} && exec /usr/lib/openssh/sftp-server`;
    for (const cnopts of [{ subsystem: 'other' }, { serverCommand }]) {
      await using sftp = await connect(special.host, withCnopts(special, cnopts));
      assert.equal(await sftp.pwd(), cnopts.serverCommand === undefined ? '/' : special.folder);
    }
    await assert.rejects(
      connect(special.host, withCnopts(special, { subsystem: 'nothing' })),
      (error) => error instanceof SshError && error.code === 'CHANNEL_REFUSED',
    );
    await assert.rejects(
      connect(special.host, withCnopts(special, { serverCommand: 'echo not here >&2; exit 9' })),
      (error) => error instanceof SshError && /status 9.*not here/.test(error.message),
    );
  });
});

describe('logging in to OpenSSH', { skip: needsOpenSsh }, () => {
  let folder = '';
  let agent: SshAgent;
  let sshd: Sshd;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-login-'));
    agent = await startSshAgent();
    const authorizedKeys: string[] = [];
    for (let index = 1; index <= 7; index++) {
      const path = join(folder, `key${index}`);
      const key = await makeKey(path, index === 7 ? 'rsa' : 'ed25519', '', ['-C', `number ${index}`]);
      if (index === 7) authorizedKeys.push(key);
      agent.add(path);
    }
    authorizedKeys.push(await makeKey(join(folder, 'locked'), 'ed25519', 'open sesame'));
    sshd = await startSshd({ authorizedKeys, config: ['MaxAuthTries 6'] });
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await sshd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('H13 seven keys of an agent are too many, and one of them, or a configured key, goes first', async () => {
    const options = withCnopts(sshd, { agent: agent.path });
    await assert.rejects(connect(sshd.host, { ...options, privateKey: undefined }), (error) => {
      assert.ok(error instanceof AuthenticationError, String(error));
      assert.match(
        error.message,
        /Too many authentication failures \(tried: publickey \(number 1 of the agent\)/,
      );
      assert.match(error.message, /Give the one privateKey that fits/);
      return true;
    });
    await (await connect(sshd.host, options)).close();
    const keys = await listAgentKeys(agent.path);
    assert.deepEqual(
      keys.map(({ comment }) => comment),
      [1, 2, 3, 4, 5, 6, 7].map((index) => `number ${index}`),
    );
    await (await connect(sshd.host, { ...options, privateKey: keys[6] })).close();
  });

  test('H11 an agent that is not there is passed over', async () => {
    const options = withCnopts(sshd, { agent: join(folder, 'nowhere') });
    await (await connect(sshd.host, options)).close();
  });

  test('the passphrase of a key is asked for, again if it was wrong, and three times at most', async () => {
    const asked: PromptRequest[] = [];
    const answers = ['wrong guess', 'open sesame'];
    const onPrompt = (request: PromptRequest) => {
      asked.push(request);
      return [answers.shift() ?? 'wrong guess'];
    };
    const options = withCnopts(sshd, { onPrompt }, { privateKey: join(folder, 'locked') });
    await (await connect(sshd.host, options)).close();
    assert.deepEqual(
      asked.map(({ kind, name }) => [kind, name]),
      [
        ['passphrase', join(folder, 'locked')],
        ['passphrase', join(folder, 'locked')],
      ],
    );
    await assert.rejects(connect(sshd.host, options), { code: 'WRONG_PASSPHRASE' });
    assert.equal(asked.length, 5);
  });

  test('a password is asked for where none was given, and the error lists what was tried', async () => {
    using user = addUser('the right one');
    const answers = ['wrong guess', 'the right one'];
    const onPrompt = ({ kind, prompts }: PromptRequest) => {
      assert.deepEqual([kind, prompts.length, prompts[0]?.echo], ['password', 1, false]);
      return [answers.shift() ?? 'wrong guess'];
    };
    const options = withCnopts(sshd, { onPrompt }, { username: user.name, privateKey: join(folder, 'key1') });
    await (await connect(sshd.host, options)).close();
    await assert.rejects(connect(sshd.host, options), (error) => {
      assert.ok(error instanceof AuthenticationError);
      const asked = Array<string>(3).fill('password (asked for)');
      assert.deepEqual(error.tried, [`publickey (${join(folder, 'key1')})`, ...asked]);
      assert.doesNotMatch(inspect(error, { depth: 9 }), /wrong guess/);
      return true;
    });
  });
});

const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
];

describe('exchanging keys again', { skip: needsOpenSsh }, () => {
  for (const [limit, size] of [
    ['16K', 256 * 1024],
    ['128K', 1024 * 1024],
    ['1M', 3 * 1024 * 1024],
  ] as const) {
    test(`T10 every ${limit}, with every cipher, changes nothing in either direction`, async () => {
      await using sshd = await startSshd({ config: [`RekeyLimit ${limit}`], hostKeyTypes: ['ed25519'] });
      const data = Buffer.alloc(size);
      for (let at = 0; at < size; at += 4) data.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
      const path = join(sshd.folder, 'data');
      for (const cipher of CIPHERS) {
        let exchanges = 0;
        const debug = (line: string): void => {
          if (line.includes('Handshake completed')) exchanges++;
        };
        const logger = { debug, info: () => {}, warn: () => {}, error: () => {} };
        await using sftp = await connect(sshd.host, withCnopts(sshd, { ciphers: [cipher], logger }));
        assert.deepEqual([...sftp.activeCiphers], [cipher, cipher]);
        await sftp.putfo(data, path);
        assert.ok((await readFile(path)).equals(data), `put with ${cipher}`);
        const chunks: Buffer[] = [];
        await sftp.getfo(path, {
          write: (chunk: Uint8Array) => chunks.push(Buffer.from(chunk)) > 0,
        } as never);
        assert.ok(Buffer.concat(chunks).equals(data), `get with ${cipher}`);
        assert.ok(exchanges > 3, `${exchanges} exchanges of keys with ${cipher}`);
      }
    });
  }
});
