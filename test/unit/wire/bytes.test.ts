import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../../src/errors.js';
import { ByteReader, ByteWriter } from '../../../src/wire/bytes.js';
import { diagram, framesOf } from './diagram.js';

const taken = (writer: ByteWriter) => Buffer.concat(writer.take());

describe('ByteReader', () => {
  test('reads the data types one after the other', () => {
    const reader = new ByteReader(
      diagram(`
      ff                      ; byte
      80 00 00 01             ; uint32
      00 00 00 01 00 00 00 02 ; uint64
      ff ff ff ff ff ff ff ff ; uint64
      00 00 00 03 "abc"       ; string
      01 02`),
    );
    assert.equal(reader.uint8(), 255);
    assert.equal(reader.uint32(), 0x80000001);
    assert.equal(reader.uint64(), 2 ** 32 + 2);
    assert.equal(reader.bigUint64(), 2n ** 64n - 1n);
    assert.equal(reader.string().toString(), 'abc');
    assert.equal(reader.remaining, 2);
    assert.deepEqual(reader.take(2), Buffer.from([1, 2]));
    assert.equal(reader.remaining, 0);
  });

  test('P17: holds numbers up to 2^53 - 1 exactly and refuses larger ones', () => {
    assert.equal(new ByteReader(diagram('00 1f ff ff ff ff ff ff')).uint64(), 2 ** 53 - 1);
    for (const drawing of ['00 20 00 00 00 00 00 00', '00 20 00 00 00 00 00 01', 'ff ff ff ff ff ff ff ff']) {
      assert.throws(() => new ByteReader(diagram(drawing)).uint64(), ProtocolError);
    }
  });

  test('never reads past the end, and says how much is missing', () => {
    const reads: readonly (readonly [length: number, read: (reader: ByteReader) => unknown])[] = [
      [1, (reader) => reader.uint8()],
      [4, (reader) => reader.uint32()],
      [8, (reader) => reader.uint64()],
      [8, (reader) => reader.bigUint64()],
      [4, (reader) => reader.string()],
      [3, (reader) => reader.take(3)],
    ];
    for (const [length, read] of reads) {
      // A larger buffer around the bytes must not be read either.
      const reader = new ByteReader(Buffer.alloc(64).subarray(8, 8 + length - 1));
      assert.throws(() => read(reader), {
        name: 'ProtocolError',
        message: `A field of ${length} bytes does not fit: ${length - 1} bytes are left`,
      });
    }
  });

  test('refuses a string of 4 GiB in a packet of a few bytes', () => {
    assert.throws(() => new ByteReader(diagram('ff ff ff ff "abc"')).string(), ProtocolError);
  });

  test('gives strings that share memory with the packet', () => {
    const packet = diagram('00 00 00 03 "abc"');
    const string = new ByteReader(packet).string();
    packet.fill(0x78);
    assert.equal(string.toString(), 'xxx');
  });
});

describe('ByteWriter', () => {
  test('writes the data types one after the other', () => {
    const writer = new ByteWriter();
    writer.uint8(255);
    writer.uint32(0xffffffff);
    writer.uint64(2 ** 53 - 1);
    writer.bigUint64(2n ** 64n - 1n);
    writer.string(Buffer.from('abc'));
    writer.bytes(Uint8Array.of(1, 2));
    assert.equal(writer.length, 30);
    assert.deepEqual(
      taken(writer),
      diagram(`
      ff                      ; byte
      ff ff ff ff             ; uint32
      00 1f ff ff ff ff ff ff ; uint64
      ff ff ff ff ff ff ff ff ; uint64
      00 00 00 03 "abc"       ; string
      01 02`),
    );
  });

  test('starts afresh after take, and leaves what was taken as it is', () => {
    const writer = new ByteWriter();
    assert.deepEqual(writer.take(), []);
    writer.string(Buffer.from('first'));
    const first = writer.take();
    assert.equal(writer.length, 0);
    assert.deepEqual(writer.take(), []);
    writer.string(Buffer.from('second'));
    assert.equal(writer.length, 10);
    const second = writer.take();
    assert.deepEqual(Buffer.concat(first), diagram('00 00 00 05 "first"'));
    assert.deepEqual(Buffer.concat(second), diagram('00 00 00 06 "second"'));
  });

  test('puts large payloads into the list as they are, and small ones behind their header', () => {
    const large = Buffer.alloc(32_768, 1);
    const small = Buffer.from('small');
    const writer = new ByteWriter();
    writer.payload([large, small, Buffer.alloc(0), large]);
    writer.uint8(9);
    assert.equal(writer.length, 4 + 2 * large.length + small.length + 1);
    const chunks = writer.take();
    assert.equal(chunks.length, 5);
    assert.equal(chunks[1], large);
    assert.deepEqual(chunks[2], small);
    assert.equal(chunks[3], large);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(2 * large.length + small.length);
    assert.deepEqual(Buffer.concat(chunks), Buffer.concat([length, large, small, large, Buffer.of(9)]));
  });

  test('takes many small packets together', () => {
    const writer = new ByteWriter();
    for (let id = 0; id < 100; id++) writer.frame(() => writer.uint32(id));
    assert.equal(writer.take().length, 1);
  });

  test('writes strings larger than a block, and goes on', () => {
    const long = Buffer.alloc(100_000, 7);
    const writer = new ByteWriter();
    writer.uint8(1);
    writer.string(long);
    writer.uint8(2);
    const bytes = taken(writer);
    assert.equal(bytes.readUInt32BE(1), long.length);
    assert.deepEqual(bytes.subarray(5, -1), long);
    assert.equal(bytes.at(-1), 2);
  });

  test('gives every frame its length, across blocks and payloads too', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.integer({ min: 0, max: 9000 }), { maxLength: 4 }), { maxLength: 20 }),
        (frames) => {
          const writer = new ByteWriter();
          for (const pieces of frames) {
            writer.frame(() => {
              writer.uint8(pieces.length);
              writer.payload(pieces.map((length, index) => Buffer.alloc(length, index)));
            });
          }
          const read = framesOf(taken(writer));
          assert.equal(read.length, frames.length);
          frames.forEach((pieces, index) => {
            const content = pieces.map((length, piece) => Buffer.alloc(length, piece));
            assert.equal(read[index]?.type, pieces.length);
            assert.deepEqual(Buffer.concat(read[index]?.body ?? []).subarray(4), Buffer.concat(content));
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  test('keeps nothing of a packet that cannot be written', () => {
    const writer = new ByteWriter();
    writer.frame(() => writer.uint8(1));
    const broken: readonly (() => void)[] = [
      () => writer.uint32(2 ** 32),
      () => writer.uint64(-1),
      () => {
        writer.bytes(Buffer.alloc(50_000));
        writer.payload([Buffer.alloc(50_000)]);
        writer.uint32(-1);
      },
    ];
    for (const body of broken) {
      const write = () =>
        writer.frame(() => {
          writer.string(Buffer.from('half'));
          body();
        });
      assert.throws(write, RangeError);
      assert.equal(writer.length, 5);
    }
    writer.frame(() => writer.uint8(2));
    assert.deepEqual(taken(writer), diagram('00 00 00 01 01 00 00 00 01 02'));
  });
});
