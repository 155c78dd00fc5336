import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import {
  type ServerOptions,
  type ServerSource,
  startServer,
  type TestServer,
} from '../../../src/testing/index.js';

const needsClient = ['ssh', 'sftp', 'ssh-keygen'].every((name) => spawnSync(name, ['-?']).error === undefined)
  ? false
  : "needs OpenSSH's client: apt-get install openssh-client";

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A server and a folder with what OpenSSH's clients need to trust it and to log in. */
class Setup {
  readonly server: TestServer;
  readonly folder: string;

  constructor(server: TestServer, folder: string) {
    this.server = server;
    this.folder = folder;
    writeFileSync(join(folder, 'known_hosts'), server.knownHosts);
  }

  /** `sftp` with a batch, logged in with the key. */
  sftp(...commands: string[]): Promise<Result> {
    const batch = join(this.folder, 'batch');
    writeFileSync(batch, `${commands.join('\n')}\n`);
    return this.run('sftp', ['-P', `${this.server.port}`, '-b', batch, ...this.#options(), this.#address]);
  }

  ssh(...command: string[]): Promise<Result> {
    return this.run('ssh', ['-p', `${this.server.port}`, ...this.#options(), this.#address, ...command]);
  }

  sshWithPassword(password: string, ...command: string[]): Promise<Result> {
    const askpass = join(this.folder, 'askpass');
    writeFileSync(askpass, `#!/bin/sh\necho '${password}'\n`);
    chmodSync(askpass, 0o700);
    const options = ['-o', 'PreferredAuthentications=password', '-o', 'NumberOfPasswordPrompts=1'];
    const all = ['-p', `${this.server.port}`, ...options, ...this.#options('no'), this.#address, ...command];
    return this.run('ssh', all, { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' });
  }

  async run(program: string, args: string[], environment: Record<string, string> = {}): Promise<Result> {
    const child = spawn(program, args, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, stdout, stderr };
  }

  get #address(): string {
    return `${this.server.username}@${this.server.host}`;
  }

  #options(batch: 'yes' | 'no' = 'yes'): string[] {
    const settings = {
      BatchMode: batch,
      StrictHostKeyChecking: 'yes',
      UserKnownHostsFile: join(this.folder, 'known_hosts'),
      GlobalKnownHostsFile: '/dev/null',
      IdentitiesOnly: 'yes',
      IdentityFile: join(this.folder, 'key'),
      ConnectTimeout: '20',
    };
    return ['-F', 'none', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  }
}

async function setUp(t: TestContext, source?: ServerSource, options: ServerOptions = {}): Promise<Setup> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-client-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
  const authorizedKeys = readFileSync(join(folder, 'key.pub'), 'utf8');
  const root = join(folder, 'root');
  mkdirSync(root);
  const server = await startServer(source ?? { root }, { authorizedKeys, ...options });
  t.after(() => server.close());
  return new Setup(server, folder);
}

describe('OpenSSH clients against the embedded server', { skip: needsClient }, () => {
  const sources = { 'a directory': undefined, memory: { files: {} } };
  for (const [name, source] of Object.entries(sources)) {
    test(`sftp puts, lists, renames, gets and removes over ${name}`, async (t) => {
      const setup = await setUp(t, source);
      const content = randomBytes(3_000_001);
      writeFileSync(join(setup.folder, 'up load'), content);
      const path = (file: string) => `"${join(setup.folder, file)}"`;
      const { status, stdout, stderr } = await setup.sftp(
        'mkdir sub',
        `put ${path('up load')} "sub/über file"`,
        'rename "sub/über file" sub/renamed',
        'chmod 600 sub/renamed',
        'ln -s renamed sub/link',
        'ls -ln sub',
        `get sub/link ${path('down')}`,
        'rm sub/link',
        'df sub',
        'cd sub',
        'pwd',
      );
      assert.equal(status, 0, stderr);
      assert.match(stdout, /-rw-------.* 3000001 .* sub\/renamed/);
      assert.match(stdout, /lrwxrwxrwx.* sub\/link/);
      assert.match(stdout, /Remote working directory: \/sub/);
      assert.deepEqual(readFileSync(join(setup.folder, 'down')), content);
      assert.deepEqual(setup.server.readFile('sub/renamed'), content);
      assert.equal((await setup.sftp('rm sub/renamed', 'rmdir sub')).status, 0);
      assert.deepEqual(setup.server.listNames(), []);
      assert.equal(setup.server.counters.openHandles, 0);
    });
  }

  test('a tree travels there and back', async (t) => {
    const setup = await setUp(t);
    const tree = join(setup.folder, 'tree');
    mkdirSync(join(tree, 'empty'), { recursive: true });
    for (let index = 0; index < 120; index += 1) writeFileSync(join(tree, `file ${index}`), `${index}`);
    const { status, stderr } = await setup.sftp(
      `put -r ${tree} up`,
      `get -r up ${join(setup.folder, 'back')}`,
    );
    assert.equal(status, 0, stderr);
    const { status: difference } = await setup.run('diff', ['-r', tree, join(setup.folder, 'back')]);
    assert.equal(difference, 0);
  });

  test('the password lets in, a wrong one does not', async (t) => {
    const setup = await setUp(t, undefined, {
      users: { me: 'right' },
      authorizedKeys: [],
      commands: () => ({ stdout: 'in' }),
    });
    assert.deepEqual(await setup.sshWithPassword('right', 'x'), { status: 0, stdout: 'in', stderr: '' });
    const refused = await setup.sshWithPassword('wrong', 'x');
    assert.equal(refused.status, 255);
    assert.match(refused.stderr, /Permission denied \(password\)/);
    assert.equal(setup.server.counters.refusedLogins, 1);
  });

  test('a key that is not authorized is refused', async (t) => {
    const setup = await setUp(t, undefined, { authorizedKeys: [] });
    const { status, stderr } = await setup.ssh('x');
    assert.equal(status, 255);
    assert.match(stderr, /Permission denied/);
  });

  test('the known_hosts line is right, and another key is noticed', async (t) => {
    const setup = await setUp(t, undefined, { commands: () => ({ stdout: 'in' }) });
    assert.equal((await setup.ssh('x')).stdout, 'in');
    const listed = await setup.run('ssh-keygen', ['-l', '-f', join(setup.folder, 'known_hosts')]);
    assert.ok(listed.stdout.includes(setup.server.hostKey.fingerprint), listed.stdout);
    const other = await setUp(t);
    const line = setup.server.knownHosts.replace(
      setup.server.hostKey.publicKey,
      other.server.hostKey.publicKey,
    );
    writeFileSync(join(setup.folder, 'known_hosts'), line);
    const { status, stderr } = await setup.ssh('x');
    assert.equal(status, 255);
    assert.match(stderr, /IDENTIFICATION HAS CHANGED/);
  });

  test('host keys of one’s own: RSA, ECDSA and Ed25519 as ssh-keygen writes them', async (t) => {
    for (const type of ['rsa', 'ecdsa', 'ed25519']) {
      const folder = mkdtempSync(join(tmpdir(), 'tsftp-hostkey-'));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      spawnSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', join(folder, 'key')]);
      const hostKey = readFileSync(join(folder, 'key'));
      const setup = await setUp(t, undefined, { hostKey, commands: () => ({ stdout: 'in' }) });
      assert.equal((await setup.ssh('x')).stdout, 'in', type);
    }
  });

  test('commands give output, errors and exit codes; without a handler they are refused', async (t) => {
    const setup = await setUp(t, undefined, {
      commands: (command) => {
        if (command === 'throw') throw new Error('broken');
        return { stdout: `out ${command}`, stderr: 'err', exitCode: 3 };
      },
    });
    assert.deepEqual(await setup.ssh('a', 'b'), { status: 3, stdout: 'out a b', stderr: 'err' });
    assert.deepEqual(await setup.ssh('throw'), { status: 255, stdout: '', stderr: 'broken\n' });
    const refused = await (await setUp(t)).ssh('x');
    assert.equal(refused.status, 255);
    assert.match(refused.stderr, /exec request failed/);
  });

  test('close ends connected clients and settles, twice too', async (t) => {
    const started = new AbortController();
    const commands = () => {
      started.abort();
      return new Promise<never>(() => {});
    };
    const setup = await setUp(t, undefined, { commands });
    const hanging = setup.ssh('hang');
    await once(started.signal, 'abort');
    await Promise.all([setup.server.close(), setup.server.close()]);
    assert.equal((await hanging).status, 255);
    await setup.server.close();
  });

  test('disconnectAll cuts transfers, and the next connection works', async (t) => {
    const setup = await setUp(
      t,
      { files: { file: randomBytes(1_000_000) } },
      {
        faults: { disconnectAfter: { bytes: 100_000 } },
      },
    );
    const get = `get file ${join(setup.folder, 'down')}`;
    assert.notEqual((await setup.sftp(get)).status, 0);
    assert.equal(setup.server.counters.openHandles, 0);
    setup.server.faults = {};
    assert.equal((await setup.sftp(get)).status, 0);
    assert.deepEqual(readFileSync(join(setup.folder, 'down')), setup.server.readFile('file'));
  });
});

describe('startServer', () => {
  test('tells of a port that is taken', async (t) => {
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    await assert.rejects(startServer({ files: {} }, { port: server.port }), {
      name: 'ConnectionError',
      code: 'EADDRINUSE',
    });
  });

  test('tells of keys that are none, without showing them', async () => {
    await assert.rejects(startServer({ files: {} }, { hostKey: 'secret' }), (error: Error) => {
      assert.equal(error.name, 'SshError');
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    await assert.rejects(startServer({ files: {} }, { authorizedKeys: 'nonsense' }), { name: 'SshError' });
  });

  test('tells of a root that is not there, or no directory', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tsftp-root-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    await assert.rejects(startServer({ root: join(folder, 'missing') }), { code: 'ENOENT' });
    writeFileSync(join(folder, 'file'), '');
    await assert.rejects(startServer({ root: join(folder, 'file') }), { code: 'ENOTDIR' });
  });
});
