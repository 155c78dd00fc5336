/** What the user's ssh configuration changes about keys and trust, against a real server. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { connect } from '../../../src/connect/connect.js';
import { AuthenticationError, CredentialError, HostKeysError } from '../../../src/errors.js';
import type { CnOptsFields, Logger } from '../../../src/index.js';
import { type SshAgent, startSshAgent } from '../../support/ssh-agent.js';
import { makeKey, needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

describe('the ssh configuration', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let folder = '';
  let agent: SshAgent;
  let stranger = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-configured-'));
    const rsa = await makeKey(join(folder, 'rsa'), 'rsa');
    sshd = await startSshd({ authorizedKeys: [rsa], hostKeyTypes: ['ed25519'] });
    stranger = join(folder, 'stranger');
    await makeKey(stranger, 'ed25519');
    agent = await startSshAgent();
    for (const file of [stranger, sshd.privateKeyPath, join(folder, 'rsa')]) agent.add(file);
  });
  after(async () => {
    await agent?.[Symbol.asyncDispose]();
    await sshd?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function open(t: TestContext, lines: readonly string[], cnopts: CnOptsFields = {}) {
    const config = join(await mkdtemp(join(folder, 'config-')), 'config');
    const common = [`HostName ${sshd.host}`, `Port ${sshd.port}`, `User ${sshd.user}`];
    await writeFile(config, ['Host files', ...common, ...lines, ''].join('\n'));
    const sftp = await connect('files', { cnopts: { config, ...cnopts } });
    t.after(() => sftp.close());
    return sftp;
  }

  const trusted = (): string => `UserKnownHostsFile ${sshd.knownHosts}`;
  const lastKey = (): string => /Accepted publickey .* (SHA256:\S+)\n*$/m.exec(sshd.log())?.[1] ?? '';

  test('IdentitiesOnly leaves of the agent only what belongs to the identity files', async (t) => {
    const only = [trusted(), `IdentityAgent ${agent.path}`, 'IdentitiesOnly yes'];
    const place = join(folder, 'public-only');
    await copyFile(`${sshd.privateKeyPath}.pub`, `${place}.pub`);
    for (const file of [place, `${place}.pub`]) {
      await open(t, [...only, `IdentityFile ${file}`]);
      assert.match(lastKey(), /^SHA256:/);
    }
    await assert.rejects(open(t, [...only, `IdentityFile ${stranger}`]), (error) => {
      assert.ok(error instanceof AuthenticationError, String(error));
      assert.equal(error.tried.length, 1, error.tried.join());
      return true;
    });
    const nothing = open(t, [...only, `IdentityFile ${join(folder, 'missing')}`]);
    await assert.rejects(nothing, { name: 'CredentialError', code: 'NO_CREDENTIALS' });
  });

  test('PubkeyAcceptedAlgorithms limits the keys that are offered', async (t) => {
    const base = [trusted(), `IdentityAgent ${agent.path}`, 'IdentityFile none'];
    await open(t, [...base, 'PubkeyAcceptedAlgorithms rsa-sha2-*']);
    assert.match(sshd.log(), /Accepted publickey .* RSA SHA256/);
    const refused = open(t, [...base, 'PubkeyAcceptedAlgorithms ecdsa-sha2-*']);
    await assert.rejects(refused, (error) => {
      assert.ok(error instanceof CredentialError);
      assert.equal(error.code, 'UNSUPPORTED_KEY');
      assert.match(error.message, /PubkeyAcceptedAlgorithms .* \(ssh-ed25519\)/);
      return true;
    });
  });

  test('StrictHostKeyChecking accept-new adds a new host, and an option wins over it', async (t) => {
    const file = join(folder, 'new_hosts');
    const lines = [
      `IdentityFile ${sshd.privateKeyPath}`,
      'IdentityAgent none',
      `UserKnownHostsFile ${file}`,
      'GlobalKnownHostsFile none',
    ];
    const acceptNew = [...lines, 'StrictHostKeyChecking accept-new'];
    const unknown = (error: unknown) => error instanceof HostKeysError && error.code === 'HOST_KEY_UNKNOWN';
    await assert.rejects(open(t, acceptNew, { hostKeyPolicy: 'strict' }), unknown);
    assert.equal(existsSync(file), false);
    await open(t, acceptNew);
    const line = await readFile(file, 'utf8');
    assert.equal(line, `[${sshd.host}]:${sshd.port} ${sshd.hostKeys.ed25519}\n`);
    await open(t, lines);
  });

  test('StrictHostKeyChecking no stays strict, and the log says so', async (t) => {
    const warnings: string[] = [];
    const ignore = (): void => {};
    const logger: Logger = {
      debug: ignore,
      info: ignore,
      error: ignore,
      warn: (text) => warnings.push(text),
    };
    const lines = [`IdentityFile ${sshd.privateKeyPath}`, `UserKnownHostsFile ${join(folder, 'none')}`];
    for (const word of ['no', 'off']) {
      const opening = open(t, [...lines, `StrictHostKeyChecking ${word}`], { logger });
      await assert.rejects(opening, { code: 'HOST_KEY_UNKNOWN' });
    }
    assert.equal(warnings.filter((text) => /StrictHostKeyChecking no .* not followed/.test(text)).length, 2);
  });
});
