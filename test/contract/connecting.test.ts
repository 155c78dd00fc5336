import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { CnOpts, connect, HostKeys, knownHosts, type Logger } from '../../src/index.js';
import { startServer } from '../../src/testing/index.js';
import { describeTransports } from './world.js';

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tsftp-connecting-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

describeTransports('Connection', ({ open, isOpenSsh, isSystemSsh, test }) => {
  test('takes everything in one object, as from a store', async (t) => {
    const { login, home } = await open(t);
    await using sftp = await connect({ ...login, defaultPath: home });
    assert.equal(sftp.getcwd(), home);
  });

  test('is closed at the end of the block', async (t) => {
    const { login } = await open(t);
    let kept: Awaited<ReturnType<typeof connect>>;
    {
      await using sftp = await connect(login);
      kept = sftp;
      await sftp.listdir();
    }
    await assert.rejects(kept.listdir(), { name: 'ConnectionLostError', code: 'CLOSED' });
  });

  test('rejects a default path that is no directory, and leaves nothing open', async (t) => {
    const { login, home } = await open(t);
    await assert.rejects(connect({ ...login, defaultPath: `${home}/nowhere` }), { code: 'ENOENT' });
    await assert.rejects(connect({ ...login, defaultPath: `${home}/readme.txt` }), { code: 'ENOTDIR' });
  });

  test('active_ciphers and active_compression are pairs', async (t) => {
    const { sftp } = await open(t);
    const { activeCiphers } = sftp;
    // The system's ssh has an order of its own.
    const cipher = isSystemSsh ? activeCiphers[0] : 'aes128-gcm@openssh.com';
    assert.deepEqual(activeCiphers, [cipher, cipher]);
    assert.ok(sftp.securityOptions.ciphers.includes(cipher));
    assert.deepEqual(sftp.activeCompression, ['none', 'none']);
  });

  test('compression may be switched on', async (t) => {
    const { login } = await open(t);
    await using sftp = await connect({ ...login, cnopts: { ...login.cnopts, compression: true } });
    assert.deepEqual(sftp.activeCompression, ['zlib@openssh.com', 'zlib@openssh.com']);
  });

  test('ciphers are used in the order given', async (t) => {
    const { login } = await open(t);
    const ciphers = ['aes256-ctr', 'aes128-ctr'];
    await using sftp = await connect({ ...login, cnopts: { ...login.cnopts, ciphers } });
    assert.deepEqual(sftp.activeCiphers, ['aes256-ctr', 'aes256-ctr']);
    assert.deepEqual(sftp.securityOptions.ciphers, ciphers);
  });

  test('security_options lists ciphers, digests, key types and key exchanges, best first', async (t) => {
    const { sftp } = await open(t);
    const { ciphers, digests, keyTypes, kex } = sftp.securityOptions;
    // The system's ssh has lists of its own.
    const first = (list: readonly string[], name: string) =>
      isSystemSsh ? assert.ok(list.includes(name)) : assert.equal(list[0], name);
    first(ciphers, 'aes128-gcm@openssh.com');
    first(digests, 'hmac-sha2-256-etm@openssh.com');
    first(keyTypes, 'ssh-ed25519');
    first(kex, 'curve25519-sha256');
  });

  test('remote_server_key is the key that the server has', async (t) => {
    const { sftp } = await open(t);
    assert.equal(sftp.remoteServerKey.type, 'ssh-ed25519');
    assert.match(sftp.remoteServerKey.fingerprint, /^SHA256:[\w+/]{43}$/);
  });

  test('timeout is null unless set, and can be set and read', async (t) => {
    const { sftp } = await open(t);
    assert.equal(sftp.timeout, null);
    sftp.timeout = 10_000;
    assert.equal(sftp.timeout, 10_000);
    assert.throws(() => {
      sftp.timeout = -1;
    }, RangeError);
    sftp.timeout = null;
    await sftp.listdir();
  });

  test('sftp_client is the session under it', async (t) => {
    const { sftp, home } = await open(t);
    const { sftpClient } = sftp;
    assert.equal((await sftpClient.stat(`${home}/readme.txt`)).size, 8192);
  });

  test('logfile is false without a log', async (t) => {
    const { sftp } = await open(t);
    assert.equal(sftp.logfile, false);
  });

  test('cnopts.log = true logs to a temporary file that only its owner may read', async (t) => {
    const { login } = await open(t);
    const cnopts = new CnOpts({ ...login.cnopts, log: true });
    const { logfile } = cnopts;
    assert.ok(logfile !== false);
    t.after(() => rmSync(join(logfile, '..'), { recursive: true }));
    const sftp = await connect({ ...login, cnopts });
    assert.equal(sftp.logfile, logfile);
    await sftp.listdir('.');
    await sftp.close();
    const text = readFileSync(logfile, 'utf8');
    assert.match(text, /INFO connecting to 127\.0\.0\.1/);
    assert.match(text, /DEBUG opendir '\.'/);
    assert.equal(statSync(logfile).mode & 0o077, 0);
  });

  test('a log is added to the file that is named, and closed with the connection', async (t) => {
    const { login } = await open(t);
    const log = join(folder(t), 'my.log');
    writeFileSync(log, 'kept\n');
    for (let round = 0; round < 2; round += 1) {
      const sftp = await connect({ ...login, cnopts: { ...login.cnopts, log } });
      assert.equal(sftp.logfile, log);
      await sftp.close();
    }
    const text = readFileSync(log, 'utf8');
    assert.match(text, /^kept\n/);
    assert.equal(text.match(/INFO connecting/g)?.length, 2);
  });

  test('a log that cannot be written is an error before anything is sent', async (t) => {
    const { login } = await open(t);
    const log = '/no/such/folder/my.log';
    await assert.rejects(connect({ ...login, cnopts: { ...login.cnopts, log } }), { code: 'ENOENT' });
  });

  test('H15: no secret is in a log or given to a logger, also where the login fails', async (t) => {
    const { login } = await open(t);
    const log = join(folder(t), 'my.log');
    const lines: string[] = [];
    const note = (line: string) => void lines.push(line);
    const logger: Logger = { debug: note, info: note, warn: note, error: note };
    const cnopts = { ...login.cnopts, log, logger };
    const secrets = ['planted-password-1', 'planted-passphrase-2'];
    const [password, privateKeyPass] = secrets as [string, string];
    await assert.rejects(connect({ ...login, username: 'nobody', password, privateKeyPass, cnopts }));
    const sftp = await connect({ ...login, ...(isOpenSsh && { password, privateKeyPass }), cnopts });
    await sftp.stat('.');
    await sftp.close();
    assert.ok(lines.length > 10);
    for (const secret of [...secrets, ...(isOpenSsh ? [] : [login.password ?? ''])]) {
      const clean = login.username === secret ? /USERAUTH.*test/ : new RegExp(secret);
      assert.doesNotMatch(readFileSync(log, 'utf8'), clean);
      assert.doesNotMatch(lines.join('\n'), clean);
    }
  });

  test('a logger that throws stops nothing', async (t) => {
    const { login } = await open(t);
    const fail = () => {
      throw new Error('no');
    };
    const logger = { debug: fail, info: fail, warn: fail, error: fail };
    await using sftp = await connect({ ...login, cnopts: { ...login.cnopts, logger } });
    await sftp.listdir();
  });

  test('hostkeys = null connects without a check, and warns once in the log', async (t) => {
    const { login } = await open(t);
    const warnings: string[] = [];
    const ignore = () => {};
    const logger = {
      debug: ignore,
      info: ignore,
      error: ignore,
      warn: (line: string) => warnings.push(line),
    };
    const cnopts = new CnOpts({ hostkeys: null, agent: false, logger });
    await using sftp = await connect({ ...login, cnopts });
    await sftp.listdir();
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /hostkeys is null/);
  });

  test('an unknown host is refused with its fingerprint', async (t) => {
    const { login, sftp } = await open(t);
    const { fingerprint } = sftp.remoteServerKey;
    const cnopts = { hostkeys: new HostKeys(), agent: false as const };
    await assert.rejects(connect({ ...login, cnopts }), { code: 'HOST_KEY_UNKNOWN', fingerprint });
  });

  test('.hostkeys.load() merges a further known_hosts file', async (t) => {
    const { login, sftp } = await open(t);
    const { type, bytes } = sftp.remoteServerKey;
    const file = join(folder(t), 'extra');
    const key = `${type} ${Buffer.from(bytes).toString('base64')}`;
    writeFileSync(file, `[${login.host}]:${login.port} ${key}\n`);
    const cnopts = new CnOpts({ hostkeys: new HostKeys(), agent: false });
    cnopts.hostkeys?.load(file);
    assert.equal(cnopts.getHostkey(login.host, login.port).type, type);
    await using _ = await connect({ ...login, cnopts });
  });
});

