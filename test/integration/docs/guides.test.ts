/**
 * Every snippet of the guides is run: those of a page one after the other in one program, against the embedded server.
 * A snippet is an excerpt only where a comment above it says so. `stands for` names a package that is not installed, and
 * whose place a few lines over Node's own test runner take.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { transform } from 'esbuild';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { buildPackage } from '../../support/built-package.js';
import { type Snippet, snippetsOf } from '../../support/snippets.js';

const tsftp = await buildPackage();

const ON_SERVER = {
  'notes.txt': 'notes',
  'inbox/order.txt': 'one egg',
  'public/notes.txt': 'notes',
  'logs/access.log.gz': gzipSync('GET / 200 1\nGET /x 404 2\nGET /y 404 3\n'),
  'logs/old.log': { content: 'old', mtime: new Date('2020-01-01') },
  'logs/new.log': 'new',
  'reports/2026/may.csv': 'eggs,10\n',
  'reports/2026/may.pdf': 'eggs',
  'ready/milk.txt': 'milk',
  'ready/milk.txt.done': '',
};

const ON_DISK = {
  'report.pdf': 'The report.',
  'website/index.html': 'hello',
  'project/main.js': '1',
  'project/debug.log': '2',
  'project/.env': 'SECRET=1',
  'project/node_modules/a/index.js': '3',
};

interface Page {
  /** What its snippets print, one after the other; a snippet that runs until it is stopped prints `until` first. */
  readonly prints: readonly (string | RegExp)[];
  /** The snippets that go on until they get a SIGTERM, by their place: what is done meanwhile. */
  readonly running?: Readonly<Record<number, Running>>;
  readonly check?: (server: TestServer) => void;
}

interface Running {
  readonly until: RegExp;
  readonly meanwhile?: (port: string, server: TestServer) => Promise<void>;
}

const PAGES: Readonly<Record<string, Page>> = {
  options: { prints: ["[ 'order.txt' ]\n"] },
  services: {
    prints: ['new: inbox/order.txt\n', 'true\n', 'done\n'],
    running: { 0: { until: /^new/ } },
  },
  logging: {
    prints: [
      /^connecting to 127\.0\.0\.1:\d+ as me\nlogged in; .*\nSFTP session open; .*\ntrue\nclosed\n$/,
      'true\n',
      '{"copied":"website/index.html"}\n',
    ],
  },
  'exclude-patterns': { prints: ['2\n', '2\n', '.env main.js\n', 'reports/2026/may.csv\n1\n'] },
  'fetch-then-move': { prints: ['fetched order.txt\n', 'fetched ready/milk.txt\n'] },
  gzip: {
    prints: ['2\n', '', 'true\n'],
    check: (server) => {
      const content = gunzipSync(server.readFile('/logs/today.log.gz')).toString();
      assert.equal(content, 'first line\nsecond line\n');
    },
  },
  'http-servers': {
    prints: [/^listening on port \d+\n$/, /^listening on port \d+\n$/],
    running: {
      0: {
        until: /^listening on port (\d+)$/,
        meanwhile: async (port) => {
          const base = `http://127.0.0.1:${port}`;
          const found = await fetch(`${base}/notes.txt`);
          assert.equal(await found.text(), 'notes');
          assert.equal(found.headers.get('content-length'), '5');
          for (const path of ['none.txt', '%2e%2e%2fnotes.txt', '%']) {
            assert.equal((await fetch(`${base}/${path}`)).status, 404, path);
          }
        },
      },
      1: {
        until: /^listening on port (\d+)$/,
        meanwhile: async (port, server) => {
          const { status } = await fetch(`http://127.0.0.1:${port}/`, { method: 'PUT', body: 'two eggs' });
          assert.equal(status, 201);
          assert.equal(server.readFile('/inbox/upload.txt').toString(), 'two eggs');
        },
      },
    },
  },
  'test-runners': { prints: [/^/, /^/, /^/, /pass 3$/m] },
  troubleshooting: {
    prints: [
      "[ 'order.txt' ]\n",
      'tried password; the server accepts password\n',
      '2\n',
      /^\/ \[ 'inbox', .* \]\n$/s,
      'complete\n',
      'true\n',
    ],
  },
};

/** As much of other test runners as the snippets use. */
const STAND_INS: Readonly<Record<string, string>> = {
  vitest: 'export * from "@jest/globals";',
  '@jest/globals': `
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
export { after as afterAll, before as beforeAll, test };
export const expect = (value) => ({
  toBe: (other) => assert.equal(value, other),
  rejects: { toMatchObject: (other) => assert.rejects(value, other) },
});`,
};

