import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { FileAttributes, type FileType, typeBits } from '../../../src/wire/attributes.js';

/** Type bits as in POSIX's <sys/stat.h> on every system that speaks SFTP. */
const POSIX_TYPES: readonly (readonly [type: FileType, bits: number, letter: string])[] = [
  ['fifo', 0x1000, 'p'],
  ['character-device', 0x2000, 'c'],
  ['directory', 0x4000, 'd'],
  ['block-device', 0x6000, 'b'],
  ['file', 0x8000, '-'],
  ['symlink', 0xa000, 'l'],
  ['socket', 0xc000, 's'],
];

function named(filename: string | Uint8Array, longname = ''): FileAttributes {
  return new FileAttributes({}, { filename: Buffer.from(filename), longname: Buffer.from(longname) });
}

describe('the type of a file', () => {
  for (const [type, bits, letter] of POSIX_TYPES) {
    test(`${type} has the mode bits 0o${bits.toString(8)} and the letter ${letter}`, () => {
      assert.equal(typeBits(type), bits);
      assert.equal(new FileAttributes({ mode: bits | 0o644 }).type, type);
      assert.equal(named('x', `${letter}rw-r--r--    1 0 0 0 Jan 1 00:00 x`).type, type);
      assert.equal(String(new FileAttributes({ mode: bits | 0o644 })).slice(0, 10), `${letter}rw-r--r--`);
    });
  }

  test('is unknown without a mode and a longname, or with ones that do not tell', () => {
    assert.equal(typeBits('unknown'), 0);
    assert.equal(new FileAttributes({}).type, 'unknown');
    assert.equal(new FileAttributes({ mode: 0o644 }).type, 'unknown');
    assert.equal(new FileAttributes({ mode: 0x3000 | 0o644 }).type, 'unknown');
    assert.equal(named('x', 'd not a mode').type, 'unknown');
    assert.equal(named('x', 'Drwxr-xr-x 1').type, 'unknown');
    assert.equal(named('x', '03-11-2026 12:00 <DIR> x').type, 'unknown');
  });

  test('is that of the mode where mode and longname differ', () => {
    const attributes = new FileAttributes({ mode: 0x4000 }, { longname: Buffer.from('-rw-r--r-- 1 x') });
    assert.equal(attributes.type, 'directory');
  });

  test('comes from the longname where the mode has permissions only', () => {
    const attributes = new FileAttributes({ mode: 0o755 }, { longname: Buffer.from('drwxr-xr-x 1 x') });
    assert.equal(attributes.type, 'directory');
    assert.equal(String(attributes).slice(0, 10), 'drwxr-xr-x');
  });

  test('answers exactly one of the three questions', () => {
    const answers = (mode: number) => {
      const attributes = new FileAttributes({ mode });
      return [attributes.isDirectory(), attributes.isFile(), attributes.isSymbolicLink()];
    };
    assert.deepEqual(answers(0x4000), [true, false, false]);
    assert.deepEqual(answers(0x8000), [false, true, false]);
    assert.deepEqual(answers(0xa000), [false, false, true]);
    assert.deepEqual(answers(0), [false, false, false]);
  });
});

describe('the name of a file', () => {
  test('is the text and its UTF-8 bytes', () => {
    const attributes = named('größe 📁.txt');
    assert.equal(attributes.filename, 'größe 📁.txt');
    assert.deepEqual(Buffer.from(attributes.filenameBytes), Buffer.from('größe 📁.txt'));
  });

  test('is empty where there is none, as for stat', () => {
    const attributes = new FileAttributes({ size: 1 });
    assert.equal(attributes.filename, '');
    assert.equal(attributes.longname, '');
    assert.equal(attributes.filenameBytes.length, 0);
  });

  test('N5: two names that are not UTF-8 and decode alike keep their own bytes', () => {
    const [first, second] = [named(Uint8Array.of(0x61, 0xff)), named(Uint8Array.of(0x61, 0xfe))];
    assert.equal(first.filename, 'a\ufffd');
    assert.equal(second.filename, first.filename);
    assert.deepEqual([...first.filenameBytes], [0x61, 0xff]);
    assert.deepEqual([...second.filenameBytes], [0x61, 0xfe]);
  });

  test('may hold U+FFFD itself, a byte order mark and an encoded surrogate', () => {
    assert.deepEqual([...named('\ufffd').filenameBytes], [0xef, 0xbf, 0xbd]);
    assert.deepEqual([...named('\ufeffx').filenameBytes], [0xef, 0xbb, 0xbf, 0x78]);
    assert.deepEqual([...named(Uint8Array.of(0xed, 0xa0, 0x80)).filenameBytes], [0xed, 0xa0, 0x80]);
  });

  test('does not change with the packet that it came from', () => {
    const packet = Buffer.from([0x61, 0xff]);
    const attributes = new FileAttributes({}, { filename: packet, longname: packet });
    packet.fill(0x62);
    assert.deepEqual([...attributes.filenameBytes], [0x61, 0xff]);
    assert.equal(attributes.longname, 'a\ufffd');
  });

  test('is read from its own part of a larger buffer', () => {
    const packet = Buffer.from('..name..');
    const part = new Uint8Array(packet.buffer, packet.byteOffset + 2, 4);
    assert.equal(new FileAttributes({}, { filename: part }).filename, 'name');
  });
});

describe('toString', () => {
  /** 26 May of a year long gone, at local time, as `ls` shows it. */
  const mtime = new Date(2011, 4, 26, 23, 32).getTime() / 1000;

  test('reads like a line of ls -l', () => {
    const attributes = new FileAttributes(
      { mode: 0o100444, uid: 501, gid: 502, size: 8192, atime: mtime, mtime },
      { filename: Buffer.from('readme.txt') },
    );
    assert.equal(String(attributes), '-r--r--r--   1 501      502          8192 26 May  2011 readme.txt');
  });

  test('shows the time of day for what changed within half a year', () => {
    const recent = new Date();
    recent.setHours(3, 4, 5, 0);
    recent.setDate(recent.getDate() - 40);
    const line = String(new FileAttributes({ mtime: recent.getTime() / 1000 }));
    assert.match(line, /[ \d]\d [A-Z][a-z]{2} 03:04$/);
    assert.ok(line.includes(`${String(recent.getDate()).padStart(2)} `));
  });

  test('shows the year of a time beyond 2038', () => {
    const far = new Date(2106, 0, 1).getTime() / 1000;
    assert.match(String(new FileAttributes({ mtime: far })), / 1 Jan {2}2106$/);
  });

  test('says what is unknown', () => {
    assert.equal(String(new FileAttributes({})), '??????????   1 0        0               0 (unknown time)');
  });

  const SPECIAL: readonly (readonly [mode: number, letters: string])[] = [
    [0o104755, '-rwsr-xr-x'],
    [0o104644, '-rwSr--r--'],
    [0o102755, '-rwxr-sr-x'],
    [0o102644, '-rw-r-Sr--'],
    [0o041777, 'drwxrwxrwt'],
    [0o041776, 'drwxrwxrwT'],
    [0o107777, '-rwsrwsrwt'],
    [0o107000, '---S--S--T'],
    [0o100000, '----------'],
    [0o120777, 'lrwxrwxrwx'],
  ];
  for (const [mode, letters] of SPECIAL) {
    test(`shows 0o${mode.toString(8)} as ${letters}`, () => {
      assert.equal(String(new FileAttributes({ mode })).slice(0, 10), letters);
    });
  }
});
