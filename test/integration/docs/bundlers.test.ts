/** docs/bundlers.md: its scripts build a program that then runs against the embedded server, without node_modules where it should. */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startServer } from '../../../src/testing/index.js';
import { buildPackage, runProgram } from '../../support/built-package.js';
import { snippetsOf } from '../../support/snippets.js';

const tsftp = await buildPackage();
const snippets = snippetsOf(await readFile('docs/bundlers.md', 'utf8')).filter(({ isExcerpt }) => !isExcerpt);

const APP = `import { connect } from 'tsftp';

const { SFTP_PORT, SFTP_FINGERPRINT } = process.env;
const options = { port: Number(SFTP_PORT), username: 'me', password: 'secret', fingerprint: SFTP_FINGERPRINT };
connect('127.0.0.1', options).then(async (sftp) => {
  console.log(await sftp.readFile('order.txt', 'utf8'));
  await sftp.close();
});
`;

/** What each script makes, and whether it runs by itself. */
const MADE = [
  { file: 'rollup.mjs', isWhole: false },
  { file: 'esbuild.cjs', isWhole: true },
  { file: 'esbuild.mjs', isWhole: true },
];

describe('docs/bundlers.md', { timeout: 120_000 }, () => {
  for (const [at, { file, isWhole }] of MADE.entries()) {
    test(`has a script that makes ${file}, which runs${isWhole ? ' without node_modules' : ''}`, async (t) => {
      await using server = await startServer(
        { files: { 'order.txt': 'one egg' } },
        { users: { me: 'secret' } },
      );
      const folder = await mkdtemp(resolve('node_modules/.cache', 'bundlers-'));
      const elsewhere = await mkdtemp(join(tmpdir(), 'tsftp-bundlers-'));
      t.after(() => Promise.all([folder, elsewhere].map((each) => rm(each, { recursive: true }))));
      const root = join(folder, 'node_modules', 'tsftp');
      await cp(dirname(fileURLToPath(tsftp.urlOf('.'))), root, { recursive: true });
      await writeFile(join(root, 'package.json'), JSON.stringify({ name: 'tsftp', exports: './index.mjs' }));
      await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'app' }));
      await writeFile(join(folder, 'app.mjs'), APP);
      const built = await runProgram(folder, { file: 'build.js', code: snippets[at]?.code ?? '' });
      assert.deepEqual({ ...built, stdout: '' }, { status: 0, stdout: '', stderr: '' });
      const dist = isWhole ? join(elsewhere, 'dist') : join(folder, 'dist');
      if (isWhole) {
        await mkdir(dist);
        await cp(join(folder, 'dist', file), join(dist, file));
      }
      const { port, hostKey } = server;
      const result = await runProgram(
        dist,
        { file, code: await readFile(join(dist, file), 'utf8') },
        {
          SFTP_PORT: String(port),
          SFTP_FINGERPRINT: hostKey.fingerprint,
        },
      );
      assert.deepEqual(result, { status: 0, stdout: 'one egg\n', stderr: '' });
    });
  }

  test('is true of webpack too, whose minifier breaks `#field in object`', async () => {
    const folder = dirname(fileURLToPath(tsftp.urlOf('.')));
    const names = await readdir(folder, { recursive: true });
    const found: string[] = [];
    for (const name of names.filter((each) => each.endsWith('.mjs'))) {
      const code = await readFile(join(folder, name), 'utf8');
      found.push(...(code.match(/#\w+ in \w+/g) ?? []).map((text) => `${name}: ${text}`));
    }
    assert.deepEqual(found, []);
  });

  test('has no script that is not tried', () => {
    assert.equal(snippets.length, MADE.length);
  });
});
