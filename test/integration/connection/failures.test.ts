import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { runChild } from '../../support/child.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { mountSmallDisk } from '../../support/small-disk.js';
import { addUser, needsOpenSsh, type Sshd, startSshd, type TemporaryUser } from '../../support/sshd.js';

/** What the child is to do; it ends by itself, without a word of ours, when it has told how that failed. */
interface Attempt {
  readonly host?: string;
  readonly options?: object;
  readonly call?: readonly [method: string, ...args: unknown[]];
  /** Those down to the file that fails may stay. */
  readonly makesDirectories?: boolean;
  /** Who it is on our side, once it is connected. */
  readonly localUser?: string;
}

interface Failure {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly isOurs: boolean;
  readonly all: string;
}

const SCRIPT = `
  const { inspect } = await import('node:util');
  const { host, options, call, localUser } = input;
  let sftp;
  try {
    sftp = await tsftp.connect(host, options);
    if (localUser !== undefined) process.seteuid(localUser);
    const [method, ...args] = call;
    await sftp[method](...args);
    console.log('null');
  } catch (error) {
    const { name, code, message } = error;
    const isOurs = error instanceof tsftp.SftpError;
    console.log(JSON.stringify({ name, code, message, isOurs, all: inspect(error, { depth: 9 }) }));
  }
  await sftp?.close();`;

