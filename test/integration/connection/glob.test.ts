/** Patterns beside bash, names that are not UTF-8, and what a search costs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Connection } from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';

const needsBash = spawnSync('bash', ['-c', 'shopt globstar']).error === undefined ? false : 'needs bash';

async function serve(t: { after(fn: () => unknown): void }) {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-glob-'));
  const server = await startServer({ root: folder });
  const sftp = await connectToServer(server);
  t.after(async () => {
    await sftp.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { folder, server, sftp };
}

/** What bash finds, as latin1, sorted by bytes. Braces also give paths that are not there, which do not count. */
function byBash(folder: string, patterns: readonly string[]): string[][] {
  const script = `shopt -s nullglob globstar; ${patterns
    .map(
      (pattern) =>
        `for each in ${pattern}; do [ -e "$each" ] || [ -L "$each" ] && printf '%s\\0' "$each"; done; printf '\\0'`,
    )
    .join('\n')}`;
  const { stdout, status, stderr } = spawnSync('bash', ['-c', script], {
    cwd: folder,
    env: { ...process.env, LC_ALL: 'C.UTF-8' },
    maxBuffer: 2 ** 26,
  });
  assert.equal(status, 0, stderr.toString());
  const found: string[][] = [[]];
  for (const path of stdout.toString('latin1').split('\0').slice(0, -1)) {
    if (path === '') found.push([]);
    else found.at(-1)?.push(path);
  }
  return found.slice(0, patterns.length).map((paths) => [...new Set(paths)].sort());
}

async function byTsftp(sftp: Connection, pattern: string): Promise<string[]> {
  return (await sftp.glob(pattern, { encoding: 'buffer' })).map((path) => path.toString('latin1')).sort();
}

/** In UTF-8: with other bytes bash itself finds what no pattern names. */
const NAMES = [
  'a',
  'b',
  'ab',
  'a-b',
  'B',
  '.a',
  utf8('é'),
  '1',
  'a]',
  'a[b]',
  'x y',
  '~',
  '-',
  'C:\\a',
  '{a',
];
const PIECES = [
  'a',
  'b',
  '*',
  '*',
  '?',
  '?',
  '[ab]',
  '[!a]',
  '[^b]',
  '[a-c]',
  '[]a]',
  '[[:alpha:]]',
  '[![:digit:]]',
  '[[:upper:]1]',
  '[\\]]',
  '[a\\-z]',
  '[a-]',
  '[[.-.]]',
  '\\a',
  '\\?',
  '{a,b}',
  'a{b,}',
  '[',
  '.',
  '-',
  'é',
  '\\[',
];

test('glob finds what bash finds, over random trees and patterns', { skip: needsBash }, async (t) => {
  const { folder, sftp } = await serve(t);
  const name = fc.constantFrom(...NAMES);
  const path = fc.array(name, { minLength: 1, maxLength: 3 });
  const plain = fc
    .array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 4 })
    .map((pieces) => pieces.join(''))
    .filter((text) => text !== '**');
  const segment = fc.oneof({ weight: 4, arbitrary: plain }, { weight: 1, arbitrary: fc.constant('**') });
  // A `**` at the end also gives the directory before it in bash, though not in other shells, and not here.
  const pattern = fc
    .tuple(fc.array(segment, { maxLength: 2 }), plain, fc.constantFrom('', '', '', '/'))
    .map(([segments, last, end]) => [...segments, last].join('/') + end);
  let trees = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(path, { maxLength: 12 }),
      fc.array(pattern, { minLength: 30, maxLength: 30 }),
      async (paths, patterns) => {
        trees += 1;
        const root = join(folder, `${trees}`);
        mkdirSync(root);
        for (const names of paths) plant(root, names);
        const expected = byBash(root, patterns);
        await sftp.cd(`/${trees}`, async () => {
          for (const [at, each] of patterns.entries()) {
            assert.deepEqual(await byTsftp(sftp, each), expected[at], `${each} in ${JSON.stringify(paths)}`);
          }
        });
      },
    ),
    { numRuns: 25, endOnFailure: true },
  );
});

/** The bytes of a text as latin1. */
function utf8(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** A file, or a directory where something lies below the name already. */
function plant(root: string, names: readonly string[]): void {
  const path = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(names.join('/'), 'latin1')]);
  try {
    mkdirSync(path.subarray(0, path.lastIndexOf(0x2f)), { recursive: true });
    writeFileSync(path, '');
  } catch (error) {
    if (!['EEXIST', 'EISDIR', 'ENOTDIR'].includes(String((error as NodeJS.ErrnoException).code))) throw error;
  }
}

test('a set may name a character by its class of equivalents, as POSIX writes it', async (t) => {
  const { folder, sftp } = await serve(t);
  for (const name of ['a', 'b', '-']) plant(folder, [name]);
  assert.deepEqual(await sftp.glob('[[=a=][.-.]]'), ['-', 'a']);
  assert.deepEqual(await sftp.glob('[[:nonsense:]b]'), ['b']);
});

test('names that are not UTF-8 fit, byte by byte, wherever they stand in a path', async (t) => {
  const { folder, sftp } = await serve(t);
  plant(folder, ['caf\xe9', 'men\xfc.csv']);
  for (const pattern of ['*/*', '**/*.csv', 'caf?/men?.csv', '**', 'caf[!a]/*']) {
    assert.ok((await byTsftp(sftp, pattern)).includes('caf\xe9/men\xfc.csv'), pattern);
  }
  assert.deepEqual(await byTsftp(sftp, 'caf??/*'), []);
  assert.deepEqual(await sftp.glob('caf?'), ['caf\ufffd']);
});

test('a search lists each directory once, and asks nothing else where listings tell', async (t) => {
  const { folder, server, sftp } = await serve(t);
  for (const directory of ['a', 'b', 'b/c', '.hidden']) mkdirSync(join(folder, directory));
  for (const file of ['a/1.csv', 'b/2.csv', 'b/c/3.csv', 'b/c/4.txt', '.hidden/5.csv'])
    writeFileSync(join(folder, file), '');
  symlinkSync('.', join(folder, 'b/round'));
  const rows: readonly (readonly [pattern: string, found: number, listings: number])[] = [
    ['**/*.csv', 3, 4],
    ['{a,b,c}*', 2, 1],
    ['{a,?,[ab]}/*', 4, 3],
    ['**/c/**/*.txt', 1, 4],
    ['{**,**/*,*/**}', 8, 4],
  ];
  for (const [pattern, found, listings] of rows) {
    const before = { ...server.counters.requests };
    assert.equal((await sftp.glob(pattern)).length, found, pattern);
    const { opendir, stat, lstat } = server.counters.requests;
    // b/round is a link, which `*` and `?` enter and `**` does not.
    assert.ok(opendir - before.opendir <= listings + 1, `${pattern}: ${opendir - before.opendir} listings`);
    assert.deepEqual([stat - before.stat, lstat - before.lstat], [0, 0], pattern);
  }
});
