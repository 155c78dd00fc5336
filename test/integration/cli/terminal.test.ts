import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { startServer } from '../../../src/testing/index.js';
import { builtProgram } from '../../support/program.js';

/** util-linux's `script` gives a program a terminal of its own. */
const needsScript =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true
    ? false
    : 'needs the program script of util-linux';

const PASSWORD = 'open sesame';
const ESCAPE = '\u001b';

/** Runs the demo in a terminal against a server that wants a password; types `answer` whenever it is asked for. */
async function runInTerminal(t: TestContext, answer: string) {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-terminal-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await using server = await startServer({ files: {} }, { users: { me: PASSWORD } });
  const knownHosts = join(folder, 'known_hosts');
  await writeFile(knownHosts, server.knownHosts);
  const demo = `'${process.execPath}' '${builtProgram()}' demo --files 5 --size 1 --known-hosts '${knownHosts}'`;
  const child = spawn('script', ['-qec', `${demo} me@127.0.0.1:${server.port}`, '/dev/null'], {
    env: { ...process.env, TERM: 'xterm', HOME: folder, SSH_AUTH_SOCK: '', NODE_DISABLE_COMPILE_CACHE: '1' },
  });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  let asked = 0;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    const questions = output.split('Password for').length - 1;
    for (; asked < questions; asked++) child.stdin.write(answer);
  });
  const [status] = await once(child, 'close');
  return { status: status as number, output, left: server.listNames() };
}

describe('The demo in a terminal', { skip: needsScript, timeout: 60_000 }, () => {
  test('asks for the password without showing it, and draws bars', async (t) => {
    const { status, output, left } = await runInTerminal(t, `${PASSWORD}\r`);
    assert.match(output, /^Password for me@127\.0\.0\.1: /);
    assert.ok(!output.includes(PASSWORD));
    assert.ok(output.includes('█'), 'a bar was drawn');
    assert.ok(output.includes(`${ESCAPE}[?25l`) && output.includes(`${ESCAPE}[?25h`), 'the cursor is back');
    assert.match(output, /identical\r\n$/);
    assert.equal(status, 0);
    assert.deepEqual(left, []);
  });

  test('says that a password is wrong, and does not show it', async (t) => {
    const { status, output } = await runInTerminal(t, 'open barley\r');
    assert.match(output, /Failed: Authentication failed for me@127\.0\.0\.1:\d+ \(tried: password/);
    assert.ok(!output.includes('barley'));
    assert.equal(status, 1);
  });

  test('ends at Ctrl-C while it asks, with status 130', async (t) => {
    const { status, output } = await runInTerminal(t, '\u0003');
    assert.match(output, /\nInterrupted\.\r\n$/);
    assert.equal(status, 130);
  });

  test('takes Ctrl-D for no answer', async (t) => {
    const { status, output } = await runInTerminal(t, '\u0004');
    assert.match(output, /\nFailed: No answer was given\r\n$/);
    assert.equal(status, 1);
  });
});