describe('failures that users meet', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let user: TemporaryUser;
  before(async () => {
    sshd = await startSshd();
    user = addUser('swordfish');
  });
  after(async () => {
    await sshd?.stop();
    user?.[Symbol.dispose]();
  });

  /** Runs in a folder with an old file; that file and whatever else is there must be the same afterwards. */
  async function attempt(t: TestContext, options: Attempt): Promise<Failure> {
    const { host, call, makesDirectories = false, localUser } = options;
    const folder = makeFolder(t);
    writeFileSync(join(folder, 'old'), 'old content');
    mkdirSync(join(folder, 'directory'));
    const earlier = snapshot(folder);
    const all = {
      port: sshd.port,
      username: user.name,
      password: user.password,
      cnopts: { knownhosts: sshd.knownHosts },
      ...options.options,
    };
    const input = { host: host ?? sshd.host, options: all, call, localUser };
    const { exitCode, stdout, stderr } = await runChild(SCRIPT, input, { cwd: folder });
    assert.deepEqual([exitCode, stderr], [0, ''], 'it ends by itself, in time, and without a warning');
    const later = [...snapshot(folder)].filter(([path, what]) => {
      return !makesDirectories || what !== 'directory' || earlier.has(path);
    });
    assert.deepEqual(new Map(later), earlier, 'no local file is damaged or left behind');
    assert.doesNotMatch(stdout, /swordfish/, 'no secret is told');
    const failure = JSON.parse(stdout) as Failure;
    assert.equal(failure.isOurs, failure.name !== 'Error');
    return failure;
  }

  function isFailure(failure: Failure, name: string, code: string, ...words: readonly RegExp[]): void {
    assert.deepEqual([failure.name, failure.code], [name, code], failure.all);
    for (const word of words) assert.match(failure.message, word);
  }

  test('a wrong password', async (t) => {
    const failure = await attempt(t, { options: { password: 'swordfish2' } });
    isFailure(failure, 'AuthenticationError', 'AUTHENTICATION_FAILED', /password/, /publickey/);
  });

  test('a user that does not exist', async (t) => {
    const failure = await attempt(t, { options: { username: 'nobody-of-that-name' } });
    isFailure(failure, 'AuthenticationError', 'AUTHENTICATION_FAILED', /nobody-of-that-name|password/);
  });

  test('H1: an unknown host', async (t) => {
    const folder = makeFolder(t);
    const other = join(folder, 'known_hosts');
    writeFileSync(other, `other.example ${sshd.hostKeys.ed25519}\n`);
    const failure = await attempt(t, { options: { cnopts: { knownhosts: other } } });
    isFailure(
      failure,
      'HostKeysError',
      'HOST_KEY_UNKNOWN',
      /SHA256:/,
      /127\.0\.0\.1/,
      /known_hosts|fingerprint/,
    );
  });

  test('H2: a changed host key', async (t) => {
    const folder = makeFolder(t);
    const other = join(folder, 'known_hosts');
    const line = execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    assert.equal(line.length, 0);
    const [type, key] = readFileSync(join(folder, 'key.pub'), 'utf8').split(' ');
    writeFileSync(other, `[127.0.0.1]:${sshd.port} ${type} ${key}\n`);
    const failure = await attempt(t, { options: { cnopts: { knownhosts: other } } });
    isFailure(failure, 'HostKeysError', 'HOST_KEY_CHANGED', /SHA256:/, /known_hosts/);
  });

  test('a known_hosts file that is missing', async (t) => {
    const failure = await attempt(t, { options: { cnopts: { knownhosts: '/nowhere/known_hosts' } } });
    isFailure(failure, 'HostKeysError', 'KNOWN_HOSTS_UNUSABLE', /\/nowhere\/known_hosts/);
  });

  test('a refused port', async (t) => {
    const port = await closedPort();
    const failure = await attempt(t, { options: { port } });
    isFailure(failure, 'ConnectionError', 'ECONNREFUSED', /127\.0\.0\.1/, new RegExp(`${port}`));
  });

  test('a host that does not exist', async (t) => {
    const failure = await attempt(t, { host: 'no-such-host.invalid' });
    assert.equal(failure.name, 'ConnectionError', failure.all);
    assert.match(failure.code, /^(ENOTFOUND|EAI_AGAIN)$/);
    assert.match(failure.message, /no-such-host\.invalid/);
  });

  test('a peer that is no SSH server', async (t) => {
    const server = createServer((socket) =>
      socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const failure = await attempt(t, { options: { port: address.port } });
    assert.match(failure.name, /^(SshError|ConnectionError)$/, failure.all);
    assert.match(failure.message, /127\.0\.0\.1|HTTP/);
  });

  test('a first directory that is missing', async (t) => {
    const failure = await attempt(t, { options: { defaultPath: '/nowhere' } });
    isFailure(failure, 'SftpStatusError', 'ENOENT', /\/nowhere/);
  });

  test('a missing remote file', async (t) => {
    const failure = await attempt(t, { call: ['get', '/nowhere/file', 'old'] });
    isFailure(failure, 'SftpStatusError', 'ENOENT', /'\/nowhere\/file': no such file or directory/);
  });

  test('a missing remote directory', async (t) => {
    isFailure(
      await attempt(t, { call: ['getR', '/nowhere', '.'] }),
      'SftpStatusError',
      'ENOENT',
      /\/nowhere/,
    );
    isFailure(
      await attempt(t, { call: ['put', 'old', '/nowhere/file'] }),
      'SftpStatusError',
      'ENOENT',
      /\/nowhere/,
    );
  });

  test('a remote directory in the place of a file', async (t) => {
    const failure = await attempt(t, { call: ['get', '/etc', 'new'] });
    isFailure(failure, 'SftpStatusError', 'EISDIR', /it is a directory; getD and getR copy directories/);
  });

  test('a remote file in the place of a directory', async (t) => {
    const failure = await attempt(t, { call: ['getR', '/etc/passwd', '.'] });
    isFailure(failure, 'SftpStatusError', 'ENOTDIR', /\/etc\/passwd/, /not a directory/);
  });

  test('a local directory in the way of a download', async (t) => {
    const failure = await attempt(t, { call: ['get', '/etc/passwd', 'directory'] });
    isFailure(failure, 'TransferError', 'EISDIR', /directory/, /give the name of the file in it too/);
  });

  test('a remote directory in the way of an upload, atomic or not', async (t) => {
    const plain = await attempt(t, { call: ['put', 'old', '/tmp', { atomic: false }] });
    isFailure(plain, 'SftpStatusError', 'EISDIR', /'\/tmp'/, /give the name of the file in it too/);
    for (const options of [{}, { atomic: true }]) {
      const atomic = await attempt(t, { call: ['put', 'old', '/tmp', options] });
      isFailure(atomic, 'TransferError', 'EISDIR', /'\/tmp'/, /give the name of the file in it too/);
    }
  });

  test('a remote file in the way of an uploaded directory', async (t) => {
    const failure = await attempt(t, { call: ['putR', '.', '/etc/passwd/below'] });
    isFailure(failure, 'SftpStatusError', 'ENOTDIR', /\/etc\/passwd/);
  });

  test('a remote directory without permission', async (t) => {
    const locked = makeFolder(t);
    writeFileSync(join(locked, 'file'), 'x');
    chmodSync(locked, 0o700);
    const calls = [
      ['get', join(locked, 'file'), 'old'],
      ['put', 'old', join(locked, 'new')],
      ['listdir', locked],
      ['getR', locked, '.'],
      ['putR', '.', locked],
      ['exists', join(locked, 'file')],
      ['remove', join(locked, 'file')],
    ] as const;
    for (const call of calls) {
      const failure = await attempt(t, { call });
      isFailure(failure, 'SftpStatusError', 'EACCES', /permission denied/i, new RegExp(locked));
    }
    assert.deepEqual([...snapshot(locked).keys()], ['file']);
  });

  test('a remote file without permission in the middle of a tree', async (t) => {
    const remote = makeFolder(t);
    chmodSync(remote, 0o755);
    writeFileSync(join(remote, 'secret'), 'x', { mode: 0o600 });
    const failure = await attempt(t, { call: ['getR', remote, '.'], makesDirectories: true });
    isFailure(failure, 'SftpStatusError', 'EACCES', /secret/);
  });

  test('a local directory that is missing, and one without permission', async (t) => {
    const failure = await attempt(t, { call: ['get', '/etc/passwd', 'missing/file'] });
    isFailure(failure, 'Error', 'ENOENT', /missing/);
    const local = await attempt(t, { call: ['put', 'missing', '/tmp/never'] });
    isFailure(local, 'Error', 'ENOENT', /missing/);
  });

  test('L1: a full local disk', async (t) => {
    const disk = mountSmallDisk(t);
    if (disk === undefined) return t.skip('needs the right to mount a tmpfs');
    writeFileSync(join(disk, 'old'), 'old');
    const earlier = snapshot(disk);
    const remote = makeFolder(t);
    chmodSync(remote, 0o755);
    writeFileSync(join(remote, 'large'), Buffer.alloc(3 * 1024 * 1024));
    for (const target of ['old', 'new']) {
      const failure = await attempt(t, { call: ['get', join(remote, 'large'), join(disk, target)] });
      isFailure(
        failure,
        'TransferError',
        'ENOSPC',
        /large/,
        /the disk is full: free some space and try again/,
      );
      assert.deepEqual(snapshot(disk), earlier);
    }
  });

  test('L1: a local disk that is read-only, and a directory that is closed', async (t) => {
    const disk = mountSmallDisk(t);
    if (disk === undefined) return t.skip('needs the right to mount a tmpfs');
    writeFileSync(join(disk, 'old'), 'old');
    mkdirSync(join(disk, 'closed'), { mode: 0o755 });
    writeFileSync(join(disk, 'closed', 'old'), 'old');
    chmodSync(disk, 0o777);
    const earlier = snapshot(disk);
    const remote = makeFolder(t);
    chmodSync(remote, 0o755);
    writeFileSync(join(remote, 'file'), 'new');
    const calls = (directory: string) =>
      [
        ['get', join(remote, 'file'), join(directory, 'old')],
        ['get', join(remote, 'file'), join(directory, 'new')],
        ['get', join(remote, 'file'), join(directory, 'old'), { atomic: false }],
        ['getD', remote, directory],
      ] as const;
    // Root may write into every directory.
    for (const call of calls(join(disk, 'closed'))) {
      const failure = await attempt(t, { call, localUser: user.name });
      // What exists could still be written in place: then the error names the option.
      const isReplaced = call[0] === 'get' && call[2].endsWith('old') && call[3] === undefined;
      isFailure(
        failure,
        isReplaced ? 'TransferError' : 'Error',
        'EACCES',
        /closed/,
        isReplaced ? /atomic: false/ : /EACCES/,
      );
      assert.deepEqual(snapshot(disk), earlier);
    }
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    for (const call of calls(disk)) {
      const failure = await attempt(t, { call });
      isFailure(failure, 'Error', 'EROFS', /EROFS/);
      assert.deepEqual(snapshot(disk), earlier);
    }
  });

  test('L2: a full disk of the server', async (t) => {
    const disk = mountSmallDisk(t);
    if (disk === undefined) return t.skip('needs the right to mount a tmpfs');
    const [uid, gid] = ['-u', '-g'].map((flag) => Number(execFileSync('id', [flag, user.name])));
    assert.ok(uid !== undefined && gid !== undefined);
    chownSync(disk, uid, gid);
    const local = makeFolder(t);
    writeFileSync(join(local, 'large'), Buffer.alloc(3 * 1024 * 1024));
    const call = ['put', join(local, 'large'), join(disk, 'new'), { atomic: true }] as const;
    const failure = await attempt(t, { call });
    isFailure(failure, 'TransferError', 'ENOSPC', /large/, /no space left on the device/);
    assert.deepEqual([...snapshot(disk).keys()], []);
  });
});

async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
