/** The snippets of the cook book and the programs of examples/ are run against the embedded server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { startServer, type TestServer } from '../../../src/testing/index.js';
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

interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program with tsx in a folder; `tsftp` is the source of this project. */
async function run(folder: string, file: string, env: NodeJS.ProcessEnv): Promise<Result> {
  const loader = pathToFileURL(join(ROOT, 'node_modules/tsx/dist/loader.mjs')).href;
  const child = spawn(process.execPath, ['--import', loader, file], {
    cwd: folder,
    env: { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, 'tsconfig.json'), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: child.exitCode, stdout, stderr };
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

const [snippetPart = '', jobPart = ''] = book.split(/^# Ten jobs$/m);

/** What the snippets print. */
const OUTPUT: Readonly<Record<string, string>> = {
  Connection: "[ 'inbox', 'logs', 'pub', 'public', 'readme.txt', 'reports' ]\n",
  'A private key': '/\n',
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
  resume: "0 0 [ 'SAME', 'SAME' ]\n",
  retry: 'true\n',
  continueOnError: "1 [ 'make.txt' ]\n",
  waitForFile: 'inbox/order.txt 7\n',
  watch: 'created inbox/done.flag\ncreated inbox/order.txt\n',
  copyBetween: "2 [ 'done.flag', 'order.txt' ]\n",
  terminalProgress: '100%  0.0 of 0.0 MB  1/1 files\n',
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
      'const cnopts = { fingerprint: process.env.SFTP_FINGERPRINT };',
      "await using sftp = await connect(process.env.SFTP_URL ?? '', { cnopts });",
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
    assert.deepEqual(shown.toSorted(), (await readdir('examples')).sort());
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
  'verify-an-upload.ts': { prints: /^identical\n$/ },
  'handle-errors.ts': { prints: /^not there yet: .*june\.csv\n$/ },
};

const KEY = { path: '', publicKey: '' };

describe('The programs of examples/', { timeout: 120_000, skip: needsOpenSsh }, () => {
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
    assert.deepEqual(Object.keys(jobs).sort(), (await readdir('examples')).sort());
  });
});
