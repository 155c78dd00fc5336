import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { unmarked } from '../../../../src/transfer/caller-error.js';
import { Window } from '../../../../src/transfer/engine/window.js';
import { identityOf } from '../../../../src/transfer/local/local-names.js';
import { leadsOutside } from '../../../../src/transfer/tree/copy-link.js';
import { copyTree } from '../../../../src/transfer/tree/copy-tree.js';
import type { CopyTreeOptions, TreeEntry } from '../../../../src/transfer/tree/tree-run.js';
import {
  errorWithCode,
  FakeFileSystem,
  type FakeOptions,
  type Step,
} from '../../../support/fake-file-system.js';

interface Sides {
  readonly source: FakeFileSystem;
  readonly target: FakeFileSystem;
}

function sides(source: FakeOptions = {}, target: FakeOptions = {}): Sides {
  return { source: new FakeFileSystem(source), target: new FakeFileSystem(target) };
}

async function copy({ source, target }: Sides, options: Partial<CopyTreeOptions> = {}) {
  try {
    return await copyTree(
      { fileSystem: source, path: Buffer.from('/') },
      { fileSystem: target, path: Buffer.from('/') },
      { atomic: true, symlinks: 'follow', recurse: true, window: new Window({ max: 64 }), ...options },
    );
  } finally {
    assert.deepEqual([...source.violations, ...target.violations], []);
    assert.deepEqual([source.openFiles, target.openFiles], [0, 0]);
  }
}

describe('copyTree, overwrite', () => {
  const times = (sourceTime: number, targetTime: number, content = 'new') => {
    const both = sides();
    both.source.addFile('/f', content, { mtime: sourceTime });
    both.target.addFile('/f', 'old', { mtime: targetTime });
    return both;
  };
  for (const [overwrite, cases] of [
    ['always', [[1, 2, 'new', undefined]]],
    ['never', [[2, 1, 'old', 'EXISTS']]],
    [
      'newer',
      [
        [2, 1, 'new', undefined],
        [1, 1, 'old', 'NOT_NEWER'],
        [1, 2, 'old', 'NOT_NEWER'],
      ],
    ],
    [
      'different',
      [
        [1, 1, 'old', 'SAME'],
        [1.9, 1.1, 'old', 'SAME'],
        [1, 2, 'new', undefined],
      ],
    ],
  ] as const) {
    for (const [sourceTime, targetTime, expected, code] of cases) {
      test(`${overwrite}: a source of ${sourceTime} s and a target of ${targetTime} s give the ${expected} content`, async () => {
        const both = times(sourceTime, targetTime);
        const { files, skipped } = await copy(both, { overwrite });
        assert.equal(both.target.content('/f'), expected);
        assert.deepEqual(
          skipped.map((entry) => entry.code),
          code === undefined ? [] : [code],
        );
        assert.equal(files, code === undefined ? 1 : 0);
      });
    }
  }

  test('different: another size is another file', async () => {
    const both = times(1, 1, 'longer');
    await copy(both, { overwrite: 'different' });
    assert.equal(both.target.content('/f'), 'longer');
  });

  test('never: what appears meanwhile stays, too', async () => {
    const both = sides({
      gate: async ({ kind }) => {
        if (kind === 'read') both.target.addFile('/f', 'theirs');
      },
    });
    both.source.addFile('/f', 'ours');
    await assert.rejects(copy(both, { overwrite: 'never' }), { code: 'EEXIST' });
    assert.equal(both.target.content('/f'), 'theirs');
    assert.deepEqual(both.target.paths, ['/', '/f']);
  });
});

