import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Window } from '../../../../src/transfer/engine/window.js';
import { copyTree } from '../../../../src/transfer/tree/copy-tree.js';
import type { FileProgress } from '../../../../src/transfer/tree/tree-progress.js';
import type { CopyTreeOptions } from '../../../../src/transfer/tree/tree-run.js';
import type { FileType } from '../../../../src/wire/attributes.js';
import {
  errorWithCode,
  FakeFileSystem,
  type FakeOptions,
  type Step,
} from '../../../support/fake-file-system.js';

interface Options extends Partial<CopyTreeOptions> {
  readonly source?: FakeOptions;
  readonly target?: FakeOptions;
}

/** From the root of one file system into the root of another. */
class Tree {
  readonly source: FakeFileSystem;
  readonly target: FakeFileSystem;
  readonly progress: (readonly [transferred: number, total: number, file: FileProgress])[] = [];
  readonly window = new Window({ max: 16 });
  readonly #options: Partial<CopyTreeOptions>;

  constructor({ source, target, ...options }: Options = {}) {
    this.source = new FakeFileSystem(source);
    this.target = new FakeFileSystem(target);
    this.#options = options;
  }

  async run() {
    try {
      return await copyTree(
        { fileSystem: this.source, path: Buffer.from('/') },
        { fileSystem: this.target, path: Buffer.from('/') },
        {
          atomic: true,
          symlinks: 'follow',
          recurse: true,
          onProgress: (...all) => this.progress.push(all),
          ...this.#options,
          window: this.window,
        },
      );
    } finally {
      assert.deepEqual([...this.source.violations, ...this.target.violations], []);
      assert.deepEqual([this.source.openFiles, this.target.openFiles, this.window.used], [0, 0, 0]);
    }
  }
}

function entry(name: string, type: FileType) {
  const info = { type, size: 3, mode: 0o644, atime: 1, mtime: 1 };
  return { name: Buffer.from(name, 'latin1'), info };
}

