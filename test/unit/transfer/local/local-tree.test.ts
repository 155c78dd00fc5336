import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { LocalTree } from '../../../../src/transfer/local/local-tree.js';
import { makeFolder } from '../../../support/folder.js';
import { openBelow } from '../../../support/processes.js';

const bytes = (...parts: string[]) => Buffer.from(join(...parts));

/** A tree with `d/file`, and a folder outside of it with the same names. */
function makeTree(t: TestContext) {
  const folder = makeFolder(t);
  const [root, outside] = [join(folder, 'tree'), join(folder, 'outside')];
  for (const [place, content] of [
    [root, 'own'],
    [outside, 'foreign'],
  ] as const) {
    mkdirSync(join(place, 'd'), { recursive: true });
    writeFileSync(join(place, 'd', 'file'), content);
  }
  const tree = new LocalTree(Buffer.from(root));
  t.after(() => tree.close());
  return { tree, root, outside };
}

async function textOf(tree: LocalTree, path: Buffer): Promise<string> {
  const source = await tree.openSource(path, {});
  const pieces = await source.read(0, 100, {});
  await source.close({});
  return String(pieces?.[0]);
}

async function namesIn(tree: LocalTree, path: Buffer): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const batch of tree.list(path, {})) names.push(...batch.map(({ name }) => String(name)));
  return names;
}

const needsLinux = process.platform === 'linux' ? false : 'needs Linux, for paths to descriptors';

describe('a local tree', { skip: needsLinux }, () => {
  test('X4: a directory that a link has replaced is neither listed nor read from', async (t) => {
    const { tree, root, outside } = makeTree(t);
    renameSync(join(root, 'd'), join(root, 'old'));
    symlinkSync(join(outside, 'd'), join(root, 'd'));
    const error = { code: 'ENOTDIR', path: join(root, 'd') };
    await assert.rejects(namesIn(tree, bytes(root, 'd')), error);
    await assert.rejects(tree.openSource(bytes(root, 'd', 'file'), {}), error);
    await assert.rejects(tree.openTarget(bytes(root, 'd', 'new'), {}), error);
    await assert.rejects(tree.removeFile(bytes(root, 'd', 'file'), {}), error);
    await assert.rejects(tree.setAttributes(bytes(root, 'd'), { mode: 0o777 }, {}));
    assert.equal(await textOf(tree, bytes(root, 'old', 'file')), 'own');
  });

  test('X4: a file that a link has replaced is not opened', async (t) => {
    const { tree, root, outside } = makeTree(t);
    const link = join(root, 'd', 'link');
    symlinkSync(join(outside, 'd', 'file'), link);
    const error = {
      code: 'ELOOP',
      path: link,
      message: `ELOOP: a symlink is in the way of the file, open '${link}'`,
    };
    await assert.rejects(tree.openSource(Buffer.from(link), {}), error);
    await assert.rejects(tree.openTarget(Buffer.from(link), {}), error);
    assert.equal(readFileSync(join(outside, 'd', 'file'), 'utf8'), 'foreign');
  });

  test('X7: the directory is the same from the first use on, wherever its path leads', async (t) => {
    const { tree, root, outside } = makeTree(t);
    assert.deepEqual(await namesIn(tree, Buffer.from(root)), ['d']);
    renameSync(root, `${root}.old`);
    symlinkSync(outside, root);
    assert.equal(await textOf(tree, bytes(root, 'd', 'file')), 'own');
    await tree.ensureDirectory(bytes(root, 'new'), {});
    assert.deepEqual(readdirSync(outside), ['d']);
  });

  test('a root that is not there is looked for again, and may itself be a link', async (t) => {
    const { root } = makeTree(t);
    const path = `${root}.link`;
    const tree = new LocalTree(Buffer.from(path));
    await assert.rejects(tree.stat(Buffer.from(path), {}), { code: 'ENOENT', path });
    symlinkSync(root, path);
    assert.equal((await tree.stat(Buffer.from(path), {})).type, 'directory');
    assert.equal(await textOf(tree, bytes(path, 'd', 'file')), 'own');
    tree.close();
  });

  test('errors tell the path that was meant', async (t) => {
    const { tree, root } = makeTree(t);
    const [from, to] = [join(root, 'd', 'no'), join(root, 'no', 'file')];
    await assert.rejects(tree.lstat(Buffer.from(from), {}), {
      code: 'ENOENT',
      path: from,
      message: `ENOENT: no such file or directory, lstat '${from}'`,
    });
    await assert.rejects(tree.replace(Buffer.from(from), bytes(root, 'd', 'other')), {
      path: from,
      dest: join(root, 'd', 'other'),
    });
    await assert.rejects(tree.replace(bytes(root, 'd', 'file'), Buffer.from(to)), { path: join(root, 'no') });
  });

  test('a directory that was removed and made again is entered anew', async (t) => {
    const { tree, root } = makeTree(t);
    await tree.removeFile(bytes(root, 'd', 'file'), {});
    await tree.removeDirectory(bytes(root, 'd'), {});
    assert.equal(await tree.ensureDirectory(bytes(root, 'd'), {}), true);
    await tree.ensureDirectory(bytes(root, 'd', 'e'), {});
    assert.deepEqual(readdirSync(join(root, 'd')), ['e']);
  });

  test('no more than a few directories stay open, and none when it is closed', async (t) => {
    const { tree, root } = makeTree(t);
    const open = () => readdirSync('/proc/self/fd').length;
    const before = open();
    for (let index = 0; index < 200; index += 1) {
      await tree.ensureDirectory(bytes(root, `${index}`), {});
      await tree.ensureDirectory(bytes(root, `${index}`, 'x'), {});
    }
    assert.ok(open() - before <= 66, `${open() - before} are open`);
    tree.close();
    await assert.doesNotReject(async () => {
      for (let turn = 0; open() > before; turn += 1) {
        assert.ok(turn < 1000);
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    assert.equal(readdirSync(root).length, 201);
  });

  test('what is used once more after it was closed does not stay open', async (t) => {
    const { tree, root } = makeTree(t);
    tree.close();
    assert.equal(await textOf(tree, bytes(root, 'd', 'file')), 'own');
    for (let open = openBelow(root, process.pid); open > 0; open = openBelow(root, process.pid)) {
      await new Promise(setImmediate);
    }
  });
});
