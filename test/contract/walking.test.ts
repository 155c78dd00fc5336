import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type WalkEntry, WTCallbacks } from '../../src/index.js';
import { describeContract, describeOpenSsh, plant } from './world.js';

async function collect(walk: AsyncIterable<WalkEntry>): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path, depth } of walk) paths.push(`${depth} ${path}`);
  return paths;
}

describeContract('walktree', ({ open, test }) => {
  test('calls back for each file, directory and unknown entity, with its path', async (t) => {
    const { sftp } = await open(t);
    const found = new WTCallbacks();
    await sftp.walktree('pub', found.fileCb, found.dirCb, found.unkCb);
    assert.deepEqual(found.flist, [
      'pub/foo1/foo1.txt',
      'pub/foo2/bar1/bar1.txt',
      'pub/foo2/foo2.txt',
      'pub/make.txt',
    ]);
    assert.deepEqual(found.dlist, ['pub/foo1', 'pub/foo2', 'pub/foo2/bar1']);
    assert.deepEqual(found.ulist, []);
  });

  test("starts at the current directory with '.'", async (t) => {
    const { sftp } = await open(t);
    const found = new WTCallbacks();
    await sftp.walktree('.', found.fileCb, found.dirCb, found.unkCb, { recurse: false });
    assert.deepEqual(found.flist, ['./readme.sym', './readme.txt']);
    assert.deepEqual(found.dlist, ['./pub']);
  });

  test('descends depth first and sorted, a directory before its content, the root left out', async (t) => {
    const { sftp } = await open(t);
    const seen: string[] = [];
    const note = async (path: string) => {
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(path);
    };
    await sftp.walktree('pub', note, note, note);
    assert.deepEqual(seen, [
      'pub/foo1',
      'pub/foo1/foo1.txt',
      'pub/foo2',
      'pub/foo2/bar1',
      'pub/foo2/bar1/bar1.txt',
      'pub/foo2/foo2.txt',
      'pub/make.txt',
    ]);
  });

  test('stays in the directory with recurse=false', async (t) => {
    const { sftp } = await open(t);
    const found = new WTCallbacks();
    await sftp.walktree('pub', found.fileCb, found.dirCb, found.unkCb, false);
    assert.deepEqual(found.flist, ['pub/make.txt']);
    assert.deepEqual(found.dlist, ['pub/foo1', 'pub/foo2']);
  });

  test('gives a broken link to ucallback', async (t) => {
    const { sftp, folder } = await open(t);
    symlinkSync('nowhere', join(folder, 'pub', 'broken'));
    const found = new WTCallbacks();
    await sftp.walktree('pub', found.fileCb, found.dirCb, found.unkCb);
    assert.deepEqual(found.ulist, ['pub/broken']);
  });

  test('ends a loop of links with an error', async (t) => {
    const { sftp, folder } = await open(t);
    symlinkSync('..', join(folder, 'pub', 'foo2', 'up'));
    const found = new WTCallbacks();
    await assert.rejects(sftp.walktree('pub', found.fileCb, found.dirCb, found.unkCb), { code: 'ELOOP' });
  });

  test('stops at the first callback that fails', async (t) => {
    const { sftp } = await open(t);
    const fail = async () => {
      throw new Error('no');
    };
    await assert.rejects(
      sftp.walktree(
        'pub',
        fail,
        () => {},
        () => {},
      ),
      new Error('no'),
    );
  });

  test('rejects for a directory that does not exist', async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(
      sftp.walktree(
        'nowhere',
        () => {},
        () => {},
        () => {},
      ),
      { code: 'ENOENT' },
    );
  });
});

describeOpenSsh('walktree', ({ open, test }) => {
  test('gives special files to ucallback', async (t) => {
    const { sftp, folder } = await open(t);
    execFileSync('mkfifo', [join(folder, 'pub', 'fifo')]);
    const found = new WTCallbacks();
    await sftp.walktree('pub', found.fileCb, found.dirCb, found.unkCb);
    assert.deepEqual(found.ulist, ['pub/fifo']);
  });
});

