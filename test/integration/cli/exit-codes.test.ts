/** The table of exit codes row by row: against OpenSSH, and against servers with faults. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { SeenRequest } from '../../../src/testing/faults.js';
import { type ServerOptions, type ServerSource, startServer } from '../../../src/testing/index.js';
import { type ProgramWorld, startWorld } from '../../support/program.js';
import { addUser, needsOpenSsh } from '../../support/sshd.js';

describe('The exit code of tsftp', { skip: needsOpenSsh, timeout: 240_000 }, () => {
  let world: ProgramWorld;
  let remote: string;

  before(async () => {
    world = await startWorld();
    remote = join(world.folder, 'remote');
    mkdirSync(remote);
    writeFileSync(join(remote, 'a.txt'), 'a\n');
    writeFileSync(join(world.folder, 'here.txt'), 'here\n');
  });
  after(() => world[Symbol.asyncDispose]());

  /** Runs it, and expects an exit code and words on standard error. */
  async function expectExit(
    code: number,
    words: readonly string[],
    text: RegExp = /^/,
    env: NodeJS.ProcessEnv = {},
  ) {
    const { status, stderr, stdout } = await world.run(words, { env });
    assert.equal(status, code, `tsftp ${words.join(' ')}\n${stderr}`);
    assert.match(stderr, text);
    return { stdout, stderr };
  }

  test('is 0 where everything was done', async () => {
    await expectExit(0, ['get', `box:${remote}/a.txt`, 'got.txt'], /^1 file, 2 B in /);
  });

  test('is 1 where a part was done, and each failure is told', async () => {
    const words = ['get', `box:${remote}/missing`, `box:${remote}/a.txt`, '.'];
    await expectExit(1, words, /missing': no such file[\s\S]*1 of 2 items failed \(exit code 1\)/);
  });

  test('is that of the first failure with --fail-fast', async () => {
    await expectExit(3, ['rm', '--fail-fast', `box:${remote}/missing`, `box:${remote}/none`]);
  });

  test('is 2 for a wrong command line, and nothing is sent', async () => {
    await expectExit(2, ['ls', '--frob', 'box:'], /Unknown option '--frob'/);
    await expectExit(
      2,
      ['ls', 'root:secret@box:'],
      /^tsftp: An address with a password can be read by every user/,
    );
    await expectExit(2, ['gte', 'box:a', '.'], /There is no command 'gte'; did you mean get\?/);
  });

  test('is 3 for what is not there', async () => {
    await expectExit(3, ['ls', `box:${remote}/missing`], /no such file or directory/);
    await expectExit(3, ['put', 'here.txt', `box:${remote}/missing/here.txt`]);
  });

  test('is 4 for what the server refuses', async () => {
    await expectExit(
      4,
      ['mkdir', `box:${remote}`],
      /there is a directory already; mkdir -p takes what is there/,
    );
    await expectExit(4, ['rmdir', `box:${world.folder}`], /it is not empty; rm -r removes/);
  });

  test('is 4 for a permission that is missing', async () => {
    using user = addUser();
    const closed = join(world.folder, 'closed');
    mkdirSync(closed);
    chmodSync(closed, 0o700);
    const words = ['-o', 'IdentityFile=none', 'ls', `${user.name}@box:${closed}`];
    await expectExit(4, words, /permission denied/i, { TSFTP_PASSWORD: user.password });
  });

  test('is 5 for a connection that is lost, after all retries', async (t) => {
    const files = { 'a.bin': Buffer.alloc(1_000_000) };
    const server = await faulty(t, { files }, { faults: { disconnectAfter: { bytes: 100_000 } } });
    await expectExit(
      5,
      ['--retry', '0', ...server.options, 'get', `${server.address}a.bin`, 'lost.bin'],
      /^tsftp: /,
      server.env,
    );
  });

  test('is 4 for a disk that is full, and nothing half-written stays', async (t) => {
    const server = await faulty(t, { files: {} }, { capacity: 1000 });
    writeFileSync(join(world.folder, 'large.bin'), Buffer.alloc(100_000));
    await expectExit(4, [...server.options, 'put', 'large.bin', server.address], /^tsftp: /, server.env);
  });

  test('is 6 where nothing can be connected to', async () => {
    await expectExit(6, ['-P', '1', 'ls', '127.0.0.1:'], /the connection was refused/);
    await expectExit(6, ['ls', 'no-such-host.invalid:'], /was not found; check the spelling/);
  });

  test('is 7 for a login that fails', async () => {
    const { port, knownHosts } = world.sshd;
    const words = ['-P', `${port}`, '--known-hosts', knownHosts, 'ls', 'root@127.0.0.1:'];
    await expectExit(7, words, /^tsftp: Authentication failed/, { TSFTP_PASSWORD: 'wrong' });
    await expectExit(7, words, /^tsftp: No credentials: give -i FILE or --password-file/);
  });

  test('is 8 for a host key that is not known, with the command that adds it', async () => {
    const words = ['-o', 'UserKnownHostsFile=/dev/null', 'ls', 'box:'];
    const { stderr } = await expectExit(8, words, /is not known/);
    assert.match(stderr, / {2}--fingerprint SHA256:/);
    assert.match(stderr, / {2}echo '\[127\.0\.0\.1\]:\d+ ssh-ed25519 AAAA\S+' >> \/dev\/null/);
    const [, pin = ''] = /--fingerprint (\S+)/.exec(stderr) ?? [];
    await expectExit(0, ['--fingerprint', pin, '-o', 'UserKnownHostsFile=/dev/null', 'ls', 'box:']);
  });

  test('is 9 where there was nothing to do, if that is asked for', async () => {
    const empty = join(world.folder, 'empty');
    mkdirSync(empty);
    await expectExit(9, ['find', '--error-on-nothing', `box:${empty}`], /there was nothing to do/);
    await expectExit(0, ['find', `box:${empty}`]);
  });

  test('is 10 for trouble with local files', async () => {
    await expectExit(
      10,
      ['put', 'missing.txt', `box:${remote}`],
      /missing\.txt: no such file or directory on this computer/,
    );
    await expectExit(10, ['get', `box:${remote}/a.txt`, 'no/such/folder/a.txt']);
  });

  test('is 10 for a name of a list that is not UTF-8, and the others are sent', async () => {
    const folder = join(world.folder, 'listed');
    for (const each of [folder, `${remote}-listed`]) mkdirSync(each);
    for (const name of ['plain', 'late']) writeFileSync(join(folder, name), name);
    writeFileSync(Buffer.from(`${folder}/caf\xe9`, 'latin1'), '');
    writeFileSync(join(world.folder, 'list'), Buffer.from('plain\ncaf\xe9\nlate\n', 'latin1'));
    const words = ['put', '--files-from', 'list', folder, `box:${remote}-listed/`];
    await expectExit(1, words, /caf\ufffd is not UTF-8: .*put -r/);
    await expectExit(0, ['stat', `box:${remote}-listed/plain`, `box:${remote}-listed/late`]);
    writeFileSync(join(world.folder, 'list'), Buffer.from('caf\xe9\n', 'latin1'));
    await expectExit(10, words);
  });

  test('is 11 where check finds differences', async () => {
    const local = join(world.folder, 'checked');
    mkdirSync(local);
    writeFileSync(join(local, 'a.txt'), 'other\n');
    writeFileSync(join(local, 'new.txt'), 'new\n');
    symlinkSync('nothing', join(local, 'link'));
    const { stdout } = await expectExit(11, ['check', local, `box:${remote}`]);
    assert.equal(stdout, '* a.txt\n+ link\n+ new.txt\n');
    const same = await expectExit(0, ['check', '--checksum', remote, `box:${remote}`]);
    assert.equal(same.stdout, '= a.txt\n');
  });

  test('of check counts names that are not UTF-8 as the others, in both directions', async () => {
    const sides = ['left', 'right'].map((name) => join(world.folder, name));
    const latin1 = (...parts: readonly string[]): Buffer => Buffer.from(parts.join('/'), 'latin1');
    for (const [index, side] of sides.entries()) {
      mkdirSync(latin1(side, 'd\xe9p\xf4t'), { recursive: true });
      writeFileSync(latin1(side, 'd\xe9p\xf4t', 'same\xff'), 'same');
      writeFileSync(latin1(side, 'other\xff'), index === 0 ? 'this' : 'that');
      writeFileSync(latin1(side, `only\xfe${index}`), '');
    }
    const [left = '', right = ''] = sides;
    const lines = (mark: string, shown: string) => `+ only\ufffd${mark[0]}\n- only\ufffd${mark[1]}\n${shown}`;
    const rest = '* other\ufffd\n= d\ufffdp\ufffdt\n= d\ufffdp\ufffdt/same\ufffd\n';
    for (const [words, mark] of [
      [[left, `box:${right}`], '01'],
      [[`box:${right}`, left], '10'],
      [[left, right], '01'],
    ] as const) {
      const { stdout } = await expectExit(11, ['check', '--checksum', ...words]);
      assert.equal(stdout.split('\n').sort().join('\n'), lines(mark, rest).split('\n').sort().join('\n'));
    }
    const { stdout } = await expectExit(11, ['check', '--json', '--differences', left, `box:${right}`]);
    assert.match(stdout, /"mark":"\+","path":"only\ufffd0","pathBase64":"b25sef4w"/);
  });

  test('is 12 for a server that lacks what is needed', async (t) => {
    const server = await faulty(t, { files: {} }, { extensions: [] });
    await expectExit(12, [...server.options, 'df', server.address], /statvfs/, server.env);
  });

  test('of mirror --delete is that of a directory that cannot be listed, as nothing is deleted then', async (t) => {
    const files = { 'to/extra.txt': 'extra', 'to/closed/a.txt': 'a' };
    const failOn = ({ kind, path = '' }: SeenRequest) =>
      kind === 'opendir' && path.endsWith('to/closed') ? 'EACCES' : undefined;
    const server = await faulty(t, { files }, { faults: { failOn } });
    const from = join(world.folder, 'mirrored');
    mkdirSync(join(from, 'closed'), { recursive: true });
    writeFileSync(join(from, 'new.txt'), 'new');
    const words = [...server.options, 'mirror', '--batch', '--delete', 'mirrored', `${server.address}to`];
    const dryRun = await expectExit(1, [...words, '--dry-run'], /closed/, server.env);
    assert.equal(dryRun.stdout, '! closed/ (unreadable)\n+ new.txt (missing, 3 B)\n');
    const { stderr } = await expectExit(1, words, /closed/, server.env);
    assert.doesNotMatch(stderr, /--yes/);
    const { stdout } = await expectExit(0, [...server.options, 'ls', `${server.address}to`], /^/, server.env);
    assert.deepEqual(stdout.trim().split('\n').sort(), ['closed', 'extra.txt', 'new.txt']);
  });

  test('of exec is that of the command', async () => {
    const { stdout } = await expectExit(
      7,
      ['exec', 'box:', 'echo out; exit 7'],
      /The command ended with exit code 7/,
    );
    assert.equal(stdout, 'out\n');
  });

  /** The embedded server, and what the program needs to log in to it. */
  async function faulty(t: TestContext, source: ServerSource, options: ServerOptions) {
    const server = await startServer(source, { users: { me: 'secret' }, ...options });
    t.after(() => server.close());
    const knownHosts = join(world.folder, `known_hosts_${server.port}`);
    writeFileSync(knownHosts, server.knownHosts);
    return {
      address: `sftp://me@127.0.0.1:${server.port}/~/`,
      options: ['--known-hosts', knownHosts],
      env: { TSFTP_PASSWORD: 'secret' },
    };
  }
});
