import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { cd, WTCallbacks, walktree } from '../../../src/index.js';

async function folder(t: TestContext): Promise<string> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'tsftp-local-')));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

async function tree(t: TestContext): Promise<string> {
  const root = await folder(t);
  await mkdir(join(root, 'b', 'deep'), { recursive: true });
  await mkdir(join(root, 'empty'));
  for (const name of ['a.txt', 'b/z.txt', 'b/deep/x.txt', 'c.txt']) await writeFile(join(root, name), name);
  return root;
}

describe('the local cd', () => {
  test('goes there for as long as the function runs', async (t) => {
    const root = await folder(t);
    const before = process.cwd();
    const inside = await cd(root, async () => {
      await Promise.resolve();
      return process.cwd();
    });
    assert.equal(inside, root);
    assert.equal(process.cwd(), before);
  });

  test('comes back when the function throws or rejects', async (t) => {
    const root = await folder(t);
    const before = process.cwd();
    const fail = () => {
      throw new Error('no');
    };
    assert.throws(() => cd(root, fail), new Error('no'));
    assert.equal(process.cwd(), before);
    await assert.rejects(
      cd(root, async () => fail()),
      new Error('no'),
    );
    assert.equal(process.cwd(), before);
  });

  test('gives the result of a function that is not async at once', async (t) => {
    assert.equal(
      cd(await folder(t), () => 7),
      7,
    );
  });

  test('is undone at the end of the block, with using and with await using', async (t) => {
    const root = await folder(t);
    const before = process.cwd();
    {
      using _ = cd(root);
      assert.equal(process.cwd(), root);
    }
    assert.equal(process.cwd(), before);
    {
      await using _ = cd(root);
      assert.equal(process.cwd(), root);
    }
    assert.equal(process.cwd(), before);
  });

  test('without a path is a bookmark', async (t) => {
    const root = await folder(t);
    const before = process.cwd();
    cd(() => process.chdir(root));
    assert.equal(process.cwd(), before);
    {
      using _ = cd();
      process.chdir(root);
    }
    assert.equal(process.cwd(), before);
  });

  test('leaves the directory as it was where there is no such path', () => {
    const before = process.cwd();
    assert.throws(() => cd('/no/such/place'), { code: 'ENOENT' });
    assert.throws(() => cd(''), new TypeError("localpath is empty: use '.' for the current directory"));
    assert.equal(process.cwd(), before);
  });
});

describe('the local walktree', () => {
  test('goes depth first and sorted, a directory before its content, the root left out', async (t) => {
    const root = await tree(t);
    const seen: string[] = [];
    const note = (kind: string) => async (path: string) => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(`${kind} ${path.slice(root.length + 1)}`);
    };
    await walktree(root, note('file'), note('dir'), note('other'));
    assert.deepEqual(seen, [
      'file a.txt',
      'dir b',
      'dir b/deep',
      'file b/deep/x.txt',
      'file b/z.txt',
      'file c.txt',
      'dir empty',
    ]);
  });

  test('does not enter directories without recurse', async (t) => {
    const found = new WTCallbacks();
    const root = await tree(t);
    await walktree(root, found.fileCb, found.dirCb, found.unkCb, 0);
    const none = [() => {}, () => {}, () => {}] as const;
    await walktree(root, ...none, false);
    for (const wrong of ['no', 2, null])
      await assert.rejects(walktree(root, ...none, wrong as never), TypeError);
    await walktree(
      root,
      () => {},
      () => {},
      () => {},
      { recurse: false },
    );
    assert.deepEqual(found.flist, [join(root, 'a.txt'), join(root, 'c.txt')]);
    assert.deepEqual(found.dlist, [join(root, 'b'), join(root, 'empty')]);
  });

  test('keeps the path as it was written', async (t) => {
    const found = new WTCallbacks();
    const root = await tree(t);
    await cd(root, () => walktree('.', found.fileCb, found.dirCb, found.unkCb));
    assert.deepEqual(found.dlist, ['./b', './b/deep', './empty']);
  });

  test('reports a broken link and a FIFO as unknown', { skip: process.platform === 'win32' }, async (t) => {
    const root = await folder(t);
    await symlink('nowhere', join(root, 'broken'));
    execFileSync('mkfifo', [join(root, 'fifo')]);
    const found = new WTCallbacks();
    await walktree(root, found.fileCb, found.dirCb, found.unkCb);
    assert.deepEqual(found.ulist, [join(root, 'broken'), join(root, 'fifo')]);
  });

  test('ends a loop of links with an error', async (t) => {
    const root = await tree(t);
    await symlink('..', join(root, 'b', 'up'));
    const found = new WTCallbacks();
    await assert.rejects(walktree(root, found.fileCb, found.dirCb, found.unkCb), { code: 'ELOOP' });
    await symlink('me', join(root, 'a-me'));
    await symlink('a-me', join(root, 'me'));
    await assert.rejects(walktree(root, found.fileCb, found.dirCb, found.unkCb), { code: 'ELOOP' });
  });

  test('stops at the first callback that fails, and at the signal', async (t) => {
    const root = await tree(t);
    const failing = async () => {
      throw new Error('no');
    };
    await assert.rejects(
      walktree(
        root,
        failing,
        () => {},
        () => {},
      ),
      new Error('no'),
    );
    const abort = new AbortController();
    const seen: string[] = [];
    const stop = (path: string) => {
      seen.push(path);
      abort.abort(new Error('enough'));
    };
    await assert.rejects(
      walktree(
        root,
        stop,
        () => {},
        () => {},
        { signal: abort.signal },
      ),
      new Error('enough'),
    );
    assert.deepEqual(seen, [join(root, 'a.txt')]);
  });
});
