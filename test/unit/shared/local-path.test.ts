import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLocalPath } from '../../../src/shared/local-path.js';

test('A1: what is no path on this machine is refused by name', () => {
  const wrong = [
    [7, 'localpath must be a string, not number'],
    [null, 'localpath must be a string, not null'],
    ['', "localpath is empty: use '.' for the current directory"],
    ['a\0b', "localpath 'a\\x00b' contains a NUL character"],
    ['a\ud800', "localpath 'a\\ud800' has a lone surrogate"],
  ] as const;
  for (const [value, message] of wrong) assert.throws(() => checkLocalPath(value), new TypeError(message));
  assert.throws(() => checkLocalPath('', 'target'), { message: /^target is empty/ });
  assert.equal(checkLocalPath('a b'), 'a b');
});