describe('copyTree', () => {
  test('copies files and directories, empty ones too, and tells what it did', async () => {
    const tree = new Tree();
    tree.source.addDirectory('/a').addDirectory('/a/empty').addFile('/a/f', 'content').addFile('/g', '');
    const { duration, done, ...report } = await tree.run();
    assert.deepEqual(report, {
      files: 2,
      directories: 2,
      links: 0,
      bytes: 7,
      overwrittenInPlace: [],
      notPreserved: [],
      omitted: 0,
      skipped: [],
      failed: [],
    });
    assert.ok(duration >= 0);
    assert.deepEqual(
      done.map(({ path }) => path),
      ['/g', '/a/f'],
    );
    assert.deepEqual(tree.target.paths, ['/', '/a', '/a/empty', '/a/f', '/g']);
    assert.equal(tree.target.content('/a/f'), 'content');
  });

  test('the files of few directories at a time are copied, however many directories are listed meanwhile', async () => {
    const tree = new Tree({ concurrency: 3 });
    const directories = Array.from({ length: 12 }, (_, index) => `/d${index}`);
    for (const directory of directories) {
      tree.source.addDirectory(directory);
      for (const name of 'abcdefgh') tree.source.addFile(`${directory}/${name}`, name);
    }
    await tree.run();
    const opened = tree.source.stepsOf('openSource').map(({ path }) => path.slice(0, path.lastIndexOf('/')));
    const begun = opened.map((_, index) => {
      const left = new Set(opened.slice(index));
      return new Set(opened.slice(0, index).filter((directory) => left.has(directory))).size;
    });
    assert.equal(opened.length, 12 * 8);
    assert.ok(Math.max(...begun) <= 3);
  });

  test('without recursion only the files of the directory itself', async () => {
    const tree = new Tree({ recurse: false });
    tree.source.addDirectory('/a').addFile('/a/f', 'x').addFile('/g', 'y');
    assert.equal((await tree.run()).files, 1);
    assert.deepEqual(tree.target.paths, ['/', '/g']);
  });

  test('an empty tree is reported once', async () => {
    const tree = new Tree();
    await tree.run();
    assert.deepEqual(
      tree.progress.map(([transferred, total]) => [transferred, total]),
      [[0, 0]],
    );
  });

  test('any tree in any order of events: identical, files bounded, progress monotonic to the total', async () => {
    const files = fc.dictionary(fc.stringMatching(/^[a-c](\/[a-c]){0,3}$/), fc.string({ maxLength: 20 }), {
      maxKeys: 12,
      noNullPrototype: true,
    });
    await fc.assert(
      fc.asyncProperty(
        files,
        fc.integer({ min: 1, max: 5 }),
        fc.scheduler(),
        async (wanted, maxOpenFiles, scheduler) => {
          const gate = () => scheduler.schedule(Promise.resolve());
          const options = { gate, maxOpenFiles };
          const tree = new Tree({ source: options, target: { ...options, isOrdered: true } });
          for (const [path, content] of Object.entries(wanted)) {
            const parents = path.split('/').slice(0, -1);
            parents.forEach((_, index) => {
              const parent = `/${parents.slice(0, index + 1).join('/')}`;
              tree.source.addDirectory(parent);
            });
            if (tree.source.nodes.get(`/${path}`)?.type !== 'directory')
              tree.source.addFile(`/${path}`, content);
          }
          const report = await scheduler.waitFor(tree.run());
          assert.deepEqual(tree.target.paths, tree.source.paths);
          for (const path of tree.source.paths) {
            assert.equal(tree.target.content(path), tree.source.content(path), path);
          }
          assert.ok(tree.source.mostOpenFiles <= maxOpenFiles, `${tree.source.mostOpenFiles} open`);
          const figures = tree.progress.map(([transferred]) => transferred);
          assert.deepEqual(
            figures,
            [...figures].sort((a, b) => a - b),
          );
          assert.deepEqual(tree.progress.at(-1)?.slice(0, 2), [report.bytes, report.bytes]);
        },
      ),
      { numRuns: 100 },
    );
  });

  const hostile = ['..', '.', '', 'a/b', '/etc/x', '../x', 'a\0b'];
  for (const name of hostile) {
    for (const type of ['file', 'directory', 'symlink'] as const) {
      test(`N1: a ${type} named ${JSON.stringify(name)} is refused, and nothing is written`, async () => {
        const tree = new Tree({ source: { entries: [entry(name, type)] } });
        await assert.rejects(tree.run(), {
          name: 'SftpError',
          code: 'UNSAFE_NAME',
          message: /is refused: it /,
        });
        assert.deepEqual(tree.target.paths, ['/']);
      });
    }
  }

  for (const name of [
    '..\\x',
    'C:',
    'a:b',
    'CON',
    'con.txt',
    'NUL',
    'COM1',
    'lpt9.log',
    'end.',
    'end ',
    'a<b',
    'x\x01',
    'a?',
  ]) {
    test(`N1: on Windows ${JSON.stringify(name)} is refused too`, async () => {
      const tree = new Tree({ source: { entries: [entry(name, 'file')] }, target: { platform: 'win32' } });
      await assert.rejects(tree.run(), { code: 'UNSAFE_NAME' });
      assert.deepEqual(tree.target.paths, ['/']);
    });
  }

  test('N4: a hostile name is shown escaped', async () => {
    const tree = new Tree({ source: { entries: [entry('\x1b[2J/', 'file')] } });
    await assert.rejects(tree.run(), (error: Error) => !error.message.includes('\x1b'));
  });

  test('N5: names that are not UTF-8 and decode alike stay apart', async () => {
    const tree = new Tree();
    tree.source.addFile('/\xff', 'one').addFile('/\xfe', 'two');
    await tree.run();
    assert.deepEqual([tree.target.content('/\xff'), tree.target.content('/\xfe')], ['one', 'two']);
  });

  test('N2, N3: a link that lies in the way of a directory is refused', async () => {
    const tree = new Tree();
    tree.source.addDirectory('/a').addFile('/a/f', 'x');
    tree.target.addDirectory('/outside').addLink('/a', '/outside');
    await assert.rejects(tree.run(), { code: 'ENOTDIR' });
    assert.deepEqual(tree.target.paths, ['/', '/a', '/outside']);
  });

  test('N8: a link to a directory above is an error; one to a directory beside is followed', async () => {
    const loop = new Tree();
    loop.source.addDirectory('/a').addLink('/a/up', '/');
    await assert.rejects(loop.run(), {
      code: 'ELOOP',
      message: /'\/a\/up' is a symbolic link to one of its parent directories/,
    });
    const beside = new Tree();
    beside.source.addDirectory('/a').addFile('/a/f', 'x').addLink('/b', '/a');
    await beside.run();
    assert.equal(beside.target.content('/b/f'), 'x');
  });

  test('N8: links between two directories end with an error', async () => {
    const tree = new Tree();
    tree.source.addDirectory('/a').addDirectory('/b').addLink('/a/b', '/b').addLink('/b/a', '/a');
    await assert.rejects(tree.run(), { code: 'ELOOP' });
  });

  test('N8: more than 64 levels are refused', async () => {
    const deep = (levels: number) => {
      const tree = new Tree();
      for (let level = 1; level <= levels; level += 1) tree.source.addDirectory('/d'.repeat(level));
      return tree;
    };
    assert.equal((await deep(64).run()).directories, 64);
    await assert.rejects(deep(66).run(), { code: 'LIMIT', message: /more than 64 levels/ });
  });

  test('P22: a directory of more than a million entries is refused', async () => {
    const tree = new Tree({ source: { isEndless: true } });
    tree.source.addDirectory('/x');
    await assert.rejects(tree.run(), { code: 'LIMIT', message: /more than 1000000 entries/ });
  });

  test('N9: what is no file is skipped and never opened', async () => {
    const types = ['fifo', 'socket', 'block-device', 'character-device'] as const;
    const tree = new Tree();
    for (const type of types) tree.source.addSpecial(`/${type}`, type);
    const { skipped } = await tree.run();
    assert.deepEqual(
      skipped,
      types.map((type) => ({ path: `/${type}`, code: 'SPECIAL', reason: `it is a ${type}` })),
    );
    assert.equal(tree.source.stepsOf('openSource').length, 0);
  });

  test('an entry whose type the listing leaves out is asked for', async () => {
    const source = new FakeFileSystem();
    source.addFile('/f', 'x');
    const tree = new Tree({ source: { entries: [entry('f', 'unknown')] } });
    tree.source.addFile('/f', 'x');
    assert.equal((await tree.run()).files >= 1, true);
    assert.equal(
      tree.source.stepsOf('lstat').some(({ path }) => path === '/f'),
      true,
    );
  });

  test('the first failure stops the rest, and leaves no temporary file', async () => {
    const fail = (step: Step) =>
      step.kind === 'read' && step.path === '/5' ? errorWithCode('EIO') : undefined;
    const tree = new Tree({ source: { fail } });
    for (let index = 0; index < 50; index += 1) tree.source.addFile(`/${index}`, 'x'.repeat(40));
    await assert.rejects(tree.run(), { name: 'TransferError', code: 'EIO', source: '/5' });
    assert.deepEqual(
      tree.target.paths.filter((path) => path.endsWith('.part')),
      [],
    );
    assert.ok(tree.source.stepsOf('openSource').length < 50);
  });
});