describeContract('walk', ({ open, test }) => {
  test('gives entries with path, attributes and depth, sorted', async (t) => {
    const { sftp } = await open(t);
    assert.deepEqual(await collect(sftp.walk()), [
      '1 ./pub',
      '2 ./pub/foo1',
      '3 ./pub/foo1/foo1.txt',
      '2 ./pub/foo2',
      '3 ./pub/foo2/bar1',
      '4 ./pub/foo2/bar1/bar1.txt',
      '3 ./pub/foo2/foo2.txt',
      '2 ./pub/make.txt',
      '1 ./readme.sym',
      '1 ./readme.txt',
    ]);
    for await (const { path, attributes } of sftp.walk()) {
      if (path === './readme.sym') assert.ok(attributes.isSymbolicLink());
      if (path === './readme.txt') assert.equal(attributes.size, 8192);
    }
  });

  test('goes no deeper than maxDepth', async (t) => {
    const { sftp } = await open(t);
    assert.deepEqual(await collect(sftp.walk('pub', { maxDepth: 1 })), [
      '1 pub/foo1',
      '1 pub/foo2',
      '1 pub/make.txt',
    ]);
  });

  test('follows links, or skips them', async (t) => {
    const { sftp, folder } = await open(t);
    symlinkSync('../foo1', join(folder, 'pub', 'foo2', 'link'));
    assert.deepEqual(await collect(sftp.walk('pub/foo2', { symlinks: 'follow' })), [
      '1 pub/foo2/bar1',
      '2 pub/foo2/bar1/bar1.txt',
      '1 pub/foo2/foo2.txt',
      '1 pub/foo2/link',
      '2 pub/foo2/link/foo1.txt',
    ]);
    assert.deepEqual(await collect(sftp.walk('pub/foo2', { symlinks: 'skip' })), [
      '1 pub/foo2/bar1',
      '2 pub/foo2/bar1/bar1.txt',
      '1 pub/foo2/foo2.txt',
    ]);
  });

  test('neither reports nor enters what filter refuses', async (t) => {
    const { sftp } = await open(t);
    const walk = sftp.walk('pub', { filter: ({ path }) => !path.includes('foo2') });
    assert.deepEqual(await collect(walk), ['1 pub/foo1', '2 pub/foo1/foo1.txt', '1 pub/make.txt']);
  });

  test('awaits an async filter, and refuses one that answers neither true nor false', async (t) => {
    const { sftp } = await open(t);
    const walk = sftp.walk('pub', { filter: async ({ path }) => !path.includes('foo2') });
    assert.deepEqual(await collect(walk), ['1 pub/foo1', '2 pub/foo1/foo1.txt', '1 pub/make.txt']);
    const wrong = sftp.walk('pub', { filter: (() => undefined) as never });
    await assert.rejects(collect(wrong), /^TypeError: The filter must return true or false/);
  });

  test('ends when the loop is left, with no handle open and the session usable', async (t) => {
    const { sftp } = await open(t);
    for await (const _ of sftp.walk()) break;
    assert.equal(await sftp.exists('pub'), true);
  });

  test('rejects with the reason of its signal', async (t) => {
    const { sftp } = await open(t);
    const abort = new AbortController();
    await assert.rejects(async () => {
      for await (const _ of sftp.walk('.', { signal: abort.signal })) abort.abort(new Error('enough'));
    }, new Error('enough'));
    await assert.rejects(
      collect(sftp.walk('.', { signal: AbortSignal.abort(new Error('no')) })),
      new Error('no'),
    );
  });

  test('refuses more levels than 64', async (t) => {
    const { sftp, folder } = await open(t);
    mkdirSync(join(folder, ...Array.from({ length: 66 }, () => 'd')), { recursive: true });
    await assert.rejects(collect(sftp.walk('d')), { code: 'LIMIT' });
  });

  test('sees a wide and deep tree whole and in order', async (t) => {
    const { sftp, folder } = await open(t);
    const expected: string[] = [];
    for (const a of ['a', 'b', 'c', 'd', 'e', 'f']) {
      expected.push(`1 wide/${a}`);
      for (let index = 0; index < 40; index += 1) {
        const name = `n${String(index).padStart(3, '0')}`;
        expected.push(`2 wide/${a}/${name}`, `3 wide/${a}/${name}/x`);
        plant(folder, { [`wide/${a}/${name}/x`]: '' });
      }
    }
    assert.deepEqual(await collect(sftp.walk('wide')), expected);
  });

  test('lists a directory of some thousand entries whole, with its own order', async (t) => {
    const { sftp, folder } = await open(t);
    const names = Array.from({ length: 3000 }, (_, index) => `file-${String(index).padStart(5, '0')}`);
    mkdirSync(join(folder, 'many'));
    for (const name of names) writeFileSync(join(folder, 'many', name), '');
    assert.deepEqual(await sftp.listdir('many'), names);
  });
});

