/**
 * Memory for large packets on their way out, used again once TCP has taken them. ssh2 makes a buffer for every
 * packet, and a long upload then spends a third of its time on collecting them.
 */
import { Buffer } from 'node:buffer';
import { randomFillSync } from 'node:crypto';

/** What ssh2 makes its packets with (RFC 4253, section 6): room for all of it, with length and padding filled in. */
export type AllocatePacket = (payloadLength: number) => Buffer;

/** What has been handed to TCP so far, and how much of that it has not yet taken. */
export interface Outlet {
  readonly bytesWritten: number;
  readonly writableLength: number;
}

const SLAB_LENGTH = 512 * 1024;
/** Twice what may be handed to TCP and not be taken. */
const MAX_SLABS = 4;
/** Smaller ones have memory of their own: some of them are not sent at once. */
const MIN_PAYLOAD_LENGTH = 4 * 1024;
/** Padding makes a packet a multiple of the cipher's block, which is never longer. */
const BLOCK_LENGTH = 16;
const HEADER_LENGTH = 5;

interface Slab {
  readonly memory: Buffer;
  /** What the outlet will have been handed when the last packet of the slab is. */
  end: number;
}

export class PacketMemory {
  readonly #outlet: Outlet;
  readonly #slabs: Slab[] = [];
  #slab: Slab | undefined;
  #used = 0;
  readonly #noise = Buffer.allocUnsafeSlow(4096);
  #noiseUsed = this.#noise.length;

  constructor(outlet: Outlet) {
    this.#outlet = outlet;
  }

  /**
   * Allocates as `allocate` does, large packets in memory of ours. Every one of those must be handed to the outlet
   * before the next is allocated. How long a packet is and what its header says is learnt from `allocate`, which is used
   * for all where no rule is found.
   */
  wrap(allocate: AllocatePacket): AllocatePacket {
    const shapes = shapesOf(allocate);
    if (shapes === undefined) return allocate;
    return (payloadLength) => {
      const rest = payloadLength % BLOCK_LENGTH;
      const shape = shapes[rest];
      const packet = shape && this.#memoryFor(payloadLength, shape.length + payloadLength - rest);
      if (shape === undefined || packet === undefined) return allocate(payloadLength);
      packet.writeUInt32BE(shape.told + payloadLength - rest, 0);
      packet[4] = shape.padding;
      this.#pad(packet, HEADER_LENGTH + payloadLength, shape.padding);
      return packet;
    };
  }

  #memoryFor(payloadLength: number, length: number): Buffer | undefined {
    return payloadLength < MIN_PAYLOAD_LENGTH ? Buffer.allocUnsafe(length) : this.#take(length);
  }

  #take(length: number): Buffer | undefined {
    if (this.#slab === undefined || this.#slab.memory.length - this.#used < length) {
      const { bytesWritten } = this.#outlet;
      if (this.#slab !== undefined) this.#slab.end = bytesWritten;
      this.#slab = this.#freeSlab(bytesWritten - this.#outlet.writableLength);
      this.#used = 0;
      if (this.#slab === undefined) return undefined;
    }
    const start = this.#used;
    this.#used += length;
    return this.#slab.memory.subarray(start, this.#used);
  }

  #freeSlab(takenByTcp: number): Slab | undefined {
    const free = this.#slabs.find(({ end }) => end <= takenByTcp);
    if (free !== undefined || this.#slabs.length === MAX_SLABS) return free;
    const slab = { memory: Buffer.allocUnsafeSlow(SLAB_LENGTH), end: 0 };
    this.#slabs.push(slab);
    return slab;
  }

  /** Each random byte is used once, as many at a time are much cheaper. */
  #pad(packet: Buffer, start: number, count: number): void {
    if (this.#noise.length - this.#noiseUsed < count) {
      randomFillSync(this.#noise);
      this.#noiseUsed = 0;
    }
    this.#noise.copy(packet, start, this.#noiseUsed, this.#noiseUsed + count);
    this.#noiseUsed += count;
  }
}

/** A packet for a payload that is shorter than a block. */
interface Shape {
  readonly length: number;
  /** What it tells of its own length. */
  readonly told: number;
  readonly padding: number;
}

/** One for each length that a payload can have beyond whole blocks; a block more must change the lengths by just that. */
function shapesOf(allocate: AllocatePacket): readonly Shape[] | undefined {
  const shapes: Shape[] = [];
  for (let length = 0; length < BLOCK_LENGTH; length += 1) {
    const shape = shapeOf(allocate(length));
    const longer = shapeOf(allocate(length + BLOCK_LENGTH));
    const isRegular =
      longer.length === shape.length + BLOCK_LENGTH &&
      longer.told === shape.told + BLOCK_LENGTH &&
      longer.padding === shape.padding &&
      HEADER_LENGTH + length + shape.padding <= shape.length;
    if (!isRegular) return undefined;
    shapes.push(shape);
  }
  return shapes;
}

function shapeOf(packet: Buffer): Shape {
  return { length: packet.length, told: packet.readUInt32BE(0), padding: packet.readUInt8(4) };
}