describe('The guides', { timeout: 300_000 }, () => {
  for (const [name, { prints, running = {}, check }] of Object.entries(PAGES)) {
    test(`have snippets that run and print what they should: docs/${name}.md`, async (t) => {
      const text = await readFile(`docs/${name}.md`, 'utf8');
      const snippets = snippetsOf(text).filter(({ isExcerpt }) => !isExcerpt);
      assert.equal(snippets.length, prints.length);
      await using server = await startServer({ files: ON_SERVER }, { users: { me: 'secret' } });
      const folder = await makeFolder(t, server);
      const files = await Promise.all(snippets.map((each, at) => compile(folder, each, at)));
      const printed: (string | undefined)[] = [];
      for (const [at, file] of files.entries()) {
        const use = running[at];
        if (use !== undefined) printed[at] = await runUntil(folder, file, { ...use, server });
      }
      const others = files.filter((_, at) => running[at] === undefined);
      const outputs = [...(await runAll(folder, others))];
      for (const at of files.keys()) printed[at] ??= outputs.shift();
      for (const [at, expected] of prints.entries())
        assertPrinted(printed[at], expected, `snippet ${at + 1}`);
      check?.(server);
    });
  }
});

function assertPrinted(actual = '', expected: string | RegExp, label: string): void {
  if (typeof expected === 'string') assert.equal(actual, expected, label);
  else assert.match(actual, expected, label);
}

/** Below the project, so that its packages are found, as a project of its own. */
async function makeFolder(t: TestContext, { port, hostKey }: TestServer): Promise<string> {
  const folder = await mkdtemp(resolve('node_modules/.cache', 'guides-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const url = JSON.stringify(tsftp.urlOf('.'));
  const { fingerprint } = hostKey;
  await tsftp.install(
    folder,
    `import { connect as connectTo } from ${url};
export * from ${url};
export const connect = (target, options) =>
  target === 'hostname' ? connectTo('127.0.0.1', { ...options, ${forTest(port, fingerprint)} }) : connectTo(target, options);`,
  );
  const standIns = Object.entries(STAND_INS).flatMap(([name, code]) => [
    [`node_modules/${name}/package.json`, JSON.stringify({ name, exports: './index.mjs' })] as const,
    [`node_modules/${name}/index.mjs`, code] as const,
  ]);
  for (const [name, content] of [
    ...Object.entries(ON_DISK),
    ...standIns,
    ['package.json', '{"name":"app"}'] as const,
  ]) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

/** The server of the test, and a key of the snippet's own only if it gives no password. */
function forTest(port: number, fingerprint: string): string {
  return `port: ${port}, fingerprint: '${fingerprint}', ...(options.password === undefined ? { password: 'secret', privateKey: undefined } : {})`;
}

async function compile(folder: string, { code }: Snippet, at: number): Promise<string> {
  const isCommonJs = code.includes('require(');
  const file = `snippet-${at}.${isCommonJs ? 'cjs' : 'mjs'}`;
  const options = { loader: 'ts', target: 'node20.19', format: isCommonJs ? 'cjs' : 'esm' } as const;
  await writeFile(join(folder, file), (await transform(code, options)).code);
  return file;
}

const MARK = '\u0001';

async function runAll(folder: string, files: readonly string[]): Promise<readonly string[]> {
  if (files.length === 0) return [];
  const steps = files.map((file) => `process.stdout.write('${MARK}');\nawait import('./${file}');\n`);
  await writeFile(join(folder, 'all.mjs'), steps.join(''));
  const child = spawn(process.execPath, ['all.mjs'], {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  assert.equal(stderr, '');
  assert.equal(child.exitCode, 0, stdout);
  return stdout.split(MARK).slice(1);
}

async function runUntil(
  folder: string,
  file: string,
  { until, meanwhile, server }: Running & { readonly server: TestServer },
): Promise<string> {
  const child = spawn(process.execPath, [file], {
    cwd: folder,
    env: { ...environment(), PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let printed = '';
  for await (const line of createInterface({ input: child.stdout })) {
    printed += `${line}\n`;
    const [found, port = ''] = until.exec(line) ?? [];
    if (found === undefined) continue;
    await meanwhile?.(port, server);
    child.kill('SIGTERM');
  }
  assert.deepEqual(await closed, [0, null]);
  return printed;
}

/** Without what tells the test runner of a program that another one started it. */
function environment(): NodeJS.ProcessEnv {
  const { NODE_TEST_CONTEXT: _, ...rest } = process.env;
  return rest;
}