describe('copyTree, filter', () => {
  test('leaves out files, and directories with everything below them, and reports them', async () => {
    const both = sides();
    both.source.addDirectory('/keep').addFile('/keep/a', '1').addFile('/keep/b', '2');
    both.source.addDirectory('/drop').addFile('/drop/c', '3');
    const seen: TreeEntry[] = [];
    const report = await copy(both, {
      filter: async (entry) => {
        seen.push(entry);
        return entry.path !== 'keep/b' && entry.name !== 'drop';
      },
    });
    assert.deepEqual(both.target.paths, ['/', '/keep', '/keep/a']);
    assert.deepEqual(report.skipped.map(({ path, code }) => [path, code]).sort(), [
      ['/drop', 'FILTERED'],
      ['/keep/b', 'FILTERED'],
    ]);
    assert.deepEqual(seen.map(({ path }) => path).sort(), ['drop', 'keep', 'keep/a', 'keep/b']);
    const { nameBytes, ...entry } = seen.find(({ path }) => path === 'keep/a') ?? assert.fail();
    assert.deepEqual(entry, { path: 'keep/a', name: 'a', type: 'file', size: 1, mtime: 1, mode: 0o644 });
    assert.deepEqual(Buffer.from(nameBytes), Buffer.from('a'));
  });

  test('a filter that throws ends the copy', async () => {
    const both = sides();
    both.source.addFile('/f', '1');
    const filter = () => {
      throw new Error('mine');
    };
    for (const continueOnError of [false, true]) {
      await assert.rejects(unmarked(copy(both, { filter, continueOnError })), /^Error: mine$/);
    }
  });
});

describe('copyTree, continueOnError', () => {
  test('goes on with the rest, and tells each failure', async () => {
    const fail = ({ kind, path }: Step) =>
      (kind === 'read' && path === '/bad') || (kind === 'list' && path === '/closed')
        ? errorWithCode('EACCES')
        : undefined;
    const both = sides({ fail });
    both.source.addFile('/bad', 'x').addFile('/good', 'y');
    both.source.addDirectory('/closed').addDirectory('/open').addFile('/open/f', 'z');
    const report = await copy(both, { continueOnError: true });
    assert.deepEqual(report.done.map(({ path, target, bytes }) => [path, target, bytes]).sort(), [
      ['/good', '/good', 1],
      ['/open/f', '/open/f', 1],
    ]);
    assert.deepEqual(
      report.failed.map(({ path, error }) => [path, (error as { code?: string }).code]).sort(),
      [
        ['/bad', 'EACCES'],
        ['/closed', 'EACCES'],
      ],
    );
    assert.deepEqual(both.target.paths, ['/', '/closed', '/good', '/open', '/open/f']);
  });

  test('an abort ends it all the same', async () => {
    const abort = new AbortController();
    const both = sides({
      gate: async ({ kind }) => {
        if (kind === 'read') abort.abort('enough');
      },
    });
    both.source.addFile('/f', 'x').addFile('/g', 'y');
    await assert.rejects(
      copy(both, { continueOnError: true, signal: abort.signal }),
      (reason) => reason === 'enough',
    );
  });
});

describe('copyTree, modes and times', () => {
  test('are those of the source, of directories too, once their content is there', async () => {
    const both = sides();
    both.source.addDirectory('/d').addDirectory('/d/e').addFile('/d/e/f', 'x', { mode: 0o6711, mtime: 7 });
    Object.assign(both.source.nodes.get('/d') ?? {}, { mtime: 5, mode: 0o2500 });
    Object.assign(both.source.nodes.get('/d/e') ?? {}, { mtime: 6, mode: 0o777 });
    await copy(both, { preserveMtime: true, preserveMode: true });
    const told = (path: string) => {
      const { mode, mtime } = both.target.nodes.get(path) ?? assert.fail();
      return [mode.toString(8), mtime];
    };
    // The target of the test lets no more than 755 through.
    assert.deepEqual(
      [told('/d'), told('/d/e'), told('/d/e/f')],
      [
        ['500', 5],
        ['755', 6],
        ['711', 7],
      ],
    );
    const order = both.target.steps.filter(({ kind }) => kind === 'setAttributes' || kind === 'replace');
    assert.deepEqual(order.map(({ kind, path }) => (kind === 'replace' ? kind : path)).slice(-3), [
      'replace',
      '/d/e',
      '/d',
    ]);
  });
});

