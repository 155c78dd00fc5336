import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { CnOpts, HostKeys, knownHosts } from '../../../src/index.js';
import { defaultKnownHosts } from '../../../src/ssh/host-keys/known-hosts-file.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { needsOpenSsh } from '../../support/sshd.js';

/** A home of the test's own. */
function useHome(t: TestContext, home: string): void {
  const { HOME, USERPROFILE } = process.env;
  t.after(() => {
    Object.assign(process.env, { HOME, USERPROFILE });
    if (USERPROFILE === undefined) delete process.env.USERPROFILE;
  });
  Object.assign(process.env, { HOME: home, USERPROFILE: home });
}

/** A true line for known_hosts: `example.org ssh-ed25519 …`. */
async function makeLine(t: TestContext): Promise<string> {
  const server = await startServer({ files: {} });
  t.after(() => server.close());
  return `example.org ${server.hostKey.publicKey}\n`;
}

describe('CnOpts', () => {
  test('a named file that is missing is an error that names it', (t) => {
    const missing = join(makeFolder(t), 'known_hosts');
    assert.throws(() => new CnOpts({ knownhosts: missing }), {
      name: 'HostKeysError',
      code: 'KNOWN_HOSTS_UNUSABLE',
      message: new RegExp(missing),
    });
  });

  test('so is one without a usable key', (t) => {
    const empty = join(makeFolder(t), 'known_hosts');
    writeFileSync(empty, '# nothing\n');
    assert.throws(() => new CnOpts({ knownhosts: empty }), { code: 'KNOWN_HOSTS_UNUSABLE' });
  });

  test('where new hosts are added a file may be missing, but none may be unread', (t) => {
    const folder = makeFolder(t);
    const first = join(folder, 'first');
    const hostKeyPolicy = 'accept-new';
    const { hostkeys } = new CnOpts({ knownhosts: [first, join(folder, 'missing')], hostKeyPolicy });
    assert.equal(hostkeys?.size, 0);
    const endless = join(folder, 'endless');
    writeFileSync(endless, '');
    truncateSync(endless, 2 ** 40);
    // It might revoke a key.
    assert.throws(() => new CnOpts({ knownhosts: [first, endless], hostKeyPolicy }), {
      code: 'KNOWN_HOSTS_UNUSABLE',
      file: endless,
    });
  });

  test('a missing default file gives no keys', (t) => {
    useHome(t, makeFolder(t));
    const cnopts = new CnOpts();
    assert.ok(cnopts.hostkeys instanceof HostKeys);
    assert.deepEqual(cnopts.hostkeys.lookup('example.org', 22), []);
    assert.throws(() => cnopts.getHostkey('example.org'), {
      name: 'HostKeysError',
      code: 'HOST_KEY_UNKNOWN',
    });
  });

  test('the default file is ~/.ssh/known_hosts', async (t) => {
    const home = makeFolder(t);
    useHome(t, home);
    mkdirSync(join(home, '.ssh'));
    writeFileSync(join(home, '.ssh/known_hosts'), await makeLine(t));
    assert.equal(homedir(), home);
    assert.equal(knownHosts(), join(home, '.ssh', 'known_hosts'));
    assert.ok(new CnOpts().getHostkey('example.org'));
  });

  test('several files, ~ expanded, and more loaded later', async (t) => {
    const home = makeFolder(t);
    useHome(t, home);
    const line = await makeLine(t);
    writeFileSync(join(home, 'a'), line);
    writeFileSync(join(home, 'b'), line.replace('example.org', '[other.org]:2222'));
    writeFileSync(join(home, 'c'), line.replace('example.org', 'third.org'));
    const cnopts = new CnOpts({ knownhosts: ['~/a', join(home, 'b')] });
    assert.ok(cnopts.getHostkey('example.org'));
    assert.ok(cnopts.getHostkey('other.org', 2222));
    assert.throws(() => cnopts.getHostkey('other.org'), { code: 'HOST_KEY_UNKNOWN' });
    assert.throws(() => cnopts.getHostkey('third.org'), { code: 'HOST_KEY_UNKNOWN' });
    cnopts.hostkeys?.load('~/c');
    assert.ok(cnopts.getHostkey('third.org'));
  });

  test('null switches the check off', () => {
    const cnopts = new CnOpts({ hostkeys: null });
    assert.equal(cnopts.hostkeys, null);
    assert.throws(() => cnopts.getHostkey('example.org'), { code: 'HOST_KEY_UNKNOWN' });
  });

  test('compression is off unless asked for', () => {
    assert.equal(new CnOpts({ hostkeys: null }).compression, false);
    assert.equal(new CnOpts({ hostkeys: null, compression: true }).compression, true);
  });

  test('X6: the known hosts that count by default are those that ssh reads', {
    skip: needsOpenSsh,
  }, async (t) => {
    const text = execFileSync('ssh', ['-G', '-F', 'none', 'host']).toString();
    const files = (whose: string): readonly string[] =>
      new RegExp(`^${whose}knownhostsfile (.*)$`, 'm').exec(text)?.[1]?.split(' ') ?? [];
    assert.deepEqual(defaultKnownHosts(), { user: files('user'), global: files('global') });
    const home = makeFolder(t);
    useHome(t, home);
    mkdirSync(join(home, '.ssh'));
    const [first = '', second = ''] = defaultKnownHosts().user;
    const line = await makeLine(t);
    writeFileSync(second, `@revoked ${line}`);
    assert.equal(new CnOpts({ hostKeyPolicy: 'accept-new' }).knownHostsFile, first);
    writeFileSync(first, line);
    const { hostkeys, knownHostsProblem } = new CnOpts();
    const key = Buffer.from(line.split(' ')[2] ?? '', 'base64');
    assert.equal(hostkeys?.check('example.org', 22, key).status, 'revoked');
    assert.equal(knownHostsProblem, undefined);
  });
});
