import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { startServer } from '../../../src/testing/index.js';
import { builtProgram } from '../../support/program.js';
import { needsOpenSsh, startSshd } from '../../support/sshd.js';

const SMALL = ['--files', '20', '--size', '1'];
const IDENTICAL = /^Compare every byte +21 +[\d,]+ +[\d.]+ +[\d.]+ +identical$/m;

/** Starts the demo in a temporary folder of its own, which must be empty again when it has ended. */
async function startDemo(t: TestContext, words: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-demo-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const child = spawn(process.execPath, [builtProgram(), 'demo', ...words], {
    env: {
      ...process.env,
      TMPDIR: folder,
      TEMP: folder,
      SSH_AUTH_SOCK: '',
      NODE_DISABLE_COMPILE_CACHE: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended = once(child, 'close').then(async ([status]) => {
    assert.deepEqual(await leftIn(folder), [], 'the temporary folder is empty again');
    return { status: status as number | null, ...output };
  });
  return { child, ended };
}

/** All but what the TypeScript loader keeps there. */
async function leftIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !name.startsWith('tsx-') && name !== 'node-compile-cache');
}

function waitFor(child: ChildProcess, text: string): Promise<void> {
  return new Promise((resolve) => {
    let seen = '';
    child.stdout?.on('data', (piece: string) => {
      seen += piece;
      if (seen.includes(text)) resolve();
    });
  });
}

describe('The demo', { timeout: 120_000 }, () => {
  test('sends files to its own server and back, and finds them identical', async (t) => {
    const { ended } = await startDemo(t, SMALL);
    const { status, stdout, stderr } = await ended;
    assert.equal(stderr, '');
    assert.match(stdout, /host key verified: SHA256:/);
    assert.match(stdout, /^Listed 28 entries: names and sizes as sent$/m);
    assert.match(stdout, IDENTICAL);
    assert.ok(!stdout.includes('\x1b'), 'no escape sequences where there is no terminal');
    assert.equal(status, 0);
  });

  test('works with no small files and an empty large one', async (t) => {
    const { ended } = await startDemo(t, ['--files', '0', '--size', '0']);
    const { status, stdout, stderr } = await ended;
    assert.equal(stderr, '');
    assert.match(stdout, /identical$/m);
    assert.equal(status, 0);
  });

  test('cleans up after SIGINT, and ends with status 130', async (t) => {
    const { child, ended } = await startDemo(t, ['--files', '20', '--size', '256']);
    await waitFor(child, 'Upload, small files');
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    assert.equal(stderr, 'Interrupted.\n');
    assert.equal(status, 130);
  });

  test('tells of a wrong option, a strange address and a closed port in one line each', async (t) => {
    const closed = await startServer({ files: {} });
    await closed.close();
    const cases: [string[], RegExp][] = [
      [['--size', 'big'], /^Failed: --size big is not a whole number\n$/],
      [
        ['http://example.org/'],
        /^Failed: The address begins with http:\/\/; it must begin with sftp:\/\/\n$/,
      ],
      [
        [`me:secret@127.0.0.1:${closed.port}`],
        /^Failed: Cannot connect to 127\.0\.0\.1:\d+: .*ECONNREFUSED\)\n$/,
      ],
    ];
    for (const [words, message] of cases) {
      const { ended } = await startDemo(t, words);
      const { status, stderr } = await ended;
      assert.match(stderr, message);
      assert.equal(status, 1);
    }
  });

  test('refuses a server whose host key is not known', async (t) => {
    await using server = await startServer({ files: {} });
    const { ended } = await startDemo(t, [`sftp://test:test@127.0.0.1:${server.port}`], { HOME: tmpdir() });
    const { status, stderr } = await ended;
    assert.match(
      stderr,
      /^Failed: The host key of 127\.0\.0\.1:\d+ .* is not known\.\n[\s\S]*\n {2}\[127\.0\.0\.1\]:\d+ ssh-ed25519 AAAA/,
    );
    assert.equal(status, 1);
    assert.deepEqual(server.listNames(), []);
  });
});

describe('The demo against OpenSSH', { skip: needsOpenSsh, timeout: 120_000 }, () => {
  test('does the same with a key, in a directory of its own that it removes', async (t) => {
    await using sshd = await startSshd();
    const folder = await mkdtemp(join(tmpdir(), 'tsftp-demo-remote-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const address = `sftp://${sshd.user}@${sshd.host}:${sshd.port}${folder}`;
    const login = ['--key', sshd.privateKeyPath, '--known-hosts', sshd.knownHosts];
    const { ended } = await startDemo(t, [...SMALL, ...login, address]);
    const { status, stdout, stderr } = await ended;
    assert.equal(stderr, '');
    assert.match(stdout, IDENTICAL);
    assert.equal(status, 0);
    assert.deepEqual(await readdir(folder), []);
  });

  test('leaves nothing on the server when it is interrupted', async (t) => {
    await using sshd = await startSshd();
    const folder = await mkdtemp(join(tmpdir(), 'tsftp-demo-remote-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const address = `${sshd.user}@${sshd.host}:${sshd.port}${folder}`;
    const login = ['--key', sshd.privateKeyPath, '--known-hosts', sshd.knownHosts];
    const { child, ended } = await startDemo(t, ['--files', '20', '--size', '256', ...login, address]);
    await waitFor(child, 'Upload, small files');
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    assert.equal(stderr, 'Interrupted.\n');
    assert.equal(status, 130);
    assert.deepEqual(await readdir(folder), []);
  });
});
