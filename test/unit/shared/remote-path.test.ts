import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  absolutePathOf,
  baseName,
  childPath,
  decodePath,
  directoryName,
  encodePath,
  isAbsolute,
  joinPath,
  namesOf,
  pathKey,
  pathOfKey,
  quote,
  type RemotePath,
  relativePathOf,
} from '../../../src/shared/remote-path.js';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');
const bytes = (value: string) => Buffer.from(value, 'latin1');

describe('encodePath', () => {
  test('gives the UTF-8 of a string', () => {
    assert.deepEqual(encodePath('ä/😀'), Buffer.from([0xc3, 0xa4, 0x2f, 0xf0, 0x9f, 0x98, 0x80]));
  });

  test('copies bytes, so that the caller may change them', () => {
    const name = Uint8Array.of(0xff, 0x2f);
    const encoded = encodePath(name);
    name[0] = 0;
    assert.deepEqual(encoded, Buffer.from([0xff, 0x2f]));
  });

  test('loses nothing of any bytes without a NUL', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (name) => {
        fc.pre(!name.includes(0));
        assert.deepEqual(Buffer.from(encodePath(name)), Buffer.from(name));
      }),
    );
  });

  test('loses nothing of any well-formed string without a NUL', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
        fc.pre(!name.includes('\0'));
        assert.equal(decodePath(encodePath(name)), name);
      }),
    );
  });

  test('counts bytes, not characters: 65,536 are allowed', () => {
    assert.equal(encodePath('x'.repeat(65_536)).length, 65_536);
    assert.equal(encodePath('ä'.repeat(32_768)).length, 65_536);
    const tooLong = { name: 'RangeError', message: 'path has 65537 bytes: at most 65536 are allowed' };
    assert.throws(() => encodePath('x'.repeat(65_537)), tooLong);
    assert.throws(() => encodePath(new Uint8Array(65_537)), tooLong);
    assert.throws(() => encodePath(`${'ä'.repeat(32_768)}x`), tooLong);
  });

  const refused: readonly (readonly [value: unknown, message: string])[] = [
    ['', "path is empty: use '.' for the current directory"],
    [new Uint8Array(), "path is empty: use '.' for the current directory"],
    ['a\0b', "path 'a\\x00b' contains a NUL character"],
    [Uint8Array.of(97, 0), "path 'a\\x00' contains a NUL character"],
    ['a\ud800', "path 'a\\ud800' has a lone surrogate, which UTF-8 cannot carry; pass bytes"],
    ['\udc00a', "path '\\udc00a' has a lone surrogate, which UTF-8 cannot carry; pass bytes"],
    [null, 'path must be a string or a Uint8Array, not null'],
    [undefined, 'path must be a string or a Uint8Array, not undefined'],
    [7, 'path must be a string or a Uint8Array, not number'],
    [Symbol('x'), 'path must be a string or a Uint8Array, not symbol'],
    [['a'], 'path must be a string or a Uint8Array, not Array'],
    [new URL('file:///a'), 'path must be a string or a Uint8Array, not URL'],
    [Object.create(null), 'path must be a string or a Uint8Array, not object'],
  ];
  for (const [value, message] of refused) {
    test(`refuses what is no path: ${message}`, () => {
      assert.throws(() => encodePath(value as RemotePath), { name: 'TypeError', message });
    });
  }

  test('names the argument', () => {
    assert.throws(() => encodePath('', 'newPath'), { message: /^newPath is empty/ });
  });
});

describe('quote', () => {
  test('shows text and bytes with nothing that a terminal would act on', () => {
    assert.equal(quote('a\x1b[2J'), "'a\\x1b[2J'");
    assert.equal(quote(Uint8Array.of(0x61, 0xff)), "'a\ufffd'");
  });
});

describe('joinPath', () => {
  const rows: readonly (readonly [directory: string, name: string, joined: string])[] = [
    ['/a', 'b', '/a/b'],
    ['/a/', 'b', '/a/b'],
    ['/', 'b', '/b'],
    ['.', 'b', 'b'],
    ['', 'b', 'b'],
    ['..', 'b', '../b'],
    ['/a', '/b', '/b'],
    ['/a', '/C:/b', '/C:/b'],
    ['/a', 'C:/b', '/a/C:/b'],
    ['/a', 'C:\\b', '/a/C:\\b'],
    ['.', 'C:\\b', 'C:\\b'],
    ['C:/Users', 'D:\\b', 'D:\\b'],
    ['/C:/Users', 'D:/b', 'D:/b'],
    ['C:\\Users', 'b', 'C:\\Users/b'],
    ['/a', '~', '/a/~'],
    ['/a', '-', '/a/-'],
    ['/a', 'C:b', '/a/C:b'],
    ['\xff', '\xfe', '\xff/\xfe'],
  ];
  for (const [directory, name, joined] of rows) {
    test(`'${directory}' and '${name}' are '${joined}'`, () => {
      assert.equal(text(joinPath(bytes(directory), bytes(name))), joined);
    });
  }
});

