import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NameSet } from '../../../src/shared/name-set.js';

test('a set of names knows what a set of strings knows', () => {
  const name = fc.uint8Array({ maxLength: 6, max: 2 });
  fc.assert(
    fc.property(fc.array(name, { maxLength: 400, size: 'max' }), (names) => {
      const [packed, strings] = [new NameSet(), new Set<string>()];
      for (const each of names.map((bytes) => Buffer.from(bytes))) {
        const text = each.toString('latin1');
        assert.equal(packed.add(each), !strings.has(text));
        strings.add(text);
      }
    }),
  );
});

test('a set holds a hundred thousand names, and names that are longer than a block of its memory', () => {
  const names = new NameSet();
  const given = Array.from({ length: 100_000 }, (_, index) => Buffer.from(`${index}`));
  given.push(Buffer.alloc(300_000, 'x'), Buffer.alloc(300_000, 'y'), Buffer.from('behind'));
  assert.ok(given.every((name) => names.add(name)));
  assert.ok(given.every((name) => !names.add(Buffer.from(name))));
});
