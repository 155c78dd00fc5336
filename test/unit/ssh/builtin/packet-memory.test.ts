import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { type AllocatePacket, PacketMemory } from '../../../../src/ssh/builtin/packet-memory.js';

/** As for AES-GCM: the length is not part of what is padded to whole blocks, and a tag follows. */
const allocate: AllocatePacket = (payloadLength) => {
  let padding = 16 - ((1 + payloadLength) % 16);
  if (padding < 4) padding += 16;
  const packet = Buffer.alloc(5 + payloadLength + padding + 16);
  packet.writeUInt32BE(1 + payloadLength + padding, 0);
  packet[4] = padding;
  return packet;
};

/** TCP that takes what it is told to take. */
function makeOutlet() {
  const outlet = { bytesWritten: 0, writableLength: 0 };
  return {
    outlet,
    hand: (packet: Buffer) => {
      outlet.bytesWritten += packet.length;
      outlet.writableLength += packet.length;
    },
    takeAll: () => {
      outlet.writableLength = 0;
    },
  };
}

const LARGE = 32 * 1024;

describe('memory for packets', () => {
  test('a packet has the length and the header that ssh2 would give it, for every length', () => {
    const { outlet, hand, takeAll } = makeOutlet();
    const ours = new PacketMemory(outlet).wrap(allocate);
    for (let length = LARGE; length < LARGE + 64; length += 1) {
      const packet = ours(length);
      const expected = allocate(length);
      assert.equal(packet.length, expected.length);
      assert.deepEqual(packet.subarray(0, 5), expected.subarray(0, 5));
      hand(packet);
      takeAll();
    }
  });

  test('its padding is never the same', () => {
    const { outlet, hand, takeAll } = makeOutlet();
    const ours = new PacketMemory(outlet).wrap(allocate);
    const seen = new Set<string>();
    for (let count = 0; count < 600; count += 1) {
      const packet = ours(LARGE);
      const padding = packet.readUInt8(4);
      seen.add(packet.toString('hex', 5 + LARGE, 5 + LARGE + padding));
      hand(packet);
      takeAll();
    }
    assert.equal(seen.size, 600);
  });

  test('what TCP has not taken stays as it is', () => {
    const { outlet, hand } = makeOutlet();
    const ours = new PacketMemory(outlet).wrap(allocate);
    const packets = Array.from({ length: 200 }, (_, index) => {
      const packet = ours(LARGE);
      packet.fill(index, 5, 5 + LARGE);
      hand(packet);
      return packet;
    });
    for (const [index, packet] of packets.entries()) {
      assert.ok(packet.subarray(5, 5 + LARGE).equals(Buffer.alloc(LARGE, index)), `packet ${index}`);
    }
  });

  test('what TCP has taken is used again: the memory is bounded', () => {
    const { outlet, hand, takeAll } = makeOutlet();
    const ours = new PacketMemory(outlet).wrap(allocate);
    const memories = new Set<ArrayBufferLike>();
    for (let count = 0; count < 1000; count += 1) {
      const packet = ours(LARGE);
      memories.add(packet.buffer);
      hand(packet);
      if (count % 20 === 0) takeAll();
    }
    assert.ok(memories.size <= 4, `${memories.size} pieces of memory`);
  });

  test('packets whose lengths follow no rule are left to ssh2', () => {
    const { outlet } = makeOutlet();
    const odd: AllocatePacket = (length) => allocate(length % 7 === 0 ? length + 1 : length);
    assert.equal(new PacketMemory(outlet).wrap(odd), odd);
  });

  test('small packets, which may wait, are never written over', () => {
    const { outlet } = makeOutlet();
    const ours = new PacketMemory(outlet).wrap(allocate);
    const packets = Array.from({ length: 1000 }, (_, index) => ours(100).fill(index % 251, 5, 105));
    for (const [index, packet] of packets.entries()) {
      assert.deepEqual(packet.subarray(0, 5), allocate(100).subarray(0, 5));
      assert.ok(packet.subarray(5, 105).equals(Buffer.alloc(100, index % 251)), `packet ${index}`);
    }
  });
});
