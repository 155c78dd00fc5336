/** No option of any call is passed over in silence. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { CnOpts, type Connection, connect, copyBetween, type HostOptions } from '../../../src/index.js';
import { terminalProgress } from '../../../src/terminal/index.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const OPTIONS = { nonsense: true } as unknown as Record<string, never>;
const UNKNOWN = /^TypeError: Unknown option 'nonsense' of /;

/** Every method that takes options, with valid arguments before them. */
const CALLS: Readonly<Record<string, (sftp: Connection) => unknown>> = {
  pwd: (sftp) => sftp.pwd(OPTIONS),
  chdir: (sftp) => sftp.chdir('.', OPTIONS),
  cwd: (sftp) => sftp.cwd('.', OPTIONS),
  normalize: (sftp) => sftp.normalize('.', OPTIONS),
  listdir: (sftp) => sftp.listdir('.', OPTIONS),
  listdirAttr: (sftp) => sftp.listdirAttr('.', OPTIONS),
  stat: (sftp) => sftp.stat('a', OPTIONS),
  lstat: (sftp) => sftp.lstat('a', OPTIONS),
  exists: (sftp) => sftp.exists('a', OPTIONS),
  lexists: (sftp) => sftp.lexists('a', OPTIONS),
  isdir: (sftp) => sftp.isdir('a', OPTIONS),
  isfile: (sftp) => sftp.isfile('a', OPTIONS),
  readlink: (sftp) => sftp.readlink('a', OPTIONS),
  walktree: (sftp) => sftp.walktree('.', nothing, nothing, nothing, OPTIONS),
  walk: (sftp) => sftp.walk('.', OPTIONS).next(),
  glob: (sftp) => sftp.glob('*', OPTIONS),
  statvfs: (sftp) => sftp.statvfs('.', OPTIONS),
  expandPath: (sftp) => sftp.expandPath('.', OPTIONS),
  homeDirectory: (sftp) => sftp.homeDirectory('', OPTIONS),
  mkdir: (sftp) => sftp.mkdir('new', 777, OPTIONS),
  makedirs: (sftp) => sftp.makedirs('new', 777, OPTIONS),
  rmdir: (sftp) => sftp.rmdir('d', OPTIONS),
  remove: (sftp) => sftp.remove('a', OPTIONS),
  unlink: (sftp) => sftp.unlink('a', OPTIONS),
  rename: (sftp) => sftp.rename('a', 'b', OPTIONS),
  posixRename: (sftp) => sftp.posixRename('a', 'b', OPTIONS),
  rmtree: (sftp) => sftp.rmtree('d', OPTIONS),
  chmod: (sftp) => sftp.chmod('a', 600, OPTIONS),
  chown: (sftp) => sftp.chown('a', 1, 1, OPTIONS),
  truncate: (sftp) => sftp.truncate('a', 0, OPTIONS),
  utime: (sftp) => sftp.utime('a', undefined, OPTIONS),
  touch: (sftp) => sftp.touch('new', OPTIONS),
  symlink: (sftp) => sftp.symlink('a', 'new', OPTIONS),
  hardlink: (sftp) => sftp.hardlink('a', 'new', OPTIONS),
  copy: (sftp) => sftp.copy('a', 'new', OPTIONS),
  get: (sftp) => sftp.get('a', 'nowhere/a', OPTIONS),
  put: (sftp) => sftp.put('package.json', 'new', OPTIONS),
  getR: (sftp) => sftp.getR('d', 'nowhere', OPTIONS),
  putR: (sftp) => sftp.putR('bench', 'new', OPTIONS),
  getD: (sftp) => sftp.getD('d', 'nowhere', OPTIONS),
  putD: (sftp) => sftp.putD('bench', 'd', OPTIONS),
  mirror: (sftp) => sftp.mirror('bench', 'd', { direction: 'up', ...OPTIONS }),
  waitForFile: (sftp) => sftp.waitForFile('*', OPTIONS),
  watch: (sftp) => sftp.watch('.', OPTIONS).next(),
  open: (sftp) => sftp.open('a', 'r', OPTIONS),
  readFile: (sftp) => sftp.readFile('a', OPTIONS),
  writeFile: (sftp) => sftp.writeFile('a', 'new', OPTIONS),
  appendFile: (sftp) => sftp.appendFile('a', 'new', OPTIONS),
  createReadStream: (sftp) => sftp.createReadStream('a', OPTIONS),
  createWriteStream: (sftp) => sftp.createWriteStream('a', OPTIONS),
  getfo: (sftp) => sftp.getfo('a', nothing as never, OPTIONS),
  putfo: (sftp) => sftp.putfo('text' as never, 'a', OPTIONS),
  checksum: (sftp) => sftp.checksum('a', 'sha256', OPTIONS),
  execute: (sftp) => sftp.execute('true', OPTIONS),
  run: (sftp) => sftp.run('true', OPTIONS),
  copyBetween: (sftp) => copyBetween(sftp, 'a', sftp, 'b', OPTIONS),
};

