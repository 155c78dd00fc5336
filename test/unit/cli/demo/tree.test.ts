import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { compareTrees, makeFile, makeTree } from '../../../../src/cli/demo/tree.js';

const options = { signal: new AbortController().signal, onProgress: () => {} };

async function makeTwins(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-tree-test-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [original, copy] = [join(folder, 'original'), join(folder, 'copy')];
  const tree = await makeTree(original, 12, options.signal);
  await cp(original, copy, { recursive: true });
  return {
    original,
    copy,
    tree,
    first: join(copy, 'letters', 'file 1.bin'),
    other: join(copy, 'letters', 'file 6.bin'),
  };
}

describe('The tree of the demo', () => {
  test('has an empty file, an empty directory, and the sizes that it tells', async (t) => {
    const { original, tree } = await makeTwins(t);
    assert.equal(tree.files.length, 12);
    assert.ok(tree.files.some(({ bytes }) => bytes === 0));
    for (const { path, bytes } of tree.files) assert.equal((await stat(join(original, path))).size, bytes);
    assert.equal(
      tree.bytes,
      tree.files.reduce((sum, { bytes }) => sum + bytes, 0),
    );
  });

  test('is identical to its copy, and the progress ends with all bytes', async (t) => {
    const { original, copy, tree } = await makeTwins(t);
    const seen: number[] = [];
    await compareTrees(original, copy, { ...options, onProgress: (bytes) => seen.push(bytes) });
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    );
    assert.equal(seen.at(-1), tree.bytes);
  });

  test('is told from a copy in which one byte differs', async (t) => {
    const { original, copy, other } = await makeTwins(t);
    const content = await readFile(other);
    content[100] = (content[100] ?? 0) ^ 1;
    await writeFile(other, content);
    await assert.rejects(compareTrees(original, copy, options), /file 6\.bin differs from/);
  });

  test('is told from a copy in which a file is shorter or longer', async (t) => {
    const { original, copy, first, other } = await makeTwins(t);
    const { size } = await stat(other);
    await truncate(other, size - 1);
    await assert.rejects(compareTrees(original, copy, options), /file 6\.bin differs from/);
    await cp(join(original, 'letters', 'file 6.bin'), other);
    await writeFile(first, 'x');
    await assert.rejects(compareTrees(original, copy, options), /file 1\.bin differs from/);
  });

  test('is told from a copy that lacks a directory, or has a file more', async (t) => {
    const { original, copy } = await makeTwins(t);
    await rename(join(copy, 'empty'), join(copy, 'other'));
    await assert.rejects(compareTrees(original, copy, options), /empty\/ did not come back/);
    await rm(join(copy, 'other'), { recursive: true });
    await mkdir(join(copy, 'empty'));
    await writeFile(join(copy, 'empty', 'guest'), '');
    await assert.rejects(compareTrees(original, copy, options), /empty\/guest came back and was never sent/);
  });

  test('large files have exactly the length asked for', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tsftp-tree-test-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    for (const bytes of [0, 1, 2 ** 20, 2 ** 20 + 1]) {
      await makeFile(join(folder, `${bytes}`), bytes, options);
      assert.equal((await stat(join(folder, `${bytes}`))).size, bytes);
    }
  });
});
