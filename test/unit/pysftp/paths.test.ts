import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { pathAdvance, pathRetreat, reparent } from '../../../src/index.js';

describe('pathAdvance and pathRetreat', () => {
  const examples: readonly (readonly [string, readonly string[]])[] = [
    ['./pub/example/example01', ['.', './pub', './pub/example', './pub/example/example01']],
    ['/a/b', ['/a', '/a/b']],
    ['/', ['/']],
    ['//', ['/']],
    ['a//b', ['a', 'a/b']],
    ['a/b/', ['a', 'a/b']],
    ['', []],
  ];
  for (const [path, steps] of examples) {
    test(`'${path}' gives ${JSON.stringify(steps)}, and the same backwards`, () => {
      assert.deepEqual([...pathAdvance(path)], steps);
      assert.deepEqual([...pathRetreat(path)], steps.toReversed());
    });
  }

  test('another separator may be named', () => {
    assert.deepEqual([...pathAdvance('a\\b', '\\')], ['a', 'a\\b']);
  });

  test('every step is the beginning of the next', () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[^/]+$/), { minLength: 1 }), (names) => {
        const steps = [...pathAdvance(names.join('/'))];
        assert.equal(steps.length, names.length);
        assert.equal(steps.at(-1), names.join('/'));
        steps.slice(1).forEach((step, index) => {
          assert.ok(step.startsWith(`${steps[index]}/`));
        });
      }),
    );
  });

  test('what is no string is refused at the call', () => {
    assert.throws(
      () => pathAdvance(7 as unknown as string),
      new TypeError('path must be a string, not number'),
    );
    assert.throws(() => pathRetreat('a', ''), new TypeError('separator must be one character'));
  });
});

describe('reparent', () => {
  const examples = [
    ['backup', '/home/test/pub', 'backup/./home/test/pub'],
    ['backup', 'pub', 'backup/pub'],
    ['backup/', '/pub', 'backup/./pub'],
    ['/', '/pub', '/./pub'],
    ['backup', 'C:\\Users\\me', 'backup/./Users/me'],
    ['backup', 'C:/Users/me', 'backup/./Users/me'],
    ['backup', '\\home\\me', 'backup/./home/me'],
    ['backup', '\\\\server\\share\\x', 'backup/./server/share/x'],
    ['backup', 'docs\\a.txt', 'backup/docs/a.txt'],
    ['backup', 'a/b\\c', 'backup/a/b\\c'],
    ['backup', 'a/../b', 'backup/a/../b'],
    ['backup', '.', 'backup/.'],
  ] as const;
  for (const [parent, old, expected] of examples) {
    test(`of '${old}' below '${parent}' is '${expected}'`, () => {
      assert.equal(reparent(parent, old), expected);
    });
  }

  for (const old of ['..', '../x', '/../x', 'a/../../x', '\\..\\x', 'C:\\..\\x']) {
    test(`refuses '${old}', which climbs out`, () => {
      assert.throws(() => reparent('backup', old), RangeError);
    });
  }

  test('refuses what is empty or no string', () => {
    assert.throws(() => reparent('', 'a'), new TypeError('newParent is empty'));
    assert.throws(() => reparent('a', ''), new TypeError('oldPath is empty'));
    assert.throws(
      () => reparent('a', null as unknown as string),
      new TypeError('oldPath must be a string, not object'),
    );
  });
});
