import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { unmarked } from '../../../../src/transfer/caller-error.js';
import { Window } from '../../../../src/transfer/engine/window.js';
import { type MirrorReport, mirrorTree } from '../../../../src/transfer/mirror/mirror.js';
import type { Approval } from '../../../../src/transfer/mirror/mirror-approval.js';
import { FakeFileSystem } from '../../../support/fake-file-system.js';

/** `new` is missing, `old` is extra, `same` is the same, and `kind` is a file here and a directory there. */
class Pair {
  readonly source = new FakeFileSystem();
  readonly target = new FakeFileSystem();

  constructor() {
    for (const side of [this.source, this.target]) side.addFile('/same', 'same', { mtime: 1 });
    this.source.addFile('/new', 'new', { mtime: 1 });
    this.source.addFile('/kind', 'file', { mtime: 1 });
    this.target.addFile('/old', 'old', { mtime: 1 });
    this.target.addDirectory('/kind');
    this.target.addFile('/kind/below', 'below', { mtime: 1 });
  }

  mirror(approval: Approval = {}, { dryRun = false, signal }: RunOptions = {}): Promise<MirrorReport> {
    const place = (fileSystem: FakeFileSystem) => ({ fileSystem, path: Buffer.from('/') });
    return unmarked(
      mirrorTree(place(this.source), place(this.target), {
        delete: true,
        dryRun,
        signal,
        compare: 'size-mtime',
        symlinks: 'copy',
        atomic: true,
        preserveMtime: true,
        continueOnError: false,
        hasTarget: true,
        makeTarget: async () => {},
        approval,
        line: { window: new Window({ max: 16 }) },
      }),
    );
  }

  get names(): string[] {
    return [...this.target.nodes.keys()].filter((path) => path !== '/').sort();
  }
}

interface RunOptions {
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

const UNTOUCHED = ['/kind', '/kind/below', '/old', '/same'];
const MIRRORED = ['/kind', '/new', '/same'];

describe('the consent to the plan of a mirror', () => {
  test('it is asked once, with the plan, and yes carries it out', async () => {
    const pair = new Pair();
    const asked: string[][] = [];
    const report = await pair.mirror({
      ask: async (plan) => {
        assert.deepEqual(pair.names, UNTOUCHED);
        asked.push(plan.map(({ action, path }) => `${action} ${path}`));
        return true;
      },
    });
    assert.deepEqual(asked, [
      ['delete kind', 'create kind', 'delete kind/below', 'create new', 'delete old', 'keep same'],
    ]);
    assert.equal(report.dryRun, false);
    assert.deepEqual(pair.names, MIRRORED);
  });

  test('no changes nothing, and the report is that of a dry run', async () => {
    const pair = new Pair();
    const dry = await pair.mirror({}, { dryRun: true });
    const declined = await pair.mirror({ ask: () => false });
    assert.deepEqual({ ...declined, duration: 0 }, { ...dry, duration: 0 });
    assert.deepEqual(pair.names, UNTOUCHED);
  });

  test('any other answer is a TypeError, and what it throws comes out, with nothing changed', async () => {
    const pair = new Pair();
    const forgotten = (() => {}) as unknown as () => boolean;
    await assert.rejects(pair.mirror({ ask: forgotten }), {
      name: 'TypeError',
      message: 'confirm must return true or false, or a promise of one of them, not undefined',
    });
    const reason = new RangeError('mine');
    await assert.rejects(pair.mirror({ ask: () => Promise.reject(reason) }), (error) => error === reason);
    assert.deepEqual(pair.names, UNTOUCHED);
  });

  test('an abort ends the waiting for an answer', async () => {
    const pair = new Pair();
    const abort = new AbortController();
    const reason = new Error('enough');
    const mirroring = pair.mirror(
      {
        ask: () => {
          abort.abort(reason);
          return new Promise(() => {});
        },
      },
      { signal: abort.signal },
    );
    await assert.rejects(mirroring, (error) => error === reason);
    assert.deepEqual(pair.names, UNTOUCHED);
  });

  test('it is not asked for a dry run, nor where there is nothing to do', async () => {
    const pair = new Pair();
    const ask = () => assert.fail('asked');
    await pair.mirror({ ask }, { dryRun: true });
    await pair.mirror();
    await pair.mirror({ ask });
  });
});

describe('the limit of deletions', () => {
  test('one more than allowed is refused before anything is done', async () => {
    const pair = new Pair();
    await assert.rejects(pair.mirror({ maxDelete: 2, ask: () => assert.fail('asked') }), {
      name: 'SftpError',
      code: 'TOO_MANY_DELETIONS',
      message:
        'The mirror would delete 3 entries, and maxDelete allows 2: nothing was changed (the first is ' +
        "'kind'; dryRun shows all of them)",
    });
    assert.deepEqual(pair.names, UNTOUCHED);
    assert.equal((await pair.mirror({ maxDelete: 2 }, { dryRun: true })).deleted, 3);
  });

  test('as many as allowed are deleted', async () => {
    const pair = new Pair();
    assert.equal((await pair.mirror({ maxDelete: 3 })).deleted, 3);
    assert.deepEqual(pair.names, MIRRORED);
  });
});

describe('a plan that is given', () => {
  test('it is carried out as it is, also after JSON, and in parts', async () => {
    const pair = new Pair();
    const { plan } = await pair.mirror({}, { dryRun: true });
    const report = await pair.mirror({
      given: plan.filter(({ action, path }) => action === 'create' && path === 'new'),
    });
    assert.deepEqual([report.created, report.deleted], [1, 0]);
    assert.deepEqual(pair.names, [...UNTOUCHED, '/new'].sort());
    await pair.mirror({ given: JSON.parse(JSON.stringify(plan)) });
    assert.deepEqual(pair.names, MIRRORED);
    const again = await pair.mirror({ given: plan });
    assert.deepEqual([again.created, again.updated, again.deleted], [0, 0, 0]);
  });

  test('what is not in it is not done', async () => {
    const pair = new Pair();
    const { plan } = await pair.mirror({}, { dryRun: true });
    pair.source.addFile('/later', 'later', { mtime: 1 });
    pair.target.addFile('/extra later', 'x', { mtime: 1 });
    await pair.mirror({ given: plan });
    assert.deepEqual(pair.names, ['/extra later', ...MIRRORED]);
  });

  const changes: readonly (readonly [string, (pair: Pair) => void])[] = [
    [
      'what it creates is there, and is another',
      ({ target }) => target.addFile('/new', 'other', { mtime: 9 }),
    ],
    ['what it deletes is in the source by now', ({ source }) => source.addFile('/old', 'old', { mtime: 1 })],
    ['what it copies is gone', ({ source }) => source.nodes.delete('/new')],
  ];
  for (const [what, change] of changes) {
    test(`it is refused where ${what}, with nothing changed`, async () => {
      const pair = new Pair();
      const { plan } = await pair.mirror({}, { dryRun: true });
      change(pair);
      const before = pair.names;
      await assert.rejects(pair.mirror({ given: plan }), { code: 'PLAN_OUTDATED' });
      assert.deepEqual(pair.names, before);
    });
  }
});
