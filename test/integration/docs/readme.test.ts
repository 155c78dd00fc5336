/** Every example of the README is type-checked and run, against the embedded server; the first one in every kind of module. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import ts from 'typescript';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { buildPackage, runProgram } from '../../support/built-package.js';
import { snippetsOf } from '../../support/snippets.js';

const tsftp = await buildPackage();
const examples = (
  await Promise.all(['README.md', 'docs/errors.md'].map((file) => readFile(file, 'utf8')))
).flatMap(snippetsOf);
const guides = (
  await Promise.all(
    (
      await readdir('docs')
    )
      .filter((name) => /^(?:bundlers|exclude|fetch|gzip|logging|options|services|test-|trouble)/.test(name))
      .map((name) => readFile(join('docs', name), 'utf8')),
  )
).flatMap(snippetsOf);

/** What the examples print. */
const OUTPUT: Readonly<Record<string, RegExp>> = {
  'Files and directories': /^\[ 'january\.pdf' \]\n-rw.* january\.pdf\n11 \d+\n$/,
  'Whole trees': /11 of 11 bytes\n2 files, 11 bytes, left out: 0\n$/,
  'Unreliable connections': /^2 copied, 0 were there already\n$/,
  'Remote files in pieces, and streams': /^one egg\none more\n$/,
  'The current directory': /^\/public\n$/,
  Errors: /^Not there: .*missing\.csv\n$/,
  'For packages that take an fs object': /^one egg\n\n$/,
  Commands: /^\[ 'Linux' \]\n$/,
  'Testing your own code': /^one egg\n$/,
};

const ON_SERVER = {
  'public/notes.txt': 'notes',
  'public/website/index.html': '<html>',
  'notes.txt': 'notes',
  'orders.csv': 'one egg',
};

const ON_DISK = {
  'report.pdf': 'The report.',
  'website/index.html': 'hello',
  'website/styles/a.css': 'a { }\n',
};

describe('The README', { timeout: 300_000 }, () => {
  test('has examples whose types are right, as have the guides', async (t) => {
    const folder = await mkdtemp(resolve('node_modules/.cache', 'types-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const typed = guides.filter(
      ({ language, isExcerpt, needsOthers }) => language === 'ts' && !isExcerpt && !needsOthers,
    );
    const files = await Promise.all(
      [...examples, ...typed].map(async ({ code }, index) => {
        const file = join(folder, `example-${index}.mts`);
        await writeFile(file, code);
        return file;
      }),
    );
    assert.deepEqual(typeErrors(files), []);
  });

  for (const { title, code } of examples) {
    test(`has a working example: ${title}`, async (t) => {
      await using server = await startServer(
        { files: ON_SERVER },
        { users: { me: 'secret' }, commands: () => ({ stdout: 'Linux\n' }) },
      );
      const folder = await makeFolder(t);
      await installFor(folder, server);
      for (const [name, content] of Object.entries(ON_DISK)) await write(join(folder, name), content);
      const { status, stdout, stderr } = await runProgram(folder, { file: 'example.ts', code });
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.match(stdout, OUTPUT[title] ?? /^$/);
    });
  }

  for (const ending of ['mjs', 'cjs', 'ts'] as const) {
    test(`begins with lines that run as .${ending}`, async (t) => {
      const [first] = examples;
      assert.ok(first !== undefined && first.title === 'First steps' && first.language === 'js');
      await using server = await startServer({ files: ON_SERVER }, { users: { me: 'secret' } });
      const folder = await makeFolder(t);
      await installFor(folder, server);
      await write(join(folder, 'report.pdf'), 'The report.');
      const code = ending === 'cjs' ? asCommonJs(first.code) : first.code;
      const { status, stderr } = await runProgram(folder, { file: `example.${ending}`, code });
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.equal(server.readFile('/public/report.pdf').toString(), 'The report.');
      assert.equal(await readFile(join(folder, 'notes.txt'), 'utf8'), 'notes');
    });
  }

  test('names files and scripts that exist', async () => {
    const text = await readFile('README.md', 'utf8');
    const { scripts } = JSON.parse(await readFile('package.json', 'utf8'));
    for (const [, script = ''] of text.matchAll(/npm run ([\w-]+)/g)) assert.ok(script in scripts, script);
    for (const [, path = ''] of text.matchAll(/\]\(([^)#:]+)\)/g)) await readFile(path);
  });
});

/** The first line as its comment says. */
function asCommonJs(code: string): string {
  const [, line = ''] = /\/\/ CommonJS: (.*)$/m.exec(code) ?? [];
  assert.notEqual(line, '');
  return code.replace(/^import .*$/m, line);
}

function typeErrors(files: readonly string[]): readonly string[] {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, process.cwd());
  const entryPoints = Object.entries<string[]>(config.compilerOptions.paths);
  const paths = Object.fromEntries(
    entryPoints.map(([name, files]) => [name, files.map((file) => resolve(file))]),
  );
  const program = ts.createProgram(files, { ...options, paths, typeRoots: [resolve('node_modules/@types')] });
  return files.flatMap((file) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(file))
      .map(({ messageText }) => `${file}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
  );
}

/** The package, save that it finds `hostname` on this machine. */
function installFor(folder: string, { port, hostKey }: TestServer): Promise<void> {
  const url = JSON.stringify(tsftp.urlOf('.'));
  const here = JSON.stringify({ port, fingerprint: hostKey.fingerprint });
  return tsftp.install(
    folder,
    `import { connect as connectTo } from ${url};
export * from ${url};
export const connect = (target, options) => {
  if (options.port !== undefined) return connectTo(target, options);
  return connectTo(target.replace('hostname', '127.0.0.1'), { ...options, ...${here} });
};`,
  );
}

async function makeFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-readme-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function write(path: string, content: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
}
