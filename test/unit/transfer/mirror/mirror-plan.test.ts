import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { pathKey } from '../../../../src/shared/remote-path.js';
import { partsOf, type Work } from '../../../../src/transfer/mirror/mirror-parts.js';
import { decide, goesOnBelow, PlannedStep } from '../../../../src/transfer/mirror/mirror-plan.js';
import type { MirrorStep } from '../../../../src/transfer/mirror/mirror-step.js';
import {
  DirectoryEntries,
  type MirrorDirectory,
  type Note,
  note,
} from '../../../../src/transfer/mirror/mirror-tree.js';
import type { FileType } from '../../../../src/wire/attributes.js';
import type { PackedEntries } from '../../../../src/wire/packed-entries.js';

type Short = FileType | { readonly type: FileType; readonly link?: string; readonly leftOut?: Note };
type Entries = Readonly<Record<string, Short>>;

interface Notes {
  readonly differences?: Readonly<Record<string, Note>>;
  readonly held?: readonly string[];
}

interface Tree {
  readonly directories: ReadonlyMap<string, MirrorDirectory>;
  readonly held: readonly string[];
}

function treeOf(source: Entries, target: Entries, { differences = {}, held = [] }: Notes = {}): Tree {
  const entries = new DirectoryEntries();
  const from = addAll(entries.source, source, differences);
  const to = addAll(entries.target, target);
  const keys = [...new Set(['', ...from.keys(), ...to.keys()])];
  const merged = (key: string) =>
    entries.merged(pathKey(Buffer.from(key)), from.get(key) ?? [], to.get(key) ?? []);
  return { directories: new Map(keys.map((key) => [key, merged(key)])), held };
}

/** As the walk does with what it finds. */
function planMirror(
  tree: Tree,
  options: { readonly delete: boolean },
  key = '',
  isReplaced = false,
): PlannedStep[] {
  const directory = tree.directories.get(key);
  const steps: PlannedStep[] = [];
  for (let index = 0; index < (directory?.count ?? 0); index += 1) {
    if (directory === undefined) continue;
    const child = directory.keyAt(index);
    const decisions = decide(directory, index, { ...options, isReplaced, isHeld: tree.held.includes(child) });
    for (const decision of decisions) {
      steps.push(new PlannedStep(decision, { directory, index, permitted: undefined }));
    }
    const types = [directory.sourceType(index), directory.targetType(index)];
    if (!types.includes('directory') || !goesOnBelow(decisions)) continue;
    steps.push(...planMirror(tree, options, child, isReplaced || decisions.length > 1));
  }
  return steps;
}

/** Gives the positions by directories. */
function addAll(
  packed: PackedEntries,
  entries: Entries,
  notes: Notes['differences'] = {},
): Map<string, number[]> {
  const positions = new Map<string, number[]>();
  for (const [path, short] of Object.entries(entries)) {
    const { type, link = '', leftOut } = typeof short === 'string' ? withType(short) : short;
    const name = Buffer.from(path.slice(path.lastIndexOf('/') + 1));
    const attributes = { size: type === 'file' ? 3 : 0, mtime: 1 };
    const position = packed.add({ name, type, attributes, longname: Buffer.from(link) });
    const what = leftOut ?? notes[path];
    if (what !== undefined) note(packed, position, what);
    const directory = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    positions.set(directory, [...(positions.get(directory) ?? []), position]);
  }
  return positions;
}

function withType(type: FileType): Exclude<Short, FileType> {
  return { type };
}

function show({ action, path, type, reason, bytes }: MirrorStep): string {
  return `${action} ${type} ${path}: ${reason}${bytes > 0 ? ` ${bytes}` : ''}`;
}

interface Case {
  readonly title: string;
  readonly source: Entries;
  readonly target: Entries;
  readonly differences?: Readonly<Record<string, Note>>;
  readonly held?: readonly string[];
  readonly cautious: readonly string[];
  /** With `delete`, where that is something else. */
  readonly deleting?: readonly string[];
}

