import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { unmarked } from '../../../../src/transfer/caller-error.js';
import { Window } from '../../../../src/transfer/engine/window.js';
import { type MirrorTreeOptions, mirrorTree } from '../../../../src/transfer/mirror/mirror.js';
import { errorWithCode, FakeFileSystem, type FakeOptions } from '../../../support/fake-file-system.js';

interface Options extends Partial<MirrorTreeOptions> {
  readonly from?: FakeOptions;
  readonly to?: FakeOptions;
}

/** From the root of one file system into the root of another. */
class Pair {
  readonly source: FakeFileSystem;
  readonly target: FakeFileSystem;
  readonly progress: (readonly [number, number])[] = [];
  readonly #options: Partial<MirrorTreeOptions>;
  readonly #window = new Window({ max: 16 });

  constructor({ from, to, ...options }: Options = {}) {
    this.source = new FakeFileSystem(from);
    this.target = new FakeFileSystem(to);
    this.#options = options;
  }

  async run(options: Partial<MirrorTreeOptions> = {}) {
    try {
      return await mirrorTree(
        { fileSystem: this.source, path: Buffer.from('/') },
        { fileSystem: this.target, path: Buffer.from('/') },
        {
          delete: false,
          dryRun: false,
          compare: 'size-mtime',
          symlinks: 'copy',
          atomic: true,
          preserveMtime: true,
          continueOnError: false,
          hasTarget: true,
          makeTarget: async () => {},
          onProgress: (transferred, total) => this.progress.push([transferred, total]),
          ...this.#options,
          ...options,
          line: { window: this.#window },
        },
      );
    } finally {
      assert.deepEqual([...this.source.violations, ...this.target.violations], []);
      assert.deepEqual([this.source.openFiles, this.target.openFiles, this.#window.used], [0, 0, 0]);
    }
  }

  /** What is in the target: contents, and what links say. */
  get result(): Record<string, string | undefined> {
    const all = [...this.target.nodes].filter(([path]) => path !== '/');
    return Object.fromEntries(
      all
        .map(([path, { type, content, target }]) => [
          path,
          type === 'file' ? content.toString() : (target ?? type),
        ])
        .sort(),
    );
  }
}

const CHANGES = [
  'openTarget',
  'ensureDirectory',
  'replace',
  'removeFile',
  'removeDirectory',
  'makeLink',
] as const;

function changesOf(system: FakeFileSystem): string[] {
  return system.steps.filter(({ kind }) => CHANGES.some((change) => change === kind)).map(({ kind }) => kind);
}

function filledPair(options: Options = {}): Pair {
  const pair = new Pair(options);
  pair.source.addDirectory('/a').addDirectory('/a/b').addDirectory('/empty');
  pair.source
    .addFile('/a/b/f', 'deep', { mtime: 5 })
    .addFile('/g', 'new', { mtime: 7 })
    .addFile('/same', 's');
  pair.source.addLink('/l', 'g');
  pair.target
    .addFile('/g', 'old', { mtime: 6 })
    .addFile('/same', 's')
    .addDirectory('/x')
    .addFile('/x/y', '1');
  pair.target.addFile('/a', 'in the way').addLink('/z', '/etc');
  return pair;
}

const MIRRORED = {
  '/a': 'directory',
  '/a/b': 'directory',
  '/a/b/f': 'deep',
  '/empty': 'directory',
  '/g': 'new',
  '/l': 'g',
  '/same': 's',
};

function unlistable(directory: string, code = 'EACCES'): FakeOptions {
  const fail: FakeOptions['fail'] = ({ kind, path }) =>
    kind === 'list' && path === directory ? errorWithCode(code) : undefined;
  return { fail };
}

describe('a mirror that goes on where a directory cannot be listed', () => {
  const goOn = { delete: true, continueOnError: true };
  /** What cannot be copied or listed, and what is extra, stays. */
  const EXTRA = { '/x': 'directory', '/x/y': '1', '/z': '/etc' };

  async function failuresOf(pair: Pair, options?: Partial<MirrorTreeOptions>): Promise<string[]> {
    const { failed, skipped, deleted } = await pair.run(options);
    const unreadable = skipped.filter(({ reason }) => reason === 'unreadable');
    assert.deepEqual(unreadable.map(({ path }) => path).sort(), failed.map(({ step }) => step.path).sort());
    const texts = failed.map(({ step: { path, action, reason, type }, error }) =>
      [path, action, reason, type, (error as { code?: string }).code].join(' '),
    );
    return [...texts, `${deleted} deleted`];
  }

  test('leaves it out of the source, and all else arrives', async () => {
    for (const large of [{}, { keptBytes: 0, partSteps: 2 }]) {
      for (const code of ['EACCES', 'ENOENT']) {
        const pair = filledPair({ ...goOn, ...large, from: unlistable('/a/b', code) });
        const expected = [`a/b skip unreadable directory ${code}`, '1 deleted'];
        assert.deepEqual(await failuresOf(pair, { dryRun: true }), expected);
        assert.deepEqual(changesOf(pair.target), []);
        assert.deepEqual(await failuresOf(pair), expected);
        const { '/a/b': _, '/a/b/f': __, ...arrived } = MIRRORED;
        assert.deepEqual(pair.result, { ...arrived, ...EXTRA });
      }
    }
  });

  test('leaves it alone in the target, whether it is extra, in the way or on both sides', async () => {
    const extra = filledPair({ ...goOn, to: unlistable('/x') });
    assert.deepEqual(await failuresOf(extra), ['x skip unreadable directory EACCES', '1 deleted']);
    assert.deepEqual(extra.result, { ...MIRRORED, ...EXTRA });

    const below = filledPair({ ...goOn, to: unlistable('/x/below') });
    below.target.addDirectory('/x/below').addFile('/x/below/f', 'kept');
    assert.deepEqual(await failuresOf(below), ['x/below skip unreadable directory EACCES', '1 deleted']);
    const stays = { '/x/below': 'directory', '/x/below/f': 'kept' };
    assert.deepEqual(below.result, { ...MIRRORED, ...EXTRA, ...stays });

    const inTheWay = filledPair({ ...goOn, to: unlistable('/h') });
    inTheWay.source.addFile('/h', 'a file here');
    inTheWay.target.addDirectory('/h').addFile('/h/f', 'kept');
    assert.deepEqual(await failuresOf(inTheWay), ['h skip unreadable file EACCES', '1 deleted']);
    assert.deepEqual(inTheWay.result, { ...MIRRORED, ...EXTRA, '/h': 'directory', '/h/f': 'kept' });

    const both = filledPair({ ...goOn, preserveMode: true, to: unlistable('/empty') });
    both.source.addFile('/empty/new', 'new');
    both.target.addDirectory('/empty').addFile('/empty/old', 'old');
    assert.deepEqual(await failuresOf(both), ['empty skip unreadable directory EACCES', '1 deleted']);
    assert.deepEqual(both.result, { ...MIRRORED, ...EXTRA, '/empty/old': 'old' });
  });

  test('counts no deletions that it will not make', async () => {
    const pair = filledPair({ ...goOn, from: unlistable('/a/b'), approval: { maxDelete: 1 } });
    assert.deepEqual((await pair.run()).deleted, 1);
    const usual = filledPair({ ...goOn, approval: { maxDelete: 1 } });
    await assert.rejects(usual.run(), { code: 'TOO_MANY_DELETIONS' });
  });

  test('copies what cannot be read for its checksum, and tells that', async () => {
    const from: FakeOptions = {
      fail: ({ kind, path }) =>
        kind === 'openSource' && path === '/same' ? errorWithCode('EACCES') : undefined,
    };
    const options = { continueOnError: true, compare: 'checksum' } as const;
    const pair = filledPair({ ...options, delete: true, from });
    const { failed } = await pair.run();
    assert.deepEqual(
      failed.map(({ step, error }) => [step.path, step.reason, (error as { code?: string }).code]),
      [['same', 'content', 'EACCES']],
    );
    assert.deepEqual(pair.result, { ...MIRRORED, ...EXTRA });
    await assert.rejects(pair.run({ continueOnError: false }), { code: 'EACCES' });
  });

  test('does not take the error of a filter or a comparison for it', async () => {
    const mine = Object.assign(new Error('mine'), { code: 'EACCES' });
    const fail = () => {
      throw mine;
    };
    await assert.rejects(unmarked(filledPair({ ...goOn, filter: fail }).run()), mine);
    await assert.rejects(unmarked(filledPair({ ...goOn, compare: fail }).run()), mine);
  });
});

describe('a mirror whose plan is not kept', () => {
  const large = { keptBytes: 0, partSteps: 2 };

  test('is made in parts, deletes at the end, and finds nothing to do the next time', async () => {
    for (const options of [{}, { preserveMode: true }, { delete: false }]) {
      const [pair, usual] = [
        filledPair({ delete: true, ...options, ...large }),
        filledPair({ delete: true, ...options }),
      ];
      const [report, expected] = [await pair.run(), await usual.run()];
      assert.deepEqual(
        JSON.parse(JSON.stringify({ ...report, duration: 0 })),
        JSON.parse(JSON.stringify({ ...expected, duration: 0 })),
      );
      assert.deepEqual(pair.result, usual.result);
      assert.deepEqual(pair.progress.at(-1), usual.progress.at(-1));
      pair.target.steps.length = 0;
      const { created, updated, deleted } = await pair.run();
      assert.deepEqual([created, updated, deleted], [0, 0, 0]);
      assert.deepEqual(changesOf(pair.target), []);
    }
  });

  test('deletes nothing where something failed, and touches nothing where a directory cannot be listed', async () => {
    const fails = (kind: string, at: string): NonNullable<FakeOptions['fail']> => {
      return (step) => (step.kind === kind && step.path === at ? errorWithCode('EACCES') : undefined);
    };
    const pair = filledPair({
      ...large,
      delete: true,
      continueOnError: true,
      from: { fail: fails('openSource', '/g') },
    });
    assert.equal((await pair.run()).failed.length, 1);
    assert.deepEqual(pair.result, { ...MIRRORED, '/g': 'old', '/x': 'directory', '/x/y': '1', '/z': '/etc' });
    const blind = filledPair({ ...large, delete: true, from: { fail: fails('list', '/a/b') } });
    await assert.rejects(blind.run(), { code: 'EACCES' });
    assert.deepEqual(changesOf(blind.target), []);
  });

  test('makes room for a file where a directory is, and for a directory where a file is', async () => {
    const pair = new Pair({ ...large, delete: true });
    pair.source.addFile('/a', 'a').addDirectory('/b').addFile('/b/f', 'f').addFile('/c', 'c');
    pair.target
      .addDirectory('/a')
      .addDirectory('/a/x')
      .addFile('/a/x/1', '')
      .addFile('/a/x/2', '')
      .addFile('/a/y', '');
    pair.target
      .addFile('/b', 'b')
      .addDirectory('/d')
      .addDirectory('/d/e')
      .addFile('/d/e/f', '')
      .addFile('/d/g', '');
    await pair.run();
    assert.deepEqual(pair.result, { '/a': 'a', '/b': 'directory', '/b/f': 'f', '/c': 'c' });
  });

  test('tells the first steps and how many are left out', async () => {
    const pair = new Pair(large);
    for (let index = 0; index < 1005; index += 1) pair.source.addFile(`/${index + 1000}`, '');
    const { plan, omitted, created } = await pair.run();
    assert.deepEqual([plan.length, omitted, created], [1000, 5, 1005]);
    assert.deepEqual([plan[0]?.path, plan[999]?.path], ['1000', '1999']);
  });
});

describe('mirrorTree', () => {
  test('permissions cost nothing where they are equal, and one request where they are not', async () => {
    const pair = filledPair({ delete: true, preserveMode: true });
    await pair.run();
    pair.target.steps.length = 0;
    await pair.run({ preserveMode: false });
    const usual = pair.target.steps.splice(0).map(({ kind }) => kind);
    await pair.run();
    assert.deepEqual(
      pair.target.steps.splice(0).map(({ kind }) => kind),
      usual,
    );
    Object.assign(pair.target.nodes.get('/g') ?? {}, { mode: 0o600 });
    Object.assign(pair.target.nodes.get('/a') ?? {}, { mode: 0o700 });
    assert.equal((await pair.run()).updated, 2);
    assert.deepEqual(
      pair.target.stepsOf('setAttributes').map(({ path }) => path),
      ['/a', '/g'],
    );
  });

  test('makes the target the source, and finds nothing to do the next time', async () => {
    const pair = filledPair({ delete: true });
    const report = await pair.run();
    assert.deepEqual(pair.result, MIRRORED);
    const { created, updated, deleted, kept, bytes, skipped, failed } = report;
    assert.deepEqual(
      { created, updated, deleted, kept, bytes, skipped, failed },
      {
        created: 5,
        updated: 1,
        deleted: 4,
        kept: 1,
        bytes: 7,
        skipped: [],
        failed: [],
      },
    );
    assert.deepEqual(pair.progress.at(-1), [7, 7]);
    pair.target.steps.length = 0;
    const again = await pair.run();
    assert.deepEqual([again.created, again.updated, again.deleted, again.kept, again.bytes], [0, 0, 0, 7, 0]);
    assert.deepEqual(changesOf(pair.target), []);
  });

  test('without delete nothing goes, and what is in the way is skipped', async () => {
    const pair = filledPair();
    const report = await pair.run();
    assert.deepEqual(pair.result, {
      '/a': 'in the way',
      '/empty': 'directory',
      '/g': 'new',
      '/l': 'g',
      '/same': 's',
      '/x': 'directory',
      '/x/y': '1',
      '/z': '/etc',
    });
    assert.deepEqual(
      report.skipped.map(({ path, reason }) => [path, reason]),
      [['a', 'type']],
    );
  });

  test('a dry run changes nothing, and resolves with the very plan that is then carried out', async () => {
    const pair = filledPair({ delete: true });
    const before = pair.result;
    const dry = await pair.run({ dryRun: true });
    assert.deepEqual(changesOf(pair.target), []);
    assert.deepEqual(pair.result, before);
    const wet = await pair.run();
    assert.deepEqual({ ...dry, dryRun: false, duration: 0 }, { ...wet, duration: 0 });
  });

  test('what is extra is deleted when everything is copied, and not at all where something failed', async () => {
    const fail: FakeOptions['fail'] = ({ kind, path }) =>
      kind === 'openSource' && path === '/g' ? errorWithCode('EACCES') : undefined;
    const pair = filledPair({ delete: true, continueOnError: true, from: { fail } });
    const report = await pair.run();
    assert.deepEqual(
      report.failed.map(({ step, error }) => [step.path, (error as { code?: string }).code]),
      [['g', 'EACCES']],
    );
    assert.deepEqual(pair.result, { ...MIRRORED, '/g': 'old', '/x': 'directory', '/x/y': '1', '/z': '/etc' });
    assert.deepEqual(pair.progress.at(-1), [4, 4]);
    await assert.rejects(pair.run({ continueOnError: false }), { code: 'EACCES' });
  });

  test('a directory that cannot be listed ends it before anything is done', async () => {
    for (const pair of [
      filledPair({ delete: true, from: unlistable('/a/b') }),
      filledPair({ delete: true, to: unlistable('/x') }),
      filledPair({ continueOnError: true, from: unlistable('/') }),
      filledPair({ continueOnError: true, to: unlistable('/') }),
    ]) {
      await assert.rejects(pair.run(), { code: 'EACCES' });
      assert.deepEqual(changesOf(pair.target), []);
    }
  });

  test('a filter may be async, and deletes nothing that it leaves out', async () => {
    const pair = filledPair({ delete: true, filter: async ({ path }) => path !== 'g' && path !== 'x/y' });
    await pair.run();
    assert.deepEqual(pair.result, { ...MIRRORED, '/g': 'old', '/x': 'directory', '/x/y': '1' });
  });

  test('a filter that answers neither true nor false ends the mirror before anything is done', async () => {
    for (const answer of [undefined, 1, 0, '', null, Promise.resolve(undefined)]) {
      const pair = filledPair({ delete: true, filter: () => answer as never });
      await assert.rejects(unmarked(pair.run()), /^TypeError: The filter must return true or false/);
    }
  });

  test('the filter leaves both sides alone, and a directory stays that holds what was filtered', async () => {
    const pair = filledPair({ delete: true, filter: ({ path }) => path !== 'g' && path !== 'x/y' });
    pair.target.addFile('/x/z', '2');
    const report = await pair.run();
    assert.deepEqual(pair.result, { ...MIRRORED, '/g': 'old', '/x': 'directory', '/x/y': '1' });
    assert.equal(report.plan.find(({ path }) => path === 'x')?.reason, 'not-empty');
  });

  test('N9: special files and broken links are skipped and reported, whatever the target has there', async () => {
    const pair = new Pair({ delete: true, symlinks: 'follow' });
    pair.source.addSpecial('/p', 'fifo').addSpecial('/s', 'socket').addLink('/b', '/nowhere');
    pair.target.addFile('/p', 'kept');
    const { skipped } = await pair.run();
    assert.deepEqual(
      skipped.map(({ path, reason }) => [path, reason]),
      [
        ['b', 'broken-link'],
        ['p', 'special-file'],
        ['s', 'special-file'],
      ],
    );
    assert.deepEqual(pair.result, { '/p': 'kept' });
  });

  test('N8: links are followed, and those that lead back up are skipped', async () => {
    const pair = new Pair({ symlinks: 'follow' });
    pair.source
      .addDirectory('/a')
      .addFile('/a/f', 'x')
      .addLink('/a/up', '/')
      .addLink('/d', '/a')
      .addLink('/f', '/a/f');
    const { skipped } = await pair.run();
    assert.deepEqual(pair.result, {
      '/a': 'directory',
      '/a/f': 'x',
      '/d': 'directory',
      '/d/f': 'x',
      '/f': 'x',
    });
    assert.deepEqual(
      skipped.map(({ path, reason }) => [path, reason]),
      [
        ['a/up', 'loop'],
        ['d/up', 'loop'],
      ],
    );
  });

  test('N8: 65 levels are too many', async () => {
    const pair = new Pair();
    for (let path = '/d', level = 0; level < 66; level += 1, path += '/d') pair.source.addDirectory(path);
    await assert.rejects(pair.run(), { code: 'LIMIT' });
  });

  test('P22: a directory of more than a million entries is refused, on either side', async () => {
    for (const side of ['from', 'to'] as const) {
      const pair = new Pair({ [side]: { isEndless: true } });
      await assert.rejects(pair.run(), { code: 'LIMIT', message: /more than 1000000 entries/ });
    }
  });

  for (const name of ['..', '.', '', 'a/b', '/etc/x', '../x', 'a\0b']) {
    test(`N1: ${JSON.stringify(name)} is skipped on either side, and nothing is touched`, async () => {
      const info = { type: 'file', size: 3, mode: 0o644, atime: 1, mtime: 1 } as const;
      const entries = [{ name: Buffer.from(name), info }];
      for (const options of [{ from: { entries } }, { to: { entries } }]) {
        const pair = new Pair({ delete: true, ...options });
        const { plan } = await pair.run();
        assert.deepEqual(
          plan.map(({ action, reason }) => [action, reason]),
          [['skip', 'unsafe-name']],
        );
        assert.deepEqual(changesOf(pair.target), []);
      }
    });
  }

  test('X16: links that may lead out of the tree are not made, alone or through each other', async () => {
    const pair = new Pair();
    pair.source.addDirectory('/a').addLink('/a/up', '..').addLink('/d', '.').addLink('/in', 'a/file');
    pair.source.addLink('/absolute', '/etc/passwd').addLink('/a/out', '../..');
    pair.source.addLink('/m', 'd/d/../../../etc/passwd');
    const { skipped } = await pair.run();
    assert.deepEqual(
      skipped.map(({ path, reason }) => [path, reason]),
      [
        ['a/out', 'outside-link'],
        ['absolute', 'outside-link'],
        ['m', 'outside-link'],
      ],
    );
    assert.deepEqual(Object.keys(pair.result).sort(), ['/a', '/a/up', '/d', '/in']);
  });

  test('X16: a link that says something else when it is made is not made', async () => {
    const pair = new Pair({
      from: {
        gate: async ({ kind, path }) => {
          const asked = pair.source.stepsOf('readLink').length;
          if (kind === 'readLink' && path === '/link' && asked > 1) pair.source.addLink('/link', '/etc');
        },
      },
    });
    pair.source.addLink('/link', 'a');
    await assert.rejects(pair.run(), { code: 'OUTSIDE' });
    assert.deepEqual(pair.result, {});
  });

  test('N2: of a link and a directory of one name the second is refused', async () => {
    const info = { type: 'symlink', size: 3, mode: 0o777, atime: 1, mtime: 1 } as const;
    const pair = new Pair({ symlinks: 'skip', from: { entries: [{ name: Buffer.from('x'), info }] } });
    pair.source.addDirectory('/x').addFile('/x/f', 'content');
    const { plan } = await pair.run();
    assert.deepEqual(
      plan.map(({ path, reason }) => [path, reason]),
      [
        ['x', 'symlink'],
        ['x', 'unsafe-name'],
      ],
    );
    assert.deepEqual(pair.result, {});
  });

  test('N5: names that are not UTF-8 and decode alike stay apart', async () => {
    const pair = new Pair();
    pair.source.addFile('/\xff', 'one').addFile('/\xfe', 'two');
    await pair.run();
    assert.deepEqual([pair.target.content('/\xff'), pair.target.content('/\xfe')], ['one', 'two']);
    assert.equal((await pair.run()).kept, 2);
  });

  const PAIRS = [
    { compare: 'size-mtime', content: 'xyz', mtime: 2, updated: 1 },
    { compare: 'size-mtime', content: 'abc', mtime: 1.9, updated: 0 },
    { compare: 'size', content: 'xyz', mtime: 2, updated: 0 },
    { compare: 'size', content: 'abcd', mtime: 1, updated: 1 },
    { compare: 'checksum', content: 'abc', mtime: 2, updated: 0 },
    { compare: 'checksum', content: 'xyz', mtime: 1, updated: 1 },
    { compare: async () => true, content: 'other', mtime: 2, updated: 0 },
    { compare: () => false, content: 'abc', mtime: 1, updated: 1 },
  ] as const;
  for (const { compare, content, mtime, updated } of PAIRS) {
    test(`compare: ${compare}: abc and ${content}, times 1 and ${mtime}: ${updated}`, async () => {
      const pair = new Pair({ compare });
      pair.source.addFile('/f', 'abc', { mtime: 1 });
      pair.target.addFile('/f', content, { mtime });
      assert.equal((await pair.run()).updated, updated);
    });
  }

  test('a target that is not there is made, and not by a dry run', async () => {
    let made = 0;
    const makeTarget = async () => {
      made += 1;
    };
    const pair = new Pair({ hasTarget: false, makeTarget });
    pair.source.addFile('/f', 'x');
    await pair.run({ dryRun: true });
    assert.equal(made, 0);
    await pair.run();
    assert.equal(made, 1);
  });

  test('an abort ends it with the reason, and leaves nothing open', async () => {
    const controller = new AbortController();
    const gate: FakeOptions['gate'] = async ({ kind }) => {
      if (kind === 'read') controller.abort(new Error('enough'));
    };
    const pair = filledPair({
      delete: true,
      continueOnError: true,
      signal: controller.signal,
      from: { gate },
    });
    await assert.rejects(pair.run(), /enough/);
    assert.ok(pair.target.paths.every((path) => !path.includes('.tsftp-')));
  });
});
