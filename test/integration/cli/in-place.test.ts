/** The program at servers that refuse temporary names or renaming: it writes in place, and says so in one line. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { SeenRequest } from '../../../src/testing/faults.js';
import { type ServerOptions, startServer, type TestServer } from '../../../src/testing/index.js';
import { type ProgramRun, type ProgramWorld, startWorld } from '../../support/program.js';
import { needsOpenSsh } from '../../support/sshd.js';

const WHY = 'written in place: a temporary name in the directory, or renaming it, was refused';

function countOf(text: string, part: string): number {
  return text.split(part).length - 1;
}

describe('tsftp at a server that lets nothing be renamed', { skip: needsOpenSsh, timeout: 240_000 }, () => {
  let world: ProgramWorld;
  let local: string;
  let remote: string;

  before(async () => {
    world = await startWorld({ sftpCommand: '/usr/lib/openssh/sftp-server -P rename,posix-rename' });
    local = join(world.folder, 'local');
    remote = join(world.folder, 'remote');
    for (const folder of [local, join(local, 'below')]) mkdirSync(folder);
    for (const name of ['old.txt', 'new.txt', 'below/deep.txt'])
      writeFileSync(join(local, name), `whole ${name}\n`);
  });
  after(() => world[Symbol.asyncDispose]());

  /** What is there before each run. */
  function prepare(): void {
    rmSync(remote, { recursive: true, force: true });
    mkdirSync(remote);
    writeFileSync(join(remote, 'old.txt'), 'old\n');
  }

  function expectWhole(...names: readonly string[]): void {
    for (const name of names) {
      assert.equal(readFileSync(join(remote, name), 'utf8'), `whole ${name}\n`, name);
    }
    assert.deepEqual(
      readdirSync(remote, { recursive: true, encoding: 'utf8' }).filter((name) => name.includes('.part')),
      [],
    );
  }

  for (const transport of ['ssh2', 'openssh']) {
    const ways: Readonly<Record<string, readonly string[]>> = {
      'put of one file': ['put', 'local/old.txt', 'box:remote/old.txt'],
      'put of several files': ['put', 'local/old.txt', 'local/new.txt', 'box:remote'],
      'put -r': ['put', '-r', 'local/below', 'box:remote'],
      'cp between two addresses': ['cp', '-p', 'box:local/old.txt', 'box:remote/old.txt'],
      mirror: ['mirror', '--checksum', 'local', 'box:remote'],
    };
    for (const [way, words] of Object.entries(ways)) {
      test(`${way} writes in place over ${transport}`, async () => {
        prepare();
        const at = words.map((word) => word.replace('box:', `box:${world.folder}/`));
        const { status, stderr } = await world.run(['--transport', transport, ...at]);
        assert.equal(status, 0, stderr);
        assert.equal(countOf(stderr, WHY), 1, stderr);
        const names = {
          'put of several files': ['old.txt', 'new.txt'],
          'put -r': ['below/deep.txt'],
          mirror: ['old.txt', 'new.txt', 'below/deep.txt'],
        };
        expectWhole(...(names[way as keyof typeof names] ?? ['old.txt']));
      });
    }

    test(`put of standard input writes in place over ${transport}`, async () => {
      prepare();
      const input = `whole old.txt\n`;
      const words = ['--transport', transport, 'put', '-', `box:${remote}/old.txt`];
      const { status, stderr } = await world.run(words, { input });
      assert.equal(status, 0, stderr);
      assert.equal(countOf(stderr, WHY), 1, stderr);
      expectWhole('old.txt');
    });
  }

  test('a batch says so for each command', async () => {
    prepare();
    const input = `put ${local}/old.txt ${remote}/old.txt\nput ${local}/new.txt ${remote}/new.txt\n`;
    const { status, stderr } = await world.run(['-b', '-', 'box:'], { input });
    assert.equal(status, 0, stderr);
    assert.equal(countOf(stderr, WHY), 2, stderr);
    expectWhole('old.txt', 'new.txt');
  });

  test('the line tells how many files there are, and -q leaves it out', async () => {
    prepare();
    const words = ['put', join(local, 'old.txt'), join(local, 'new.txt'), `box:${remote}`];
    assert.match((await world.run(words)).stderr, /^2 files were written in place: /m);
    assert.equal((await world.run(['-q', ...words])).stderr, '');
    expectWhole('old.txt', 'new.txt');
  });

  test('--in-place says nothing', async () => {
    for (const words of [
      ['put', '--in-place', join(local, 'old.txt'), `box:${remote}/old.txt`],
      ['mirror', '--in-place', '--checksum', local, `box:${remote}`],
    ]) {
      prepare();
      const { status, stderr } = await world.run(words);
      assert.deepEqual([status, countOf(stderr, WHY)], [0, 0], stderr);
      expectWhole('old.txt');
    }
  });

  test('--resume needs a temporary name: exit code 4, and the old file stays', async () => {
    prepare();
    const { status, stderr } = await world.run([
      'put',
      '-a',
      join(local, 'old.txt'),
      `box:${remote}/old.txt`,
    ]);
    assert.equal(status, 4, stderr);
    assert.match(stderr, /give --in-place/);
    assert.equal(readFileSync(join(remote, 'old.txt'), 'utf8'), 'old\n');
  });

  /** The old file is whole after each of these. */
  const errors: readonly {
    readonly what: string;
    readonly status: number;
    readonly options: ServerOptions;
  }[] = [
    { what: 'a full disk', status: 4, options: { capacity: 50_000 } },
    { what: 'a lost connection', status: 5, options: { faults: { disconnectAfter: { bytes: 50_000 } } } },
    {
      what: 'a file that is protected',
      status: 4,
      options: {
        faults: { failOn: ({ kind }: SeenRequest) => (kind === 'open' ? 'EACCES' : undefined) },
      },
    },
  ];
  for (const { what, status: expected, options } of errors) {
    test(`${what} remains an error (${expected})`, async (t) => {
      const server = await startServer(
        { files: { 'old.txt': 'old' } },
        { users: { me: 'secret' }, ...options },
      );
      t.after(() => server.close());
      writeFileSync(join(world.folder, 'large'), Buffer.alloc(200_000));
      const { status, stderr } = await put(server, 'large');
      assert.equal(status, expected, stderr);
      assert.equal(countOf(stderr, WHY), 0, stderr);
      assert.equal(server.readFile('/old.txt').toString(), 'old');
    });
  }

  function put(server: TestServer, name: string): Promise<ProgramRun> {
    const known = join(world.folder, `known_${server.port}`);
    writeFileSync(known, server.knownHosts);
    const address = `sftp://me@127.0.0.1:${server.port}/~/old.txt`;
    return world.run(['--known-hosts', known, '--retry', '0', 'put', name, address], {
      env: { TSFTP_PASSWORD: 'secret' },
    });
  }
});
