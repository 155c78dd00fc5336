/**
 * Bytes on their way out, cut into pieces for SSH packets. What is small is joined until a packet is full; what
 * is large goes as it is, without a copy, in whole packets, and its rest is joined with what follows. So the
 * headers and small requests of one tick leave in one packet.
 */

/** One piece is never more, so that the limits on what is buffered are checked often enough. */
const MAXIMUM_PIECE = 256 * 1024;

export class PacketQueue {
  readonly #packetSize: number;
  readonly #chunks: Buffer[] = [];
  /** Index of the first chunk not yet taken; the list is emptied when it is reached, not shifted each time. */
  #first = 0;
  #bytes = 0;
  /** As large as a packet, once there was something to join. */
  #joint: Buffer | undefined;

  constructor(packetSize: number) {
    this.#packetSize = packetSize;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length > 0) {
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
    }
  }

  /**
   * Takes the next piece; an empty queue gives `undefined`. What had to be joined is in memory that is used again: it
   * must have been copied into its packet before the next is taken.
   */
  take(): Buffer | undefined {
    const head = this.#chunks[this.#first];
    if (head === undefined) {
      return undefined;
    }
    const isLast = this.#first === this.#chunks.length - 1;
    if (isLast && head.length <= MAXIMUM_PIECE) {
      return this.#takeFrom(head, head.length);
    }
    if (head.length < this.#packetSize) {
      return this.#join();
    }
    const whole = Math.min(head.length, MAXIMUM_PIECE);
    return this.#takeFrom(head, whole - (whole % this.#packetSize) || whole);
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#first = 0;
    this.#bytes = 0;
  }

  #takeFrom(head: Buffer, length: number): Buffer {
    this.#bytes -= length;
    if (length < head.length) {
      this.#chunks[this.#first] = head.subarray(length);
      return head.subarray(0, length);
    }
    this.#first++;
    if (this.#first === this.#chunks.length) {
      this.clear();
    }
    return head;
  }

  #join(): Buffer {
    this.#joint ??= Buffer.allocUnsafeSlow(this.#packetSize);
    const packet = this.#joint.subarray(0, Math.min(this.#bytes, this.#packetSize));
    let at = 0;
    while (at < packet.length) {
      const head = this.#chunks[this.#first];
      if (head === undefined) {
        break;
      }
      const part = this.#takeFrom(head, Math.min(head.length, packet.length - at));
      packet.set(part, at);
      at += part.length;
    }
    return packet;
  }
}
