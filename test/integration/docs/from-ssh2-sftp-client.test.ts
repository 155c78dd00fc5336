/** docs/from-ssh2-sftp-client.md: its programs run, both columns of its calls do the same, and its tables leave out nothing. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { describe, type TestContext, test } from 'node:test';
import { HOST_OPTIONS } from '../../../src/connect/options.js';
import { Connection } from '../../../src/index.js';
import Client from '../../../src/ssh2-sftp-client/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { buildPackage, runProgram } from '../../support/built-package.js';
import { connectToServer } from '../../support/login.js';

const tsftp = await buildPackage();
const text = await readFile('docs/from-ssh2-sftp-client.md', 'utf8');

const ON_SERVER = {
  'pub/readme.txt': { content: 'read me', mtime: new Date('2026-05-26') },
  'in/first.txt': 'one egg',
  'www/index.html': 'old',
};

const ON_DISK = {
  'report.csv': 'eggs,10\n',
  'site/index.html': '<html>',
  'site/index.js.map': '{}',
};

/** What the programs print, in their order. */
const OUTPUT = ["[ 'readme.txt 7' ]\n", '-\n', 'readme.txt 7 2026\n', 'site/index.html -> /www/index.html\n'];

const programs = [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = '']) => code);

function rowsOf(heading: string): readonly (readonly string[])[] {
  const [section = ''] = text.split(`\n${heading}\n`)[1]?.split(/^##+ /m) ?? [];
  return section
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| ssh2'))
    .map((line) => line.slice(2, -2).split(' | '));
}

const calls = rowsOf("## The ten most used calls in tsftp's own API").map((cells) =>
  cells.map((cell) => cell.replaceAll('`', '')),
);

async function start(t: TestContext): Promise<{ readonly server: TestServer; readonly folder: string }> {
  const server = await startServer({ files: ON_SERVER }, { users: { me: 'secret' } });
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-moving-'));
  t.after(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  await tsftp.install(folder);
  const files = { ...ON_DISK, '.ssh/known_hosts': server.knownHosts };
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return { server, folder };
}

/** The server of the test in place of the one of the text. */
function forServer(code: string, { host, port, hostKey }: TestServer): string {
  return code
    .replaceAll("host: 'hostname'", `host: '${host}', port: ${port}`)
    .replaceAll("connect('hostname', {", `connect('${host}', { port: ${port},`)
    .replaceAll(/SHA256:\w{43}/g, hostKey.fingerprint);
}

describe('docs/from-ssh2-sftp-client.md', { timeout: 120_000 }, () => {
  for (const [index, code] of programs.entries()) {
    test(`has a program ${index + 1} that runs`, async (t) => {
      const { server, folder } = await start(t);
      const file = code.includes('require(') ? 'program.cjs' : 'program.ts';
      const source = { file, code: forServer(code, server) };
      const { status, stdout, stderr } = await runProgram(folder, source, { HOME: folder });
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.equal(stdout, OUTPUT[index]);
    });
  }

  for (const [column, name] of ['ssh2-sftp-client', 'tsftp'].entries()) {
    test(`has calls that work, those of ${name}`, async (t) => {
      const { server, folder } = await start(t);
      const { host, port } = server;
      const known = [
        "import { Buffer } from 'node:buffer';",
        "import { connect } from 'tsftp';",
        "import Client from 'tsftp/ssh2-sftp-client';",
        `const [host, port, username, password] = ${JSON.stringify([host, port, 'me', 'secret'])};`,
        'const client = new Client();',
      ];
      const code = [...known, ...calls.map((cells) => `${cells[column]};`)].join('\n');
      const { status, stderr } = await runProgram(folder, { file: 'calls.ts', code }, { HOME: folder });
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.equal(await readFile(join(folder, 'readme.txt'), 'utf8'), 'read me');
      const left = ['/in/report.csv', '/in/order.txt', '/in/done.txt', '/in/2026/05', '/www/index.js.map'];
      await using sftp = await connectToServer(server);
      assert.deepEqual(await Promise.all(left.map((path) => sftp.exists(path))), [
        true,
        false,
        false,
        true,
        true,
      ]);
      assert.equal(server.readFile('/www/index.html').toString(), '<html>');
    });
  }

  test('names every method of the class, and beside it methods that there are', () => {
    const rows = rowsOf('## Method by method');
    const namesIn = (cell = '') => [...cell.matchAll(/`(?:new )?(\w+)/g)].map(([, each = '']) => each);
    const old = new Set(rows.flatMap(([cell]) => namesIn(cell)));
    const properties = ['constructor', 'client', 'sftp'];
    const methods = Object.getOwnPropertyNames(Client.prototype).filter((each) => !properties.includes(each));
    assert.deepEqual(
      methods.filter((each) => !old.has(each)),
      [],
    );
    const ours = rows.flatMap(([, cell]) => namesIn(cell));
    const known = new Set([...Object.getOwnPropertyNames(Connection.prototype), 'connect']);
    assert.deepEqual(
      ours.filter((each) => !known.has(each)),
      [],
    );
  });

  test('names every option of connect', async () => {
    const types = await readFile('src/ssh2-sftp-client/types.ts', 'utf8');
    const [, fields = ''] = /interface ConnectOptions \{(.*?)^\}/ms.exec(types) ?? [];
    const options = [...fields.matchAll(/^ {2}(\w+)\?:/gm)].map(([, each = '']) => each);
    // These are tsftp's own, and `timeout` is another one there.
    const others = ['fingerprint', 'knownhosts', 'hostKeyPolicy', 'timeout'];
    const named = rowsOf('### Options of connect')
      .map(([cell]) => cell)
      .join();
    assert.deepEqual(
      options.filter((each) => !others.includes(each) && !named.includes(`\`${each}\``)),
      [],
    );
  });

  test('names options of connect that tsftp has', () => {
    const ours = rowsOf('### Options of connect').flatMap(
      ([, cell = '']) => cell.match(/(?<=`)[a-z]\w*/g) ?? [],
    );
    assert.deepEqual(
      ours.filter((each) => !(each in HOST_OPTIONS)),
      [],
    );
  });

  test('is right about what is a TypeError where the names are the same', async (t) => {
    const { server, folder } = await start(t);
    await using sftp = await connectToServer(server, { username: 'me', password: 'secret' });
    const stream = new PassThrough();
    const habits: readonly (() => Promise<unknown>)[] = [
      () => sftp.get('/pub/readme.txt', stream as never),
      () => sftp.put(Buffer.from('x') as never, '/in/x'),
      () => sftp.put(stream as never, '/in/x'),
      () => sftp.mkdir('/in/x', true as never),
      () => sftp.rmdir('/in', true as never),
      () => sftp.cwd(undefined as never),
      () => sftp.put(join(folder, 'report.csv'), '/in/x', { step: () => {} } as never),
    ];
    for (const habit of habits) await assert.rejects(habit, { name: 'TypeError' }, String(habit));
    assert.deepEqual(await sftp.listdir('/in'), ['first.txt']);
  });
});