describe('CnOpts', () => {
  test('a known_hosts file that is named and missing, or without a key, is an error', (t) => {
    const empty = join(folder(t), 'empty');
    writeFileSync(empty, '# nothing\n');
    for (const knownhosts of ['/no/such/file', empty, [empty]]) {
      assert.throws(() => new CnOpts({ knownhosts }), {
        name: 'HostKeysError',
        code: 'KNOWN_HOSTS_UNUSABLE',
      });
    }
  });

  test('knownHosts() is the default path', () => {
    assert.equal(knownHosts(), join(homedir(), '.ssh', 'known_hosts'));
  });

  test('a missing default file gives no keys, and a warning in the log', async (t) => {
    const home = process.env.HOME;
    process.env.HOME = folder(t);
    t.after(() => {
      process.env.HOME = home;
    });
    const warnings: string[] = [];
    const ignore = () => {};
    const logger = {
      debug: ignore,
      info: ignore,
      error: ignore,
      warn: (line: string) => warnings.push(line),
    };
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    const cnopts = new CnOpts({ logger, agent: false });
    assert.equal(cnopts.hostkeys?.size, 0);
    const { host, port, username, password } = server;
    await assert.rejects(connect({ host, port, username, password, cnopts }), { code: 'HOST_KEY_UNKNOWN' });
    assert.equal(server.counters.refusedLogins + server.counters.logins, 0);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /cannot read the known_hosts file .*ENOENT/);
  });

  test('getHostkey gives the key that is known, by the port too, and never a revoked one', async (t) => {
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    const key = server.hostKey.publicKey;
    const hostkeys = new HostKeys();
    hostkeys.parse(
      `a.example ${key}\n[b.example]:2222 ${key}\nc.example ${key}\n@revoked c.example ${key}\n`,
    );
    const cnopts = new CnOpts({ hostkeys });
    assert.equal(cnopts.getHostkey('a.example').type, 'ssh-ed25519');
    assert.equal(cnopts.getHostkey('b.example', 2222).type, 'ssh-ed25519');
    assert.equal(cnopts.getHostkey('[b.example]:2222').type, 'ssh-ed25519');
    for (const host of ['b.example', 'c.example', 'other']) {
      assert.throws(() => cnopts.getHostkey(host), { name: 'HostKeysError', code: 'HOST_KEY_UNKNOWN' });
    }
    cnopts.hostkeys = null;
    assert.throws(() => cnopts.getHostkey('a.example'), { code: 'HOST_KEY_UNKNOWN' });
  });

  test('fields that cannot be meant are refused before anything is sent', async (t) => {
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    const { host, port, username, password } = server;
    const wrong = [
      [{ hostkeys: false }, 'hostkeys must be a HostKeys, or null for no check at all'],
      [{ hostkeys: {} }, 'hostkeys must be a HostKeys, or null for no check at all'],
      [{ hostkeys: null, fingerprint: 7 }, "fingerprint must be a string 'SHA256:…', or several of them"],
      [
        { hostkeys: null, fingerprint: 'SHA256:wrong' },
        "fingerprint 'SHA256:wrong' is not a fingerprint: it must be 'SHA256:' and 43 characters of base64, " +
          'as ssh-keygen -l prints it',
      ],
      [{ hostkeys: null, log: 7 }, 'log must be true, false or a path, not number'],
      [
        { hostkeys: null, logger: {} },
        'logger must be a function, or have the method debug, info, warn, error',
      ],
    ] as const;
    for (const [cnopts, message] of wrong) {
      const options = { host, port, username, password, cnopts: cnopts as never };
      await assert.rejects(connect(options), new TypeError(message));
    }
    assert.equal(server.counters.connections, 0);
  });
});
