/** What only a real server can show. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, connect } from '../../src/index.js';
import { addUser, needsOpenSsh, startSshd } from '../support/sshd.js';
import { describeOpenSsh } from './world.js';

describeOpenSsh('execute and run', ({ open, isSystemSsh, test }) => {
  test('execute gives the lines of stdout', async (t) => {
    const { sftp } = await open(t);
    assert.deepEqual(await sftp.execute('printf "one\\ntwo\\n"'), ['one', 'two']);
  });

  test('execute gives the lines of stderr if stdout is empty', async (t) => {
    const { sftp } = await open(t);
    assert.deepEqual(await sftp.execute('echo wrong >&2'), ['wrong']);
    assert.deepEqual(await sftp.execute('true'), []);
  });

  test('execute runs without regard to the remote pwd', async (t) => {
    const { sftp, home } = await open(t);
    const [directory] = await sftp.execute('pwd');
    assert.notEqual(directory, home);
  });

  test('run tells exit code, signal, stdout and stderr apart, and gives input', async (t) => {
    const { sftp } = await open(t);
    assert.deepEqual(await sftp.run('cat; echo e >&2; exit 3', { input: 'in' }), {
      stdout: 'in',
      stderr: 'e\n',
      exitCode: 3,
      signal: null,
    });
    const killed = await sftp.run('kill -TERM $$');
    // The system's ssh tells no signal, only its own status for a command that did not exit by itself.
    const ended = isSystemSsh ? [255, null] : [null, 'SIGTERM'];
    assert.deepEqual([killed.exitCode, killed.signal], ended);
  });

  test('run ends with the reason of its signal', async (t) => {
    const { sftp } = await open(t);
    const abort = new AbortController();
    const running = sftp.run('sleep 60', { signal: abort.signal });
    abort.abort(new Error('enough'));
    await assert.rejects(running, new Error('enough'));
    assert.deepEqual(await sftp.execute('echo still'), ['still']);
  });
});

describe('a user without rights, on OpenSSH', { skip: needsOpenSsh }, () => {
  async function login(t: TestContext): Promise<{ readonly sftp: Connection; readonly folder: string }> {
    const sshd = await startSshd({ hostKeyTypes: ['ed25519'] });
    t.after(() => sshd.stop());
    const user = addUser();
    t.after(() => user[Symbol.dispose]());
    const { host, port, knownHosts: knownhosts } = sshd;
    const { name: username, password } = user;
    const folder = join(sshd.folder, 'closed');
    mkdirSync(folder);
    writeFileSync(join(folder, 'file'), 'secret');
    chownSync(folder, 0, 0);
    const sftp = await connect({ host, port, username, password, cnopts: { knownhosts, agent: false } });
    t.after(() => sftp.close());
    return { sftp, folder };
  }

  test('permission denied is an error of its own, and no false', async (t) => {
    const { sftp, folder } = await login(t);
    chmodSync(folder, 0o700);
    const denied = { name: 'SftpStatusError', code: 'EACCES' };
    for (const ask of ['exists', 'lexists', 'isdir', 'isfile', 'stat', 'lstat'] as const) {
      await assert.rejects(sftp[ask](join(folder, 'file')), denied);
    }
    const ignore = () => {};
    for (const call of [
      () => sftp.chdir(join(folder, 'x')),
      () => sftp.listdir(folder),
      () => sftp.get(join(folder, 'file'), '/dev/null/x'),
      () => sftp.walktree(folder, ignore, ignore, ignore),
    ]) {
      await assert.rejects(call(), denied);
    }
    assert.deepEqual(await sftp.glob(`${folder}/*`), []);
  });

  test('chmod and chown of what belongs to others are permission denied', async (t) => {
    const { sftp, folder } = await login(t);
    chmodSync(folder, 0o755);
    const denied = { name: 'SftpStatusError', code: 'EACCES' };
    await assert.rejects(sftp.chmod(join(folder, 'file'), 644), denied);
    await assert.rejects(sftp.chown(join(folder, 'file'), 0), denied);
    await assert.rejects(sftp.remove(join(folder, 'file')), denied);
    await assert.rejects(sftp.mkdir(join(folder, 'new')), denied);
    await assert.rejects(sftp.makedirs(join(folder, 'new/deep')), denied);
  });

  test('walk goes on where onError takes what cannot be listed', async (t) => {
    const { sftp, folder } = await login(t);
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'closed'), { mode: 0o700 });
    const errors: string[] = [];
    const paths: string[] = [];
    const onError = (error: Error & { code: string }, path: string) => errors.push(`${error.code} ${path}`);
    for await (const { path } of sftp.walk(folder, { onError })) paths.push(path);
    assert.deepEqual(errors, [`EACCES ${folder}/closed`]);
    assert.deepEqual(paths, [`${folder}/closed`, `${folder}/file`]);
  });

  test('~ is the home of the user', async (t) => {
    const { sftp } = await login(t);
    const home = await sftp.homeDirectory();
    assert.equal(await sftp.expandPath('~/x'), `${home}/x`);
    assert.equal(await sftp.homeDirectory('root'), '/root');
    assert.equal(await sftp.expandPath('~root'), '/root');
  });
});