const CASES: readonly Case[] = [
  {
    title: 'what is missing is created, a directory before its content',
    source: { 'a/f': 'file', a: 'directory', 'a-': 'file' },
    target: {},
    cautious: ['create directory a: missing', 'create file a/f: missing 3', 'create file a-: missing 3'],
  },
  {
    title: 'what differs is updated, and the rest kept',
    source: { a: 'directory', f: 'file', g: 'file', h: 'file' },
    target: { a: 'directory', f: 'file', g: 'file', h: 'file' },
    differences: { g: 'size', h: 'mtime' },
    cautious: [
      'keep directory a: same',
      'keep file f: same',
      'update file g: size 3',
      'update file h: mtime 3',
    ],
  },
  {
    title: 'what is extra stays, unless it may be deleted',
    source: {},
    target: { a: 'directory', 'a/f': 'file', fifo: 'fifo' },
    cautious: ['keep directory a: extra', 'keep fifo fifo: extra'],
    deleting: ['delete directory a: extra', 'delete file a/f: extra', 'delete fifo fifo: extra'],
  },
  {
    title: 'a file where the target has a directory',
    source: { a: 'file' },
    target: { a: 'directory', 'a/f': 'file' },
    cautious: ['skip file a: type'],
    deleting: ['delete directory a: type', 'create file a: type 3', 'delete file a/f: type'],
  },
  {
    title: 'a directory where the target has a link: nothing is written through it',
    source: { a: 'directory', 'a/f': 'file' },
    target: { a: 'symlink' },
    cautious: ['skip directory a: type'],
    deleting: ['delete symlink a: type', 'create directory a: type', 'create file a/f: missing 3'],
  },
  {
    title: 'links are compared by what they say',
    source: { a: { type: 'symlink', link: 'x' }, b: { type: 'symlink', link: 'x' } },
    target: { a: { type: 'symlink', link: 'x' }, b: { type: 'symlink', link: 'y' } },
    cautious: ['keep symlink a: same', 'update symlink b: link'],
  },
  {
    title: 'what is left out of the source protects what the target has in its place',
    source: { a: { type: 'symlink', leftOut: 'broken-link' }, p: { type: 'fifo', leftOut: 'special-file' } },
    target: { a: 'directory', 'a/f': 'file', p: 'file' },
    cautious: ['skip symlink a: broken-link', 'skip fifo p: special-file'],
    deleting: ['skip symlink a: broken-link', 'skip fifo p: special-file'],
  },
  {
    title: 'a directory that holds what must stay is kept, and no file takes its place',
    source: { b: 'file' },
    target: { a: 'directory', 'a/f': 'file', b: 'directory', 'b/f': 'file' },
    held: ['a', 'b'],
    cautious: ['keep directory a: extra', 'skip file b: type'],
    deleting: ['keep directory a: not-empty', 'delete file a/f: extra', 'skip file b: type'],
  },
];

describe('planMirror', () => {
  for (const { title, source, target, differences = {}, held = [], cautious, deleting = cautious } of CASES) {
    test(title, () => {
      const plan = (mayDelete: boolean) =>
        planMirror(treeOf(source, target, { differences, held }), { delete: mayDelete }).map(show);
      assert.deepEqual(plan(false), cautious);
      assert.deepEqual(plan(true), deleting);
    });
  }

  test('carried out on any target, a plan with delete makes it the source; without, it removes nothing', () => {
    fc.assert(
      fc.property(anyTree, anyTree, fc.boolean(), (source, target, mayDelete) => {
        const from = entriesOf(source);
        const differences = differencesOf(source, target);
        const plan = planMirror(treeOf(from, entriesOf(target), { differences }), { delete: mayDelete });
        const result = carryOut(plan, source, target);
        if (mayDelete) assert.deepEqual(sorted(result), sorted(source));
        else assertNothingLost(source, target, result);
        const again = planMirror(treeOf(from, entriesOf(result)), { delete: mayDelete });
        assert.deepEqual(
          again.filter(({ action }) => action !== 'keep' && action !== 'skip'),
          [],
        );
      }),
      { numRuns: 300 },
    );
  });
});

describe('partsOf', () => {
  test('cuts a plan anywhere, and what is deleted comes after its content and before what takes its place', async () => {
    await fc.assert(
      fc.asyncProperty(anyTree, anyTree, fc.integer({ min: 1, max: 4 }), async (source, target, most) => {
        const differences = differencesOf(source, target);
        const plan = planMirror(treeOf(entriesOf(source), entriesOf(target), { differences }), {
          delete: true,
        });
        const result = new Map(target);
        for (const work of ['copy', 'delete'] as const) {
          for (const steps of await cut(plan, work, most)) carryOutPart(steps, source, result);
        }
        assert.deepEqual(sorted(result), sorted(source));
      }),
      { numRuns: 300 },
    );
  });
});

