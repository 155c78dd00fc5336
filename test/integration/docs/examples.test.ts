/** Every example of the API reference is run, in plain JavaScript. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { transform } from 'esbuild';
import { buildPackage, runProgram } from '../../support/built-package.js';

/** Examples that only make sense on another machine, by their first words, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'onReconnecting:': 'it is one option, no program',
  'import { SocksClient': 'it needs a proxy; examples/through-a-socks-proxy.ts is run',
  'printable(': 'it is used inside',
  'const key = (await listAgentKeys())': 'it needs an agent; the tests of agents run it',
};

interface Written {
  /** The file and the line of its comment. */
  readonly at: string;
  readonly code: string;
}

test('every example of the API reference runs', { timeout: 300_000 }, async (t) => {
  const tsftp = await buildPackage();
  const folder = await mkdtemp(resolve('node_modules/.cache', 'examples-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await tsftp.install(folder);
  const written = (await examplesOf('src')).filter(
    ({ code }) => !Object.keys(LEFT_OUT).some((words) => code.startsWith(words)),
  );
  assert.ok(written.length > 150);
  const examples = await Promise.all(
    written.map(async ({ at, code }, index) => {
      const file = join(folder, `example-${index}.mjs`);
      const lines = forHere(code);
      const isBody = /^\s*return\b/m.test(code);
      const source = isBody ? `await (async () => {\n${lines}\n})();` : lines;
      await writeFile(file, (await transform(source, { loader: 'ts', target: 'node20.19' })).code);
      return { at, code, file: pathToFileURL(file).href };
    }),
  );
  await writeFile(join(folder, 'examples.json'), JSON.stringify(examples));
  const { status, stderr } = await runProgram(folder, { file: 'test/support/example-runner.ts' });
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(await readFile(join(folder, 'failures.json'), 'utf8')), []);
});

/** What stands for something else in an example. */
function forHere(code: string): string {
  return code
    .replace("import Client from 'tsftp/ssh2-sftp-client';", '')
    .replace('AAAAI…', 'AAAAINdamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea')
    .replace('/my/local/', '');
}

async function examplesOf(root: string): Promise<readonly Written[]> {
  const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith('.ts')).sort();
  const files = await Promise.all(
    names.map(async (name) => [name, await readFile(join(root, name), 'utf8')] as const),
  );
  return files.flatMap(([name, text]) =>
    [...text.matchAll(/\/\*\*(.*?)\*\//gs)].flatMap(({ 1: comment = '', index }) => {
      const lines = comment.split('\n').map((line) => line.replace(/^\s*\* ?/, ''));
      const tags = lines.join('\n').split(/^@/m);
      const at = `${join(root, name)}:${text.slice(0, index).split('\n').length}`;
      return tags
        .filter((tag) => tag.startsWith('example\n'))
        .map((tag) => ({ at, code: tag.slice('example\n'.length).trim().replaceAll('*\\/', '*/') }));
    }),
  );
}
