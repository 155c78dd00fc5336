/** ATTRS on the wire: section 5 of draft-ietf-secsh-filexfer-02. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ProtocolError } from '../../../src/errors.js';
import { type AttributeValues, readAttributes, writeAttributes } from '../../../src/wire/attributes.js';
import { ByteReader, ByteWriter } from '../../../src/wire/bytes.js';
import { diagram } from './diagram.js';

function encode(values: AttributeValues): Buffer {
  const writer = new ByteWriter();
  writeAttributes(writer, values);
  return Buffer.concat(writer.take());
}

const decode = (bytes: Buffer) => readAttributes(new ByteReader(bytes));

/** The groups of the draft in the order of the wire: flag, values, and their bytes. */
const GROUPS: readonly (readonly [flag: number, values: AttributeValues, drawing: string])[] = [
  [0x00000001, { size: 0x1_0000_0002 }, '00 00 00 01 00 00 00 02 ; size'],
  [0x00000002, { uid: 0xffffffff, gid: 100 }, 'ff ff ff ff 00 00 00 64 ; uid, gid'],
  [0x00000004, { mode: 0o100644 }, '00 00 81 a4 ; permissions'],
  [0x00000008, { atime: 0x7fffffff, mtime: 0x80000000 }, '7f ff ff ff 80 00 00 00 ; atime, mtime'],
  [
    0x80000000,
    {
      extended: [
        [Buffer.from('a@b'), Buffer.of(0, 255)],
        [Buffer.from('c'), Buffer.alloc(0)],
      ],
    },
    `
    00 00 00 02       ; extended_count
    00 00 00 03 "a@b" ; extended_type
    00 00 00 02 00 ff ; extended_data
    00 00 00 01 "c"   ; extended_type
    00 00 00 00       ; extended_data`,
  ],
];

const NOTHING = {
  size: undefined,
  uid: undefined,
  gid: undefined,
  mode: undefined,
  atime: undefined,
  mtime: undefined,
};

describe('attributes', () => {
  for (let choice = 0; choice < 2 ** GROUPS.length; choice++) {
    const chosen = GROUPS.filter((_, index) => (choice & (1 << index)) !== 0);
    const flags = Buffer.alloc(4);
    flags.writeUInt32BE(chosen.reduce((sum, [flag]) => sum + flag, 0));
    const bytes = Buffer.concat([flags, ...chosen.map(([, , drawing]) => diagram(drawing))]);
    const values: AttributeValues = Object.assign({}, ...chosen.map(([, group]) => group));
    const name = Object.keys(values).join(', ') || 'nothing';

    test(`with ${name} have the flags ${flags.toString('hex')} and their fields in order`, () => {
      assert.deepEqual(encode(values), bytes);
    });

    test(`with the flags ${flags.toString('hex')} tell ${name}`, () => {
      assert.deepEqual(decode(bytes), { ...NOTHING, ...values });
    });
  }

  test('are not sent by halves: an owner needs uid and gid, times need atime and mtime', () => {
    for (const half of [{ uid: 1 }, { gid: 1 }, { atime: 1 }, { mtime: 1 }, { uid: 1, mtime: 1 }]) {
      assert.deepEqual(encode(half), diagram('00 00 00 00'));
    }
  });

  test('are sent where they are 0', () => {
    const zeros = { size: 0, uid: 0, gid: 0, mode: 0, atime: 0, mtime: 0 };
    assert.deepEqual(encode(zeros), Buffer.concat([diagram('00 00 00 0f'), Buffer.alloc(28)]));
    assert.deepEqual(decode(encode(zeros)), zeros);
  });

  test('have no flag for an empty list of extended pairs', () => {
    assert.deepEqual(encode({ extended: [] }), diagram('00 00 00 00'));
    assert.deepEqual(decode(diagram('80 00 00 00 00 00 00 00')), { ...NOTHING, extended: [] });
  });

  test('may have flags that no draft knows: they announce nothing', () => {
    assert.deepEqual(decode(diagram('7f ff ff f1 00 00 00 00 00 00 00 07')), { ...NOTHING, size: 7 });
  });

  test('P17: hold a size of 2^53 - 1 exactly; a larger one is a protocol error, not a rounded number', () => {
    const largest = diagram('00 00 00 01 00 1f ff ff ff ff ff ff');
    assert.equal(decode(largest).size, Number.MAX_SAFE_INTEGER);
    assert.deepEqual(encode({ size: Number.MAX_SAFE_INTEGER }), largest);
    for (const size of ['00 20 00 00 00 00 00 00', '00 20 00 00 00 00 00 01', 'ff ff ff ff ff ff ff ff']) {
      assert.throws(() => decode(diagram(`00 00 00 01 ${size}`)), ProtocolError);
    }
  });

  test('hold times beyond 2038, up to the year 2106', () => {
    const bytes = diagram('00 00 00 08 80 00 00 00 ff ff ff ff');
    assert.deepEqual(decode(bytes), { ...NOTHING, atime: 2 ** 31, mtime: 2 ** 32 - 1 });
    assert.deepEqual(encode({ atime: 2 ** 31, mtime: 2 ** 32 - 1 }), bytes);
  });

  test('that the wire cannot hold are refused', () => {
    assert.throws(() => encode({ uid: -1, gid: 0 }), RangeError);
    assert.throws(() => encode({ mode: 2 ** 32 }), RangeError);
    assert.throws(() => encode({ atime: 0, mtime: 2 ** 32 }), RangeError);
    assert.throws(() => encode({ size: -1 }), RangeError);
  });

  test('P17: a count of extended pairs is believed only where so many can be there', () => {
    assert.throws(() => decode(diagram('80 00 00 00 ff ff ff ff')), {
      name: 'ProtocolError',
      message: 'A count of 4294967295 items does not fit into 0 bytes',
    });
    assert.throws(() => decode(diagram('80 00 00 00 00 00 00 01 00 00 00 00 00 00 00')), ProtocolError);
    assert.throws(() => decode(diagram('80 00 00 00 00 00 00 01 00 00 00 01 00 00 00 00')), ProtocolError);
    const shortest = decode(diagram('80 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00'));
    assert.deepEqual(shortest.extended, [[Buffer.alloc(0), Buffer.alloc(0)]]);
  });

  test('that are cut anywhere are refused', () => {
    const values: AttributeValues = Object.assign({}, ...GROUPS.map(([, group]) => group));
    const whole = encode(values);
    for (let length = 0; length < whole.length; length++) {
      assert.throws(() => decode(whole.subarray(0, length)), ProtocolError);
    }
  });

  test('keep extended pairs of their own when the packet goes', () => {
    const packet = diagram('80 00 00 00 00 00 00 01 00 00 00 01 "a" 00 00 00 01 "b"');
    const { extended } = decode(packet);
    packet.fill(0);
    assert.deepEqual(extended, [[Buffer.from('a'), Buffer.from('b')]]);
  });
});
