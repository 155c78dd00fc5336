import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseOpenMode } from '../../../../src/connection/files/open-mode.js';
import { OPEN_FLAGS } from '../../../../src/session/sftp-client.js';

const { READ, WRITE, CREAT, TRUNC, EXCL } = OPEN_FLAGS;

const modes: Readonly<Record<string, number>> = {
  r: READ,
  rb: READ,
  br: READ,
  'r+': READ | WRITE,
  'rb+': READ | WRITE,
  'r+b': READ | WRITE,
  w: WRITE | CREAT | TRUNC,
  wb: WRITE | CREAT | TRUNC,
  'w+': READ | WRITE | CREAT | TRUNC,
  'w+b': READ | WRITE | CREAT | TRUNC,
  a: WRITE | CREAT | TRUNC | EXCL,
  ab: WRITE | CREAT | TRUNC | EXCL,
  'a+': READ | WRITE | CREAT | TRUNC | EXCL,
  'ab+': READ | WRITE | CREAT | TRUNC | EXCL,
  x: WRITE | CREAT | TRUNC | EXCL,
  xb: WRITE | CREAT | TRUNC | EXCL,
  'x+': READ | WRITE | CREAT | TRUNC | EXCL,
  'x+b': READ | WRITE | CREAT | TRUNC | EXCL,
  wx: WRITE | CREAT | TRUNC | EXCL,
  xw: WRITE | CREAT | TRUNC | EXCL,
  'wx+': READ | WRITE | CREAT | TRUNC | EXCL,
  'w+x': READ | WRITE | CREAT | TRUNC | EXCL,
  ax: WRITE | CREAT | TRUNC | EXCL,
  xa: WRITE | CREAT | TRUNC | EXCL,
  'ax+': READ | WRITE | CREAT | TRUNC | EXCL,
};

describe('The modes of open', () => {
  for (const [mode, flags] of Object.entries(modes)) {
    test(`${mode} has its flags`, () => {
      const parsed = parseOpenMode(mode);
      assert.equal(parsed.flags, flags);
      assert.equal(parsed.reads, (flags & READ) !== 0);
      assert.equal(parsed.writes, (flags & WRITE) !== 0);
      assert.equal(parsed.appends, mode.includes('a'));
      assert.equal(parsed.text, mode);
    });
  }

  test('anything else is refused, with the modes that there are', () => {
    const known = 'r, r+, w, w+, a, a+, x, x+, wx, wx+, ax, ax+';
    for (const mode of ['', 'b', 'bb', 'rbb', 'rt', 'U', 'rw', 'rx', 'wa', 'r++', 'R', 'as', '+', ' r']) {
      const message = `mode '${mode}' is unknown: files are binary, and the modes are ${known}`;
      assert.throws(() => parseOpenMode(mode), new RangeError(message));
    }
    assert.throws(() => parseOpenMode('\x1b[2J'), /mode '\\x1b\[2J' is unknown/);
    for (const mode of [7, null, {}, undefined]) {
      assert.throws(() => parseOpenMode(mode as never), {
        name: 'TypeError',
        message: /^mode must be a string/,
      });
    }
  });
});