describe('childPath', () => {
  const rows: readonly (readonly [directory: string, name: string, path: string])[] = [
    ['/a', 'b', '/a/b'],
    ['/', 'b', '/b'],
    ['.', 'b', 'b'],
    ['/a', '/b', '/a//b'],
    ['.', '/b', './/b'],
    ['C:/Users', 'C:\\b', 'C:/Users/C:\\b'],
    ['.', 'C:\\b', 'C:\\b'],
  ];
  for (const [directory, name, path] of rows) {
    test(`'${name}' in '${directory}' is '${path}'`, () => {
      assert.equal(text(childPath(bytes(directory), bytes(name))), path);
    });
  }
});

describe('isAbsolute', () => {
  test('takes a slash', () => {
    for (const path of ['/', '/a', '//a', '/C:/a']) assert.ok(isAbsolute(bytes(path)), path);
    for (const path of ['', 'a', './a', 'C:', 'C:a', 'c:/', 'C:\\', '1:/', '\\a', 'CC:/'])
      assert.ok(!isAbsolute(bytes(path)), path);
  });

  test('takes a drive letter followed by a separator only beside a directory on a drive', () => {
    for (const path of ['c:/', 'C:\\', 'D:/a']) {
      for (const directory of ['C:/Users', 'C:\\', '/C:/Users']) {
        assert.ok(isAbsolute(bytes(path), bytes(directory)), path);
      }
      assert.ok(!isAbsolute(bytes(path), bytes('/home/me')), path);
    }
    for (const path of ['', 'a', 'C:', 'C:a', '1:/', '\\a', 'CC:/'])
      assert.ok(!isAbsolute(bytes(path), bytes('C:/')), path);
  });
});

describe('baseName and directoryName', () => {
  const rows: readonly (readonly [path: string, directory: string, name: string])[] = [
    ['/a/b', '/a', 'b'],
    ['/a/b///', '/a', 'b'],
    ['/a//b', '/a', 'b'],
    ['/a', '/', 'a'],
    ['//a', '/', 'a'],
    ['/', '/', '/'],
    ['///', '/', '/'],
    ['a', '.', 'a'],
    ['a/', '.', 'a'],
    ['a/b', 'a', 'b'],
    ['\xff/\xfe', '\xff', '\xfe'],
  ];
  for (const [path, directory, name] of rows) {
    test(`'${path}' is '${name}' in '${directory}'`, () => {
      assert.equal(text(baseName(bytes(path))), name);
      assert.equal(text(directoryName(bytes(path))), directory);
    });
  }

  test('give what joins to the same path', () => {
    const part = fc.stringMatching(/^[a-z.]{1,4}$/);
    fc.assert(
      fc.property(fc.array(part, { minLength: 2, maxLength: 5 }), (parts) => {
        const path = bytes(`/${parts.join('/')}`);
        assert.deepEqual(joinPath(directoryName(path), baseName(path)), path);
      }),
    );
  });
});

describe('The key of a path', () => {
  test('is another one for every other path, and gives the path back', () => {
    const path = fc.uint8Array({ maxLength: 8 });
    fc.assert(
      fc.property(path, path, (one, other) => {
        assert.deepEqual(pathOfKey(pathKey(one)), Buffer.from(one));
        assert.equal(pathKey(one) === pathKey(other), Buffer.compare(one, other) === 0);
      }),
    );
  });

  test('is made of each of its names, without `.` and nothing between two slashes', () => {
    const names = namesOf(bytes('//a/./\xff/../b/'));
    assert.deepEqual(names, ['a', '\xff', '..', 'b']);
    assert.equal(text(relativePathOf(names)), 'a/\xff/../b');
    assert.equal(text(absolutePathOf(names)), '/a/\xff/../b');
    assert.deepEqual([namesOf(bytes('/')), text(absolutePathOf([]))], [[], '/']);
  });
});