function nothing(): void {}

describe('options of calls', () => {
  test('X20: an unknown option is a TypeError in every method, and nothing is sent', async (t) => {
    const server = await startServer({ files: { a: 'content', 'd/e': 'content' } });
    const sftp = await connectToServer(server);
    t.after(async () => {
      await sftp.close();
      await server.close();
    });
    const before = structuredClone(server.counters.requests);
    for (const [name, call] of Object.entries(CALLS)) {
      await assert.rejects(async () => call(sftp), UNKNOWN, name);
    }
    assert.deepEqual(server.counters.requests, before);
  });

  test('X20: every public method with options is among those', async () => {
    const source = await readFile('src/connection.ts', 'utf8');
    const methods = [...source.matchAll(/^ {2}(?:async )?(\w+)\((?:[^{}]|\n)*?\boptions: [^;]*?\{$/gm)];
    const names = new Set(methods.map(([, name]) => name));
    assert.ok(names.size > 40);
    assert.deepEqual(
      [...names].filter((name) => !Object.hasOwn(CALLS, name ?? '')),
      [],
    );
  });

  test('X20: the methods of an open file refuse unknown options', async (t) => {
    const server = await startServer({ files: { a: 'content' } });
    const sftp = await connectToServer(server);
    const file = await sftp.open('a', 'r+');
    t.after(async () => {
      await file.close();
      await sftp.close();
      await server.close();
    });
    const calls: readonly (() => unknown)[] = [
      () => file.read(1, OPTIONS),
      () => file.write('x', OPTIONS),
      () => file.readAt(0, 1, OPTIONS),
      () => file.writeAt(0, 'x', OPTIONS),
      () => file.readFile(OPTIONS),
      () => file.writeFile('x', OPTIONS),
      () => file.seek(0, 'start', OPTIONS),
      () => file.stat(OPTIONS),
      () => file.truncate(0, OPTIONS),
      () => file.chmod(600, OPTIONS),
      () => file.utimes(0, 0, OPTIONS),
      () => file.sync(OPTIONS),
      () => file.lines(OPTIONS).next(),
      () => file.createReadStream(OPTIONS),
      () => file.createWriteStream(OPTIONS),
    ];
    for (const call of calls) await assert.rejects(async () => call(), UNKNOWN, String(call));
  });

  test('a mirror with a misspelt dryRun deletes nothing', async (t) => {
    const server = await startServer({ files: { 'd/e': 'content' } });
    const sftp = await connectToServer(server);
    t.after(async () => {
      await sftp.close();
      await server.close();
    });
    const options = { direction: 'up', delete: true, dryrun: true } as const;
    await assert.rejects(sftp.mirror(makeFolder(t), 'd', options), /did you mean 'dryRun'\?$/);
    assert.deepEqual(await sftp.listdir('d'), ['e']);
    await assert.rejects(sftp.mirror('.', 'd', undefined as never), /direction must be 'up' or 'down'/);
  });
});

describe('options of connect', () => {
  const rows: readonly (readonly [options: object, message: RegExp])[] = [
    [{ hostVerifier: () => false }, /'hostVerifier' of connect: use verifyHostKey/],
    [{ sock: {} }, /'sock' of connect: /],
    [{ passphrase: 'x' }, /'passphrase' of connect: use privateKeyPass/],
    [{ readyTimeout: 1 }, /'readyTimeout' of connect: use connectTimeout/],
    [{ algorithms: { cipher: [] } }, /algorithms must be modern or legacy/],
    [{ fingerprint: 'SHA256:wrong' }, /fingerprint 'SHA256:wrong' is not a fingerprint/],
    [{ cnopts: { finger_print: 'x' } }, /'finger_print' of CnOpts: did you mean 'fingerprint'\?/],
    [{ cnopts: { hostVerifier: () => false } }, /'hostVerifier' of CnOpts: use verifyHostKey/],
    [{ fingerprint: 'a', cnopts: { fingerprint: 'a' } }, /fingerprint is given twice/],
    [{ log: true, cnopts: new CnOpts({ hostkeys: null }) }, /log is an option beside a CnOpts object/],
    [{ retry: { retries: 5 } }, /'retries' of retry: use attempts/],
    [{ proxyJump: [{ host: 'hop', user: 'me' }] }, /'user' of a hop: use username/],
    [{ proxyJump: [{ host: 'hop', cnopts: { log: true } }] }, /'log' of the cnopts of a hop/],
    [{ usrname: 'me' }, /did you mean 'username'\?/],
  ];
  for (const [options, message] of rows) {
    test(`X20: ${message.source} is told before anything is sent`, async () => {
      const given = {
        host: '127.0.0.1',
        port: 1,
        username: 'me',
        password: 'secret',
        hostkeys: null,
        ...options,
      };
      const target = 'cnopts' in options ? { ...given, hostkeys: undefined } : given;
      await assert.rejects(connect(target as HostOptions), (error: unknown) => {
        assert.ok(error instanceof TypeError, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test('every field of CnOpts may be an option of its own', async (t) => {
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    const { host, port, hostKey } = server;
    const login = { host, port, username: server.username, password: server.password };
    await using pinned = await connect({ ...login, fingerprint: hostKey.fingerprint });
    assert.equal(pinned.remoteServerKey.fingerprint, hostKey.fingerprint);
    const other = `SHA256:${'A'.repeat(43)}`;
    await assert.rejects(connect({ ...login, fingerprint: other }), { code: 'HOST_KEY_CHANGED' });
    const { fingerprint } = hostKey;
    await using both = await connect({ ...login, keepaliveInterval: 0, cnopts: { fingerprint } });
    assert.deepEqual(await both.listdir('.'), []);
  });
});

describe('options of the other entry points', () => {
  test('X20: startServer and terminalProgress refuse what they do not know', async () => {
    await assert.rejects(startServer({ files: {} }, OPTIONS), UNKNOWN);
    await assert.rejects(startServer({ files: {} }, { faults: OPTIONS }), UNKNOWN);
    await assert.rejects(startServer(undefined as never), /startServer needs a directory or files/);
    assert.throws(() => terminalProgress(OPTIONS), UNKNOWN);
  });

  test('a failure with an unknown code is told to whoever asks', async (t) => {
    const server = await startServer(
      { files: { a: '' } },
      { faults: { failOn: ({ kind }) => (kind === 'stat' ? 'ENONSENSE' : undefined) } },
    );
    const sftp = await connectToServer(server);
    t.after(async () => {
      await sftp.close();
      await server.close();
    });
    await assert.rejects(sftp.stat('a'), /'ENONSENSE' is not a code that can be sent/);
  });
});
