import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../../src/errors.js';
import { type Frame, FrameDecoder, MAX_PACKET_LENGTH } from '../../../src/wire/framing.js';
import { diagram, frameOf, framesOf, packetOf } from './diagram.js';

const whole = ({ type, body }: Frame) => ({ type, body: Buffer.concat(body) });

/** Splits bytes at these places. */
function split(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

describe('frames', () => {
  const packets = [
    packetOf(1, Buffer.from('abc')),
    packetOf(2, Buffer.alloc(0)),
    packetOf(255, Buffer.of(9)),
  ];
  const frames = [
    { type: 1, body: Buffer.from('abc') },
    { type: 2, body: Buffer.alloc(0) },
    { type: 255, body: Buffer.of(9) },
  ];

  test('are a length, a type and a body', () => {
    assert.deepEqual(whole(frameOf(diagram('00 00 00 04 c8 "abc"'))), {
      type: 200,
      body: Buffer.from('abc'),
    });
  });

  test('may have no body at all', () => {
    assert.deepEqual(frameOf(diagram('00 00 00 01 65')), { type: 101, body: [] });
  });

  test('P2: come out whole where the stream comes byte by byte', () => {
    const bytes = Buffer.concat(packets);
    assert.deepEqual(framesOf(...split(bytes, [...bytes.keys()])).map(whole), frames);
  });

  test('P2: come out whole and in order, a thousand of them in one chunk', () => {
    const bytes = Buffer.concat(
      Array.from({ length: 1000 }, (_, index) => packetOf(index % 256, Buffer.of(index >> 8))),
    );
    const expected = Array.from({ length: 1000 }, (_, index) => ({
      type: index % 256,
      body: Buffer.of(index >> 8),
    }));
    assert.deepEqual(framesOf(bytes).map(whole), expected);
  });

  test('come out whole however the stream is cut, empty chunks included', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(255), fc.uint8Array({ maxLength: 300 })), { maxLength: 10 }),
        fc.array(fc.nat(3000)),
        (contents, places) => {
          const bytes = Buffer.concat(contents.map(([type, body]) => packetOf(type, body)));
          const chunks = split(
            bytes,
            places.map((place) => Math.min(place, bytes.length)),
          );
          const expected = contents.map(([type, body]) => ({ type, body: Buffer.from(body) }));
          assert.deepEqual(framesOf(...chunks, Buffer.alloc(0)).map(whole), expected);
        },
      ),
    );
  });

  test('come as soon as their last byte is there', () => {
    const decoder = new FrameDecoder();
    const bytes = diagram('00 00 00 03 01 aa bb');
    assert.equal([...decoder.decode(bytes.subarray(0, 6))].length, 0);
    assert.equal([...decoder.decode(bytes.subarray(6))].length, 1);
  });

  test('share memory with the chunks that they came in', () => {
    const packet = packetOf(103, Buffer.alloc(1000, 1));
    const chunks = [Buffer.from(packet.subarray(0, 300)), Buffer.from(packet.subarray(300))];
    const [frame] = framesOf(...chunks);
    assert.equal(frame?.body.length, 2);
    frame?.body.forEach((piece, index) => {
      assert.equal(piece.buffer, chunks[index]?.buffer);
    });
    assert.equal(frame?.body[0]?.byteOffset, (chunks[0]?.byteOffset ?? 0) + 5);
    assert.equal(frame?.body[1]?.byteOffset, chunks[1]?.byteOffset);
  });

  test('P3: the decoder knows whether an end of the stream cuts a frame off', () => {
    const bytes = diagram('00 00 00 03 01 aa bb');
    for (let length = 0; length <= bytes.length; length++) {
      const decoder = new FrameDecoder();
      assert.deepEqual([...decoder.decode(bytes.subarray(0, length))].length, length === 7 ? 1 : 0);
      assert.equal(decoder.isPartial, length > 0 && length < 7, `after ${length} bytes`);
    }
    const decoder = new FrameDecoder();
    assert.equal([...decoder.decode(Buffer.concat([bytes, bytes.subarray(0, 1)]))].length, 1);
    assert.equal(decoder.isPartial, true);
  });
});

describe('P1: the length of a frame', () => {
  test('may be 262144', () => {
    assert.equal(MAX_PACKET_LENGTH, 262144);
    const frame = frameOf(packetOf(103, Buffer.alloc(262143, 5)));
    assert.deepEqual(whole(frame), { type: 103, body: Buffer.alloc(262143, 5) });
  });

  for (const length of [0, 262145, 0x7fffffff, 0x80000000, 0xffffffff]) {
    test(`is refused where it is ${length}, before anything is allocated`, () => {
      const header = Buffer.alloc(4);
      header.writeUInt32BE(length);
      const before = process.memoryUsage().arrayBuffers;
      const decode = () => [...new FrameDecoder().decode(header)];
      assert.throws(decode, {
        name: 'ProtocolError',
        code: 'PROTOCOL_ERROR',
        message: new RegExp(`^A packet of ${length} bytes`),
      });
      assert.ok(process.memoryUsage().arrayBuffers - before < 100_000);
    });

    test(`is refused where it is ${length} and comes byte by byte or behind a good frame`, () => {
      const bytes = Buffer.alloc(9);
      bytes.writeUInt32BE(length);
      assert.throws(() => framesOf(...split(bytes, [1, 2, 3, 4])), ProtocolError);
      const decoder = new FrameDecoder();
      const seen: number[] = [];
      const decode = () => {
        for (const { type } of decoder.decode(Buffer.concat([packetOf(7, Buffer.of(1)), bytes])))
          seen.push(type);
      };
      assert.throws(decode, ProtocolError);
      assert.deepEqual(seen, [7]);
    });
  }

  test('stays refused, whatever comes after it', () => {
    const decoder = new FrameDecoder();
    const good = packetOf(101, Buffer.alloc(12));
    assert.throws(() => [...decoder.decode(diagram('ff ff ff ff 65 00 00'))], ProtocolError);
    assert.throws(() => [...decoder.decode(good)], ProtocolError);
    assert.throws(() => [...decoder.decode(good)], ProtocolError);
    assert.equal(decoder.isPartial, true);
  });
});