describe('copyTree, symlinks: copy', () => {
  test('makes links of links, save for those that lead out of the tree', async () => {
    const both = sides();
    both.source.addDirectory('/d').addFile('/d/f', 'x');
    both.source.addLink('/inside', 'd/f').addLink('/d/up', '../d/f');
    both.source.addLink('/absolute', '/etc/passwd').addLink('/out', '../x').addLink('/d/out', '../../x');
    const report = await copy(both, { symlinks: 'copy' });
    assert.deepEqual([report.files, report.links], [1, 2]);
    assert.equal(both.target.nodes.get('/inside')?.target, 'd/f');
    assert.equal(both.target.nodes.get('/d/up')?.target, '../d/f');
    assert.deepEqual(report.skipped.map(({ path, code }) => `${path} ${code}`).sort(), [
      '/absolute OUTSIDE',
      '/d/out OUTSIDE',
      '/out OUTSIDE',
    ]);
    const again = await copy(both, { symlinks: 'copy' });
    assert.deepEqual([again.links, again.skipped.filter(({ code }) => code === 'SAME').length], [0, 2]);
  });

  test('what lies in the place of a link is replaced, or left where nothing may be overwritten', async () => {
    for (const overwrite of ['always', 'never'] as const) {
      const both = sides();
      both.source.addLink('/x', 'new');
      both.target.addFile('/x', 'content');
      await copy(both, { symlinks: 'copy', overwrite });
      assert.equal(both.target.nodes.get('/x')?.target, overwrite === 'always' ? 'new' : undefined);
      assert.deepEqual(both.target.paths, ['/', '/x']);
    }
  });

  test('a directory is never replaced by a link', async () => {
    const both = sides();
    both.source.addLink('/x', 'new');
    both.target.addDirectory('/x');
    await assert.rejects(copy(both, { symlinks: 'copy' }), { code: 'EISDIR' });
  });

  test('N2: nothing is written through a link that was copied before', async () => {
    const both = sides();
    both.target.addDirectory('/elsewhere').addLink('/x', 'elsewhere');
    both.source.addDirectory('/x').addFile('/x/f', 'content');
    await assert.rejects(copy(both, { symlinks: 'copy' }), { code: 'ENOTDIR' });
    assert.equal(both.target.content('/elsewhere/f'), undefined);
  });

  for (const [text, level, expected] of [
    ['a', 0, false],
    ['./a/b', 0, false],
    ['../../a/b', 2, false],
    ['a/../b', 0, true],
    ['../a/../b', 2, true],
    ['d/d/../../../etc/passwd', 5, true],
    ['..', 0, true],
    ['../a', 1, false],
    ['../../a', 1, true],
    ['a/../../b', 0, true],
    ['/a', 5, true],
    ['', 5, true],
    ['C:\\a', 5, true],
    ['..\\..\\a', 1, true],
  ] as const) {
    test(`X16: a link that says '${text}', ${level} below the root, leads ${expected ? 'outside' : 'inside'}`, () => {
      assert.equal(leadsOutside(Buffer.from(text), level), expected);
    });
  }
});

describe('names that are one name on the target', () => {
  test('N6: the second of them is refused on macOS and Windows, and both arrive on Linux', async () => {
    for (const [platform, files] of [
      ['linux', 4],
      ['darwin', 2],
      ['win32', 2],
    ] as const) {
      const both = sides({}, { platform });
      for (const name of ['Report', 'report', 'caf\u00e9', 'cafe\u0301']) {
        both.source.addFile(`/${Buffer.from(name).toString('latin1')}`, name);
      }
      const report = await copy(both, { continueOnError: true });
      assert.equal(report.files, files, platform);
      assert.deepEqual(
        report.failed.map(({ error }) => (error as { code?: string }).code),
        Array.from({ length: 4 - files }, () => 'NAME_COLLISION'),
      );
    }
  });

  test('N5: bytes that are not UTF-8 stay apart where the target takes bytes', () => {
    const names = [Buffer.from([0xff]), Buffer.from([0xfe])];
    assert.equal(new Set(names.map((name) => identityOf(name, 'linux'))).size, 2);
    assert.equal(new Set(names.map((name) => identityOf(name, 'win32'))).size, 1);
  });

  test('a temporary file of ours is none of the tree', async () => {
    const both = sides();
    both.source.addFile('/.tsftp-0123456789ab-0123456789ab.part', 'x').addFile('/f', 'y');
    const report = await copy(both);
    assert.deepEqual([report.files, report.skipped[0]?.code], [1, 'UNFINISHED']);
  });
});
