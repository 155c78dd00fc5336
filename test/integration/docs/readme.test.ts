/** Every TypeScript example of the README is type-checked and run, against the embedded server. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { startServer } from '../../../src/testing/index.js';

interface Example {
  readonly title: string;
  readonly code: string;
}

const examples = examplesOf(await readFile('README.md', 'utf8'));

/** What the examples print. */
const OUTPUT: Readonly<Record<string, RegExp>> = {
  'Files and directories': /^\[ 'january\.pdf' \]\n-rw.* january\.pdf\n11 \d+\n$/,
  'Whole trees': /11 of 11 bytes\n2 files, 11 bytes, left out: 0\n$/,
  'Bad lines': /^2 copied, 0 were there already\n$/,
  'Remote files in pieces, and streams': /^one egg\none more\n$/,
  'The current directory': /^\/public\n$/,
  Errors: /^Not there: .*missing\.csv\n$/,
  Commands: /^\[ 'Linux' \]\n$/,
  'Testing your own code': /^one egg\n$/,
};

const ON_SERVER = {
  'public/notes.txt': 'notes',
  'public/website/index.html': '<html>',
  'notes.txt': 'notes',
};

const ON_DISK = {
  'report.pdf': 'The report.',
  'website/index.html': 'hello',
  'website/styles/a.css': 'a { }\n',
};

describe('The README', { timeout: 300_000 }, () => {
  test('has examples whose types are right', async (t) => {
    const folder = await makeFolder(t);
    const files = await Promise.all(
      examples.map(async ({ code }, index) => {
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
      await writePackage(folder, server.port, server.hostKey.fingerprint);
      for (const [name, content] of Object.entries(ON_DISK)) await write(join(folder, name), content);
      await writeFile(join(folder, 'example.ts'), code);
      const { status, stdout, stderr } = await run(folder, 'example.ts');
      assert.equal(stderr, '');
      assert.equal(status, 0);
      assert.match(stdout, OUTPUT[title] ?? /^$/);
    });
  }

  test('names files and scripts that exist', async () => {
    const text = await readFile('README.md', 'utf8');
    const { scripts } = JSON.parse(await readFile('package.json', 'utf8'));
    for (const [, script = ''] of text.matchAll(/npm run ([\w-]+)/g)) assert.ok(script in scripts, script);
    for (const [, path = ''] of text.matchAll(/\]\(([^)#:]+)\)/g)) await readFile(path);
  });
});

/** The `ts` blocks, each under the heading that is above it. */
function examplesOf(markdown: string): readonly Example[] {
  return [...markdown.matchAll(/^```ts\n(.*?)^```$/gms)].map((match) => ({
    title: [...markdown.slice(0, match.index).matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? '',
    code: match[1] ?? '',
  }));
}

function typeErrors(files: readonly string[]): readonly string[] {
  const { config } = ts.readConfigFile('tsconfig.json', ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, process.cwd());
  const paths = { tsftp: [resolve('src/index.ts')], 'tsftp/testing': [resolve('src/testing/index.ts')] };
  const program = ts.createProgram(files, { ...options, paths, typeRoots: [resolve('node_modules/@types')] });
  return files.flatMap((file) =>
    ts
      .getPreEmitDiagnostics(program, program.getSourceFile(file))
      .map(({ messageText }) => `${file}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`),
  );
}

/** A package `tsftp` that is ours, save that it finds `hostname` on this machine. */
async function writePackage(folder: string, port: number, fingerprint: string): Promise<void> {
  const from = (path: string): string => JSON.stringify(pathToFileURL(resolve(path)).href);
  const root = join(folder, 'node_modules', 'tsftp');
  const exports = { '.': './index.mjs', './testing': './testing.mjs' };
  await write(join(root, 'package.json'), JSON.stringify({ name: 'tsftp', type: 'module', exports }));
  await write(join(root, 'testing.mjs'), `export * from ${from('src/testing/index.ts')};`);
  await write(
    join(root, 'index.mjs'),
    `import { connect as connectTo } from ${from('src/index.ts')};
export * from ${from('src/index.ts')};
export const connect = (target, options) => {
  if (options.port !== undefined) return connectTo(target, options);
  const here = { port: ${port}, cnopts: { fingerprint: ${JSON.stringify(fingerprint)} } };
  return connectTo(target.replace('hostname', '127.0.0.1'), { ...options, ...here });
};`,
  );
  await write(join(folder, 'package.json'), '{ "type": "module" }');
}

async function run(folder: string, file: string) {
  const loader = import.meta.resolve('tsx');
  const child = spawn(process.execPath, ['--import', loader, file], { cwd: folder });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [status] = await once(child, 'close');
  return { status: status as number | null, stdout, stderr };
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
