import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { matches, parseGlob, parseWildcards } from '../../../src/shared/pattern.js';

describe('patterns', () => {
  test('X18: many stars and a long name take no time to speak of', () => {
    const name = 'a'.repeat(255);
    const startMs = performance.now();
    for (const stars of [4, 40, 127]) {
      const pattern = `${'*a'.repeat(stars)}*b`;
      assert.equal(matches(parseGlob(pattern), name), false);
      assert.equal(matches(parseGlob(pattern), `${name}b`), true);
      assert.equal(matches(parseWildcards(pattern), name), false);
      assert.equal(matches(parseGlob('*[a]'.repeat(stars).concat('[!a]')), name), false);
    }
    assert.ok(performance.now() - startMs < 2_000);
  });

  test('names of files are matched as by the shell', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '*',
      '?',
      '[ab]',
      '[!a]',
      '[a-c]',
      '[]a]',
      '[[:digit:]]',
      '[z-a]',
      '\\*',
      '1',
      '[',
      ']',
    );
    const cases = fc.tuple(
      fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join('')),
      fc
        .array(fc.constantFrom('a', 'b', 'c', '*', '1', '[', ']'), { maxLength: 5 })
        .map((all) => all.join('')),
    );
    const samples = fc.sample(cases, 400);
    const script = samples.map(
      ([pattern, name]) => `case '${name}' in ${quoted(pattern)}) echo 1;; *) echo 0;; esac`,
    );
    const expected = execFileSync('sh', ['-c', script.join('\n')])
      .toString()
      .trim()
      .split('\n');
    for (const [index, [pattern, name]] of samples.entries()) {
      assert.equal(matches(parseGlob(pattern), name), expected[index] === '1', `${name} in ${pattern}`);
    }
  });
});

/** As a word of the shell; nothing in it is special but what makes it a pattern. */
function quoted(pattern: string): string {
  return pattern === '' ? "''" : pattern;
}
