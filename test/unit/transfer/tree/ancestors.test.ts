import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ancestors, checkDepth, checkEntryCount } from '../../../../src/transfer/tree/ancestors.js';

test('a link to a directory above it is a loop, also below a root that ends with a slash', () => {
  const inside = new Ancestors('/').below('a').below('b');
  assert.equal(inside.includes('/a'), true);
  assert.throws(() => inside.through('/a/b/up', '/a'), {
    code: 'ELOOP',
    message: "'/a/b/up' is a symbolic link to one of its parent directories (a loop)",
  });
});

test('a link to another directory is entered, and a way back from there is a loop', () => {
  const through = new Ancestors('/tree').below('a').through('/tree/a/l', '/elsewhere/d');
  assert.deepEqual(
    ['/elsewhere/d', '/tree/a', '/tree', '/tree/a/l', '/elsewhere'].map((path) => through.includes(path)),
    [true, true, true, false, false],
  );
  assert.equal(through.below('e').includes('/elsewhere/d/e'), true);
});

test('the way down and the entries of a directory are limited', () => {
  checkDepth(64, 'd');
  checkEntryCount(1_000_000, 'd');
  assert.throws(() => checkDepth(65, 'd', ': it is not copied'), {
    code: 'LIMIT',
    message: "'d' has more than 64 levels of directories: it is not copied",
  });
  assert.throws(() => checkEntryCount(1_000_001, 'd'), {
    code: 'LIMIT',
    message: "'d' has more than 1000000 entries",
  });
});
