/** What only the system's ssh can do: certificates, of servers and of users, and newer ways to exchange keys. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CnOptsFields, type Connection, connect, HostKeysError } from '../../../src/index.js';
import { makeKey, needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

describe('certificates', { skip: needsOpenSsh }, () => {
  let folder = '';
  let authority = '';
  let sshd: Sshd;
  /** A key that the server knows by its certificate alone. */
  let key = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-certificates-'));
    authority = await makeKey(join(folder, 'authority'), 'ed25519');
    await makeKey(join(folder, 'host'), 'ed25519');
    key = join(folder, 'user');
    await makeKey(key, 'ed25519');
    sign(['-h', '-n', '127.0.0.1'], join(folder, 'host.pub'));
    sign(['-n', 'root'], `${key}.pub`);
    sshd = await startSshd({
      hostKeyTypes: ['ed25519'],
      config: [
        `HostKey ${join(folder, 'host')}`,
        `HostCertificate ${join(folder, 'host-cert.pub')}`,
        `TrustedUserCAKeys ${join(folder, 'authority.pub')}`,
      ],
    });
  });
  after(async () => {
    await sshd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function sign(options: readonly string[], publicKey: string): void {
    execFileSync('ssh-keygen', ['-q', '-s', join(folder, 'authority'), '-I', 'test', ...options, publicKey]);
  }

  async function open(line: string, privateKey: string, cnopts: CnOptsFields): Promise<Connection> {
    const knownhosts = join(folder, 'known_hosts');
    await writeFile(knownhosts, line);
    const { host, port, user: username } = sshd;
    const all = { knownhosts, agent: false, config: false, ...cnopts } as const;
    return await connect({ host, port, username, privateKey, cnopts: all });
  }

  test('of a server and of a user are good with the system’s ssh', async () => {
    const line = `@cert-authority [127.0.0.1]:${sshd.port} ${authority}\n`;
    const sftp = await open(line, key, { transport: 'openssh' });
    assert.equal(await sftp.isdir('/'), true);
    assert.match(sftp.remoteServerKey.type, /^ssh-ed25519/);
    assert.match(sftp.remoteServerKey.fingerprint, /^SHA256:/);
    await sftp.close();
    assert.match(sshd.log(), /Accepted publickey for root .*ED25519-CERT/);
  });

  test('that another authority has signed are refused, with its line', async () => {
    const stranger = await makeKey(join(folder, 'stranger'), 'ed25519');
    const line = `@cert-authority [127.0.0.1]:${sshd.port} ${stranger}\n`;
    await assert.rejects(open(line, key, { transport: 'openssh' }), (error) => {
      assert.ok(error instanceof HostKeysError, String(error));
      assert.deepEqual([error.code, error.line], ['HOST_KEY_UNKNOWN', 1]);
      assert.match(error.message, /only an authority for it .*which has not signed it/);
      return true;
    });
  });

  test('mean nothing to the built-in transport, which needs the keys themselves', async () => {
    const line = `@cert-authority [127.0.0.1]:${sshd.port} ${authority}\n`;
    await assert.rejects(open(line, sshd.privateKeyPath, {}), { code: 'HOST_KEY_UNKNOWN' });
    const [type, base64] = (await readFile(join(folder, 'host.pub'), 'utf8')).split(' ');
    const plain = `[127.0.0.1]:${sshd.port} ${type} ${base64}\n`;
    await (await open(`${line}${plain}`, sshd.privateKeyPath, {})).close();
  });

  test('keys are exchanged as ssh likes best, also in ways that we do not know', async () => {
    const own = execFileSync('ssh', ['-F', 'none', '-G', 'host']).toString();
    const line = `[127.0.0.1]:${sshd.port} ${sshd.hostKeys.ed25519}\n@cert-authority * ${authority}\n`;
    await using sftp = await open(line, key, { transport: 'openssh' });
    assert.equal(sftp.securityOptions.kex.join(), /^kexalgorithms (.*)$/m.exec(own)?.[1]);
  });
});
