import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, ConnectionLostError } from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { connectToServer, connectToSshd } from '../../support/login.js';
import { needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

describe('commands', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let sftp: Connection;
  before(async () => {
    sshd = await startSshd();
    sftp = await connectToSshd(sshd);
  });
  after(async () => {
    await sftp?.close();
    await sshd?.stop();
  });

  test('execute gives the lines of stdout', async () => {
    assert.deepEqual(await sftp.execute('printf "one\\ntwo\\n\\nthree"; echo hidden >&2'), [
      'one',
      'two',
      '',
      'three',
    ]);
    assert.deepEqual(await sftp.execute('echo "ünï 💾"'), ['ünï 💾']);
  });

  test('execute gives the lines of stderr where stdout is empty, and nothing where both are', async () => {
    assert.deepEqual(await sftp.execute('echo trouble >&2'), ['trouble']);
    assert.deepEqual(await sftp.execute('true'), []);
    assert.deepEqual(await sftp.execute('exit 3'), []);
  });

  test('run gives both outputs, the exit code and the signal', async () => {
    assert.deepEqual(await sftp.run('echo out; echo err >&2; exit 42'), {
      stdout: 'out\n',
      stderr: 'err\n',
      exitCode: 42,
      signal: null,
    });
    assert.deepEqual(await sftp.run('kill -TERM $$'), {
      stdout: '',
      stderr: '',
      exitCode: null,
      signal: 'SIGTERM',
    });
  });

  test('a command that is not there is no rejection', async () => {
    const { exitCode, stderr } = await sftp.run('no-such-command-anywhere');
    assert.equal(exitCode, 127);
    assert.match(stderr, /not found/);
  });

  test('input is what the command reads, bytes too; without it there is nothing to read', async () => {
    assert.equal((await sftp.run('cat', { input: 'line\nline 💾' })).stdout, 'line\nline 💾');
    assert.equal((await sftp.run('wc -c', { input: new Uint8Array(3_000_000) })).stdout.trim(), '3000000');
    assert.equal((await sftp.run('cat')).stdout, '');
    const unread = await sftp.run('exit 5', { input: new Uint8Array(3_000_000) });
    assert.equal(unread.exitCode, 5);
  });

  test('large output is complete', async () => {
    const { stdout } = await sftp.run('head -c 5000000 /dev/zero | tr "\\0" x');
    assert.equal(stdout.length, 5_000_000);
    assert.match(stdout, /^x+$/);
  });

  test('more than maxOutput is an error that says so, and the command ends', async () => {
    await assert.rejects(sftp.run('yes', { maxOutput: 1000 }), {
      name: 'SftpError',
      code: 'LIMIT',
      message: "'yes' wrote more than 1000 bytes; raise maxOutput for more",
    });
    await assert.rejects(sftp.run('yes >&2', { maxOutput: 1000 }), { code: 'LIMIT' });
    assert.deepEqual(await sftp.execute('echo fine'), ['fine']);
  });

  test('an abort rejects with the reason, before and during, and the connection goes on', async () => {
    const abort = new AbortController();
    const running = sftp.run('sleep 1000', { signal: abort.signal });
    await sftp.execute('true');
    abort.abort('enough');
    assert.equal(await running.catch((reason) => reason), 'enough');
    assert.equal(await sftp.run('true', { signal: abort.signal }).catch((reason) => reason), 'enough');
    const opening = new AbortController();
    const early = sftp.run('sleep 1000', { signal: opening.signal });
    opening.abort('stop');
    assert.equal(await early.catch((reason) => reason), 'stop');
    assert.deepEqual(await sftp.execute('echo fine'), ['fine']);
  });

  test('twenty commands in turn leave no channel behind', async () => {
    for (let turn = 0; turn < 20; turn += 1) {
      assert.deepEqual(await sftp.execute(`echo ${turn}`), [`${turn}`]);
    }
  });

  test('misuse is told before anything is sent', async () => {
    await assert.rejects(sftp.run('a\0b'), TypeError);
    await assert.rejects(sftp.execute(7 as unknown as string), TypeError);
  });
});

describe('commands of a server that has none', () => {
  test('are refused with an error that says so, and the connection goes on', async (t) => {
    const server = await startServer({ files: { file: 'x' } });
    t.after(() => server.close());
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    await assert.rejects(sftp.execute('ls'), {
      name: 'SshError',
      code: 'CHANNEL_REFUSED',
      message: /the command/,
    });
    assert.deepEqual(await sftp.listdir('/'), ['file']);
    await sftp.close();
    await assert.rejects(sftp.execute('ls'), ConnectionLostError);
  });
});