async function cut(plan: readonly MirrorStep[], work: Exclude<Work, 'all'>, most: number) {
  const steps = async function* () {
    yield* plan;
  };
  const parts: (readonly MirrorStep[])[] = [];
  for await (const part of partsOf(steps(), work, most)) parts.push(part.steps);
  return parts;
}

/** Each step alone, in the order of the part. */
function carryOutPart(steps: readonly MirrorStep[], source: Model, result: Model): void {
  for (const { action, path } of steps) {
    if (action === 'delete') {
      assert.ok(![...result.keys()].some((other) => other.startsWith(`${path}/`)), `${path} is not empty`);
      assert.ok(result.delete(path), path);
    } else {
      const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
      assert.ok(parent === '' || result.get(parent) === '/', `${path} has no directory`);
      assert.equal(result.has(path), action === 'update', path);
      result.set(path, source.get(path) ?? '');
    }
  }
}

/** Paths with `/` for a directory, `-> x` for a link, else the content of a file. */
type Model = Map<string, string>;

const anyTree: fc.Arbitrary<Model> = fc
  .dictionary(
    fc.stringMatching(/^[ab](\/[ab-]){0,3}$/),
    fc.constantFrom('/', '-> a', '-> b', '', 'x', 'xx'),
    { maxKeys: 10, noNullPrototype: true },
  )
  .map((entries) => {
    const tree: Model = new Map();
    for (const [path, content] of Object.entries(entries)) {
      const names = path.split('/');
      const parents = names.slice(1).map((_, index) => names.slice(0, index + 1).join('/'));
      if (parents.some((parent) => (tree.get(parent) ?? '/') !== '/')) continue;
      for (const parent of parents) tree.set(parent, '/');
      if (!tree.has(path)) tree.set(path, content);
    }
    return tree;
  });

function differencesOf(source: Model, target: Model): Record<string, Note> {
  const both = [...source].filter(([path, content]) => isFile(content) && isFile(target.get(path)));
  const different = both.filter(([path, content]) => target.get(path) !== content);
  return Object.fromEntries(different.map(([path]) => [path, 'size']));
}

function assertNothingLost(source: Model, before: Model, after: Model): void {
  for (const [path, content] of before) {
    assert.ok(after.has(path), path);
    if (kindOf(content) !== kindOf(source.get(path))) assert.equal(after.get(path), content);
  }
}

function kindOf(content: string | undefined): FileType | undefined {
  if (content === undefined) return undefined;
  return content === '/' ? 'directory' : content.startsWith('-> ') ? 'symlink' : 'file';
}

function isFile(content: string | undefined): boolean {
  return kindOf(content) === 'file';
}

function entriesOf(tree: Model): Entries {
  return Object.fromEntries(
    [...tree].map(([path, content]) => [path, { type: kindOf(content) ?? 'unknown', link: content }]),
  );
}

/** Deletes what makes room, creates, and deletes the rest; whatever could not be done for real is an error. */
function carryOut(plan: readonly MirrorStep[], source: Model, target: Model): Model {
  const result = new Map(target);
  const remove = (steps: readonly MirrorStep[]) => {
    for (const { path } of steps.toReversed()) {
      assert.ok(![...result.keys()].some((other) => other.startsWith(`${path}/`)), `${path} is not empty`);
      assert.ok(result.delete(path), path);
    }
  };
  const deletions = plan.filter(({ action }) => action === 'delete');
  remove(deletions.filter(({ reason }) => reason === 'type'));
  for (const { action, path } of plan) {
    if (action !== 'create' && action !== 'update') continue;
    const parent = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    assert.ok(parent === '' || result.get(parent) === '/', `${path} has no directory`);
    assert.equal(result.has(path), action === 'update', path);
    result.set(path, source.get(path) ?? '');
  }
  remove(deletions.filter(({ reason }) => reason !== 'type'));
  return result;
}

function sorted(tree: Model): [string, string][] {
  return [...tree].sort();
}