describeContract('glob', ({ open, test }) => {
  const FILES = {
    'g/a.txt': '',
    'g/b.csv': '',
    'g/.hidden.txt': '',
    'g/x1/a.txt': '',
    'g/x2/deep/er/a.txt': '',
    'g/x2/b.tsv': '',
    'g/we[ird].txt': '',
  };
  const examples: readonly (readonly [string, readonly string[]])[] = [
    ['g/*.txt', ['g/a.txt', 'g/we[ird].txt']],
    ['g/.*.txt', ['g/.hidden.txt']],
    ['g/?.txt', ['g/a.txt']],
    ['g/*/*.txt', ['g/x1/a.txt']],
    ['g/**/a.txt', ['g/a.txt', 'g/x1/a.txt', 'g/x2/deep/er/a.txt']],
    [
      'g/**',
      [
        'g/a.txt',
        'g/b.csv',
        'g/we[ird].txt',
        'g/x1',
        'g/x1/a.txt',
        'g/x2',
        'g/x2/b.tsv',
        'g/x2/deep',
        'g/x2/deep/er',
        'g/x2/deep/er/a.txt',
      ],
    ],
    ['g/x*/', ['g/x1/', 'g/x2/']],
    ['g/**/', ['g/x1/', 'g/x2/', 'g/x2/deep/', 'g/x2/deep/er/']],
    ['g/{a,x1/a}.txt', ['g/a.txt', 'g/x1/a.txt']],
    ['g/**/*.{csv,tsv}', ['g/b.csv', 'g/x2/b.tsv']],
    ['g/[ab].[!t]*', ['g/b.csv']],
    ['g/we\\[ird].txt', ['g/we[ird].txt']],
    ['g/a.txt', ['g/a.txt']],
    ['g/a.txt/', []],
    ['g/a.txt/*', []],
    ['nowhere/*', []],
    ['**/er/*.txt', ['g/x2/deep/er/a.txt']],
  ];
  test('finds what a shell would', async (t) => {
    const { sftp, folder, home } = await open(t);
    plant(folder, FILES);
    for (const [pattern, expected] of examples) {
      assert.deepEqual(await sftp.glob(pattern), expected, pattern);
    }
    assert.deepEqual(await sftp.glob(`${home}/g/*.csv`), [`${home}/g/b.csv`]);
    await sftp.cd('g', async () => {
      assert.deepEqual(await sftp.glob('x?/*.tsv'), ['x2/b.tsv']);
    });
  });

  test('refuses braces without measure', async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.glob('{a,b}'.repeat(20)), RangeError);
  });
});

describeContract('rmtree', ({ open, test }) => {
  test('removes a directory with everything below it, and no more', async (t) => {
    const { sftp, folder } = await open(t);
    symlinkSync('../readme.txt', join(folder, 'pub', 'link'));
    mkdirSync(join(folder, 'other'));
    writeFileSync(join(folder, 'other', 'kept.txt'), 'kept');
    symlinkSync('../other', join(folder, 'pub', 'link-to-directory'));
    await sftp.rmtree('pub');
    assert.deepEqual(readdirSync(folder).sort(), ['other', 'readme.sym', 'readme.txt']);
    assert.ok(existsSync(join(folder, 'other', 'kept.txt')));
  });

  test('refuses a file, a link to a directory, and what is not there', async (t) => {
    const { sftp, folder } = await open(t);
    symlinkSync('pub', join(folder, 'link'));
    await assert.rejects(sftp.rmtree('readme.txt'), { code: 'ENOTDIR' });
    await assert.rejects(sftp.rmtree('link'), { code: 'ENOTDIR' });
    await assert.rejects(sftp.rmtree('link/'), { code: 'ENOTDIR' });
    await assert.rejects(sftp.rmtree('nowhere'), { code: 'ENOENT' });
    assert.ok(existsSync(join(folder, 'pub', 'make.txt')));
  });

  test("refuses '/', '.' and '..'", async (t) => {
    const { sftp } = await open(t);
    for (const path of ['/', '.', '..', 'pub/..', 'pub/.', '//']) {
      await assert.rejects(sftp.rmtree(path), RangeError);
    }
  });
});
