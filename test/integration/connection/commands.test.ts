import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, ConnectionLostError } from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { connectToServer, connectToSshd, optionsForSshd } from '../../support/login.js';
import { needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

function connectOver(sshd: Sshd, transport: 'ssh2' | 'openssh'): Promise<Connection> {
  const { cnopts } = optionsForSshd(sshd);
  return connectToSshd(sshd, { cnopts: { ...cnopts, transport, config: false } });
}

for (const transport of ['ssh2', 'openssh'] as const)
  describe(`commands over ${transport}`, { skip: needsOpenSsh }, () => {
    let sshd: Sshd;
    let sftp: Connection;
    before(async () => {
      sshd = await startSshd();
      sftp = await connectOver(sshd, transport);
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

    test('execute and run give bytes where that is asked for', async () => {
      const command = 'printf "\\377\\n\\nend"; printf "\\376" >&2';
      const lines = await sftp.execute(command, { encoding: 'buffer' });
      assert.deepEqual(lines, [Buffer.from([0xff]), Buffer.alloc(0), Buffer.from('end')]);
      const { stdout, stderr } = await sftp.run(command, { encoding: 'buffer' });
      assert.deepEqual([stdout.toString('latin1'), stderr], ['\xff\n\nend', Buffer.from([0xfe])]);
      await assert.rejects(sftp.execute('true', { encoding: 'latin1' as never }), TypeError);
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
      const { exitCode, signal, ...output } = await sftp.run('kill -TERM $$');
      assert.deepEqual(output, { stdout: '', stderr: '' });
      // The system's ssh tells no signal, only its own status for a command that did not exit by itself.
      assert.deepEqual([exitCode, signal], transport === 'ssh2' ? [null, 'SIGTERM'] : [255, null]);
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

/** What is the same whoever speaks SSH. */
const COMMANDS: readonly (readonly [command: string, input?: Uint8Array])[] = [
  ['true'],
  ['false'],
  ['exit 255'],
  ['echo out; echo err >&2; exit 254'],
  ['printf "no line end"'],
  ['printf "\\000\\001\\377\\033[31m"'],
  ['cat', Buffer.from([0, 255, 10, 13, 26, 4, 3])],
  ['cat >&2', Buffer.from('to the other side')],
  ['cat'],
  ['head -c 3 && exec <&-', new Uint8Array(2_000_000).fill(97)],
  ['wc -c', new Uint8Array(2_000_000)],
  ['head -c 3000000 /dev/zero | tr "\\0" y; head -c 100000 /dev/zero | tr "\\0" z >&2'],
  ["printf '%s|' \"a  b\" 'c;d' '$HOME' '\\\\'"],
  ['echo "ünï 💾"\necho second'],
  ['(sleep 0.2; echo late) & echo early; wait'],
  ['no-such-command-anywhere'],
  ['exec 1>&-; echo x; exit 4'],
  ['echo -n; exit 7'],
];

describe('either transport', { skip: needsOpenSsh }, () => {
  test('gives the same for every command', async (t) => {
    await using sshd = await startSshd();
    const [one, other] = await Promise.all([connectOver(sshd, 'ssh2'), connectOver(sshd, 'openssh')]);
    t.after(() => Promise.all([one.close(), other.close()]));
    for (const [command, input] of COMMANDS) {
      const [expected, found] = await Promise.all([
        one.run(command, { input }),
        other.run(command, { input }),
      ]);
      assert.deepEqual(found, expected, command);
      assert.deepEqual(await other.execute(command), await one.execute(command), command);
    }
    // Whatever comes first, the status or that it was accepted.
    for (let turn = 0; turn < 10; turn++) assert.equal((await other.run('exit 255')).exitCode, 255);
  });

  test('ends a command at the time that was set for it, and goes on', async (t) => {
    await using sshd = await startSshd();
    for (const transport of ['ssh2', 'openssh'] as const) {
      const sftp = await connectOver(sshd, transport);
      t.after(() => sftp.close());
      const ended = await sftp
        .run('sleep 600', { signal: AbortSignal.timeout(150) })
        .catch((reason) => reason);
      assert.equal(ended.name, 'TimeoutError', transport);
      assert.equal((await sftp.run('echo on')).stdout, 'on\n');
      await sftp.close();
      await assert.rejects(sftp.run('true'), { name: 'ConnectionLostError' });
    }
  });

  test('rejects what runs when the server is gone', async () => {
    for (const transport of ['ssh2', 'openssh'] as const) {
      const sshd = await startSshd();
      const sftp = await connectOver(sshd, transport);
      const running = assert.rejects(sftp.run('echo begun; sleep 600'), { name: 'ConnectionLostError' });
      await sftp.run('true');
      await sshd.stop();
      await running;
      await sftp.close();
    }
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
