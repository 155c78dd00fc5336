import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { PacketQueue } from '../../../../../src/ssh/builtin/channel/packet-queue.js';

function drain(queue: PacketQueue): Buffer[] {
  const pieces: Buffer[] = [];
  for (let piece = queue.take(); piece !== undefined; piece = queue.take()) {
    pieces.push(Buffer.from(piece));
  }
  return pieces;
}

describe('packet queue', () => {
  test('gives every byte once and in order, and joins what is small', () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 30 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 16 }), (lengths, packetSize) => {
        const queue = new PacketQueue(packetSize);
        let next = 0;
        const chunks = lengths.map((length) => Buffer.from(Array.from({ length }, () => next++ % 251)));
        for (const chunk of chunks) {
          queue.push(chunk);
        }
        const all = Buffer.concat(chunks);
        assert.equal(queue.bytes, all.length);
        const pieces = drain(queue);
        assert.deepEqual(Buffer.concat(pieces), all);
        assert.equal(queue.bytes, 0);
        const packets = pieces.reduce((sum, piece) => sum + Math.ceil(piece.length / packetSize), 0);
        assert.equal(packets, Math.ceil(all.length / packetSize));
      }),
    );
  });

  test('passes a large buffer on without a copy', () => {
    const queue = new PacketQueue(32768);
    const large = Buffer.alloc(200_000);
    queue.push(large);
    assert.equal(queue.take()?.buffer, large.buffer);
  });

  test('joins in the same memory again and again', () => {
    const queue = new PacketQueue(4);
    for (const text of ['ab', 'cd', 'e', 'fgh', 'i']) queue.push(Buffer.from(text));
    const [first, second] = [queue.take(), queue.take()];
    assert.ok(first !== undefined && first.buffer === second?.buffer);
    assert.equal(String(second), 'efgh');
  });

  test('cuts what is beyond 256 KiB', () => {
    const queue = new PacketQueue(32768);
    queue.push(Buffer.alloc(1_000_000));
    assert.ok(drain(queue).every((piece) => piece.length <= 256 * 1024));
  });
});
