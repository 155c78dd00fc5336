/** The snippets of the cook book and the programs of examples/ are run against the embedded server. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { type Faults, startServer, type TestServer } from '../../../src/testing/index.js';
import { buildPackage, type ProgramResult, runProgram } from '../../support/built-package.js';
import { startHttpProxy, startSocksServer } from '../../support/proxies.js';
import { makeKey, needsOpenSsh, startSshd } from '../../support/sshd.js';

const ROOT = resolve('.');
const book = await readFile('docs/cookbook.md', 'utf8');

const ON_SERVER = {
  'readme.txt': { content: 'read me', mode: 0o644 },
  'pub/make.txt': 'make',
  'pub/example/example01.txt': 'one',
  'inbox/order.txt': 'one egg',
  'inbox/done.flag': '',
  'reports/may.csv': 'eggs,10\nmilk,5\n',
  'public/index.html': 'old',
  'logs/old.log': { content: 'old', mtime: new Date('2020-01-01') },
  'logs/new.log': 'new',
};

const tsftp = await buildPackage();

/** Runs a program in a folder that has the package. */
async function run(folder: string, file: string, env: NodeJS.ProcessEnv): Promise<ProgramResult> {
  await tsftp.install(folder);
  // A package that an example needs beside ours; it may be there already.
  await symlink(resolve('node_modules/socks'), join(folder, 'node_modules/socks')).catch(() => {});
  return runProgram(folder, { file: resolve(folder, file) }, env);
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-cookbook-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

function environment(server: TestServer): NodeJS.ProcessEnv {
  return {
    SFTP_URL: `sftp://me:secret@${server.host}:${server.port}`,
    SFTP_FINGERPRINT: server.hostKey.fingerprint,
  };
}

interface Snippet {
  readonly title: string;
  readonly code: string;
}

/** The `ts` blocks of a part of the book, each under the heading above it. */
function snippetsOf(part: string): Snippet[] {
  return part
    .split(/^## /m)
    .slice(1)
    .flatMap((section) => {
      const [, code] = /```ts\n(.*?)```/s.exec(section) ?? [];
      return code === undefined ? [] : [{ title: section.split('\n', 1)[0] ?? '', code }];
    });
}

const [snippetPart = '', jobPart = ''] = book.split(/^# Twelve jobs$/m);

/** What the snippets print. */
const OUTPUT: Readonly<Record<string, string>> = {
  Connection: "[ 'inbox', 'logs', 'pub', 'public', 'readme.txt', 'reports' ]\n",
  'A private key': '/\n',
  'Host keys': "[ 'zlib@openssh.com', 'zlib@openssh.com' ]\n",
  CnOpts: "[ 'zlib@openssh.com', 'zlib@openssh.com' ]\n",
  'No check of host keys': 'true\n',
  'Through other hosts': 'true\n',
  "With the system's ssh": 'ssh-ed25519\n',
  getD: '1\n',
  getR: '2 1\n',
  put: '7\n',
  putD: "[ 'make.txt' ]\n",
  putR: "[ 'images', 'make.txt', 'pub' ]\n",
  cd: '/pub/example\n/\n',
  'cd as a bookmark': '/\n',
  stModeToInt: '33188 644\n',
  pwd: '/\n',
  listdir: "[ 'example', 'make.txt' ]\n",
  listdirAttr: 'example true drwxr-xr-x\nmake.txt false -rw-r--r--\n',
  isdir: 'true\n',
  isfile: 'false\n',
  exists: 'true true\n',
  lexists: 'false true\n',
  truncate: '4\n',
  walktree: "[ 'pub/example/example01.txt', 'pub/make.txt' ] [ 'pub/example', 'pub/show', 'pub/show/off' ]\n",
  walk: '2 pub/example/example01.txt 3\n1 pub/make.txt 4\n',
  mirror:
    'create example missing\ncreate example/example01.txt missing\ncreate make.txt missing\n' +
    'create show missing\ncreate show/off missing\n5 0 5\n',
  'mirror with limits': 'false 0\n',
  Timeouts: '4 30000\n',
  resume: "0 0 [ 'SAME', 'SAME' ]\n",
  retry: 'true\n',
  continueOnError: "1 [ 'make.txt' ]\n",
  waitForFile: 'inbox/order.txt 7\n',
  watch: 'created inbox/done.flag\ncreated inbox/order.txt\n',
  copyBetween: "2 [ 'done.flag', 'order.txt' ]\n",
  terminalProgress: '100%  3 B of 3 B  1/1 files\n',
  sftpClient: 'read\n',
  pathAdvance: "[ '.', './pub', './pub/example', './pub/example/example01' ]\n",
  pathRetreat: "[ './pub/example/example01', './pub/example', './pub', '.' ]\n",
  reparent: 'backup/./home/test/pub\n',
  'walktree, local': "[ 'local-backup/pub', 'local-backup/pub/example' ]\n",
  'cd, local': 'local-backup\n',
};

describe('The cook book', { timeout: 120_000, skip: needsOpenSsh }, () => {
  test('has snippets that run and print what they should', async (t) => {
    const folder = await makeFolder(t);
    await mkdir(join(folder, '.ssh'));
    const publicKey = await makeKey(join(folder, '.ssh', 'id_cookbook'), 'ed25519');
    await using server = await startServer(
      { files: ON_SERVER },
      { users: { me: 'secret' }, authorizedKeys: [publicKey] },
    );
    const gateKey = await makeKey(join(folder, '.ssh', 'id_gate'), 'ed25519');
    await using gate = await startSshd({ authorizedKeys: [gateKey] });
    await mkdir(join(folder, 'gate'));
    await copyFile(gate.knownHosts, join(folder, 'gate', 'known_hosts'));
    for (const name of ['my', 'more']) {
      await mkdir(join(folder, name));
      await writeFile(join(folder, name, 'known_hosts'), server.knownHosts);
    }
    const snippets = snippetsOf(snippetPart);
    const steps = snippets.map(
      ({ title, code }) => `console.log(${JSON.stringify(`## ${title}`)});\n{\n${code}}\n`,
    );
    const program = [
      "import { basename } from 'node:path';",
      "import { cd, CnOpts, connect, copyBetween, OPEN_FLAGS, pathAdvance, pathRetreat, reparent, stModeToInt, walktree, WTCallbacks } from 'tsftp';",
      "import { terminalProgress } from 'tsftp/terminal';",
      `const [host, port] = [${JSON.stringify(server.host)}, ${server.port}];`,
      `const [gateHost, gatePort, gateUser] = ${JSON.stringify([gate.host, gate.port, gate.user])};`,
      'const fingerprint = process.env.SFTP_FINGERPRINT;',
      "await using sftp = await connect(process.env.SFTP_URL ?? '', { fingerprint });",
      ...steps,
    ].join('\n');
    const file = join(folder, 'snippets.mts');
    await writeFile(file, program);
    const { status, stdout, stderr } = await run(folder, file, { ...environment(server), HOME: folder });
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const printed = stdout
      .split(/^## /m)
      .slice(1)
      .map((part) => {
        const at = part.indexOf('\n');
        return [part.slice(0, at), part.slice(at + 1)] as const;
      });
    assert.equal(printed.length, snippets.length);
    for (const [title, output] of printed) assert.equal(output, OUTPUT[title] ?? '', title);
  });

  test('shows the programs of examples/ as they are, all of them', async () => {
    const jobs = snippetsOf(jobPart);
    const shown = [...jobPart.matchAll(/^`examples\/(.*)`$/gm)].map(([, name = '']) => name);
    assert.deepEqual(
      shown.toSorted(),
      (await readdir('examples')).filter((name) => name.endsWith('.ts')).sort(),
    );
    for (const [index, name] of shown.entries()) {
      assert.equal(jobs[index]?.code, await readFile(join('examples', name), 'utf8'), name);
    }
  });
});

interface Job {
  readonly prints: RegExp;
  readonly env?: (t: TestContext, server: TestServer) => Promise<NodeJS.ProcessEnv>;
  readonly check?: (folder: string, server: TestServer) => Promise<void>;
}

const LISTING = /^\[ 'inbox', 'logs', .*\]\n$/s;

const jobs: Readonly<Record<string, Job>> = {
  'upload-a-folder.ts': {
    prints: /^2 files, 11 bytes; left out: 0\n$/,
    check: async (_, server) => {
      assert.deepEqual(server.listNames('/public/website'), ['index.html', 'styles']);
    },
  },
  'mirror-a-drop-box.ts': {
    prints: /^create done\.flag\ncreate order\.txt\n$/,
    check: async (folder, server) => {
      assert.equal(await readFile(join(folder, 'mirror/order.txt'), 'utf8'), 'one egg');
      const again = await run(folder, join(ROOT, 'examples/mirror-a-drop-box.ts'), environment(server));
      assert.equal(again.stdout, '');
    },
  },
  'stream-to-a-bucket.ts': {
    prints: /^the bucket answered 201\n$/,
    env: async (t) => {
      const bucket = createServer(async (request, response) => {
        assert.equal(await text(request), 'eggs,10\nmilk,5\n');
        response.writeHead(201).end();
      }).listen(0, '127.0.0.1');
      t.after(() => bucket.close());
      await once(bucket, 'listening');
      return { BUCKET_URL: `http://127.0.0.1:${(bucket.address() as AddressInfo).port}/may.csv` };
    },
  },
  'process-a-csv.ts': { prints: /^sum: 15\n$/ },
  'wait-for-a-file.ts': {
    prints: /^it is there\n$/,
    check: async (folder) => {
      assert.equal((await stat(join(folder, 'may.csv'))).size, 15);
    },
  },
  'key-from-the-environment.ts': {
    prints: /^\[ 'done\.flag', 'order\.txt' \]\n$/,
    env: async (_, server) => {
      return {
        SFTP_HOST: server.host,
        SFTP_PORT: String(server.port),
        SFTP_USER: 'me',
        SFTP_KEY: await readFile(KEY.path, 'utf8'),
      };
    },
  },
  'replace-a-file-safely.ts': {
    prints: /^published 5 bytes\n$/,
    check: async (_, server) => {
      assert.deepEqual(server.listNames('/public'), ['index.html', 'index.html.bak']);
      assert.equal(server.readFile('/public/index.html').toString(), 'hello');
      assert.equal(server.readFile('/public/index.html.bak').toString(), 'old');
    },
  },
  'delete-old-files.ts': {
    prints: /^deleted logs\/old\.log\n$/,
    check: async (_, server) => assert.deepEqual(server.listNames('/logs'), ['new.log']),
  },
  'through-a-socks-proxy.ts': {
    prints: LISTING,
    env: async (t) => ({ SOCKS_PORT: String(await startSocksServer(t)) }),
  },
  'through-an-http-proxy.ts': {
    prints: LISTING,
    env: async (t) => ({ HTTP_PROXY: `http://127.0.0.1:${await startHttpProxy(t)}` }),
  },
  'verify-an-upload.ts': { prints: /^identical\n$/ },
  'handle-errors.ts': { prints: /^not there yet: .*june\.csv\n$/ },
};

interface Branch {
  readonly name: string;
  /** When it is taken. */
  readonly when: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly faults?: Faults;
  /** A file of the server that somebody else writes before it is read. */
  readonly spoils?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly prints: string;
  readonly fails?: RegExp;
}

const LARGE = { 'reports/june.csv': 'x'.repeat(1_000_000) };

/** What the programs do where not everything goes well. */
const branches: readonly Branch[] = [
  {
    name: 'handle-errors.ts',
    when: 'that it gave up',
    files: LARGE,
    faults: { failOn: ({ kind }) => (kind === 'read' ? new Promise<undefined>(() => {}) : undefined) },
    env: { SFTP_TIMEOUT_MS: '2000' },
    prints: 'gave up: it took too long\n',
  },
  {
    name: 'handle-errors.ts',
    when: 'how far it came, and which side failed',
    files: LARGE,
    faults: { failOn: ({ kind }) => (kind === 'read' ? 'EACCES' : undefined) },
    prints: 'stopped after 0 bytes, on the remote side: EACCES\n',
  },
  {
    name: 'handle-errors.ts',
    when: 'that the connection was lost',
    files: LARGE,
    faults: { disconnectAfter: { bytes: 100_000 } },
    prints: 'the connection was lost\n',
  },
  {
    name: 'handle-errors.ts',
    when: 'nobody of what it does not expect',
    env: { SFTP_FINGERPRINT: `SHA256:${'A'.repeat(43)}` },
    prints: '',
    fails: /HostKeysError/,
  },
  {
    name: 'process-a-csv.ts',
    when: 'the sum also where a line has no number',
    files: { 'reports/may.csv': 'item,amount\neggs,10\nmilk\n' },
    prints: 'sum: 10\n',
  },
  {
    name: 'verify-an-upload.ts',
    when: 'that something else is there than what was sent',
    spoils: 'public/index.html',
    prints: 'different\n',
  },
];

function spoiling(file: string): Faults {
  return {
    failOn: ({ kind, path }) => {
      if (kind === 'read' && path?.endsWith(basename(file))) writeFileSync(file, 'HELLO');
      return undefined;
    },
  };
}

const KEY = { path: '', publicKey: '' };

describe('The programs of examples/', { timeout: 240_000, skip: needsOpenSsh }, () => {
  for (const [name, { prints, env, check }] of Object.entries(jobs)) {
    test(`${name} does its job`, async (t) => {
      const folder = await makeFolder(t);
      KEY.path = join(folder, 'id');
      KEY.publicKey = await makeKey(KEY.path, 'ed25519');
      for (const [path, content] of [
        ['index.html', 'hello'],
        ['styles/a.css', 'a { }\n'],
      ] as const) {
        await mkdir(dirname(join(folder, 'website', path)), { recursive: true });
        await writeFile(join(folder, 'website', path), content);
        await utimes(join(folder, 'website', path), 1e9, 1e9);
      }
      await using server = await startServer(
        { files: ON_SERVER },
        { users: { me: 'secret' }, authorizedKeys: [KEY.publicKey] },
      );
      const more = (await env?.(t, server)) ?? {};
      const file = join(ROOT, 'examples', name);
      const { status, stdout, stderr } = await run(folder, file, { ...environment(server), ...more });
      assert.equal(status, 0, stderr);
      assert.match(stdout, prints);
      await check?.(folder, server);
    });
  }

  test('are all executed', async () => {
    assert.deepEqual(
      Object.keys(jobs).sort(),
      (await readdir('examples')).filter((name) => name.endsWith('.ts')).sort(),
    );
  });
});

describe('A program of examples/', { timeout: 240_000 }, () => {
  for (const { name, when, files = {}, faults = {}, env = {}, spoils, prints, fails } of branches) {
    test(`${name} tells ${when}`, async (t) => {
      const folder = await makeFolder(t);
      await mkdir(join(folder, 'website'));
      await writeFile(join(folder, 'website', 'index.html'), 'hello');
      const root = join(folder, 'server');
      await mkdir(join(root, 'public'), { recursive: true });
      const users = { me: 'secret' };
      await using server =
        spoils === undefined
          ? await startServer({ files: { ...ON_SERVER, ...files } }, { users, faults })
          : await startServer({ root }, { users, faults: spoiling(join(root, spoils)) });
      const file = join(ROOT, 'examples', name);
      const { status, stdout, stderr } = await run(folder, file, { ...environment(server), ...env });
      assert.equal(stdout, prints);
      assert.match(stderr, fails ?? /^$/);
      assert.equal(status, fails === undefined ? 0 : 1);
    });
  }
});
