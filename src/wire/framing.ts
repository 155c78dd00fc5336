/**
 * Chunks of a byte stream → frames: a length, a type, and a body (section 3 of the draft). File content stays in
 * the pieces in which it came, so that it is never copied to be joined.
 */
import { Buffer } from 'node:buffer';
import { ProtocolError } from '../errors.js';
import { type LentBuffer, retain } from '../shared/lent-memory.js';
import { replies, requests } from './packets.js';

/** The largest packet that OpenSSH takes or sends, without the four bytes of its length. */
export const MAX_PACKET_LENGTH = 256 * 1024;

export interface Frame {
  readonly type: number;
  readonly body: readonly Buffer[];
}

const HEADER_LENGTH = 5;
/** Packets with content, whose pieces are retained: a consumer that is done with them may release them. */
const CONTENT_TYPES: ReadonlySet<number> = new Set([replies.data.type, requests.write.type]);

export class FrameDecoder {
  readonly #header = Buffer.alloc(HEADER_LENGTH);
  #headerLength = 0;
  #body: Buffer[] = [];
  /** Bytes of the body that are still to come. */
  #missing = 0;

  /** True in the middle of a frame: an end of the stream here has cut it off. */
  get isPartial(): boolean {
    return this.#headerLength > 0;
  }

  /**
   * The frames that are complete with this chunk. Content shares memory with it; everything else is copied.
   *
   * @throws ProtocolError on a length of 0 or beyond {@link MAX_PACKET_LENGTH}, before anything is allocated.
   */
  *decode(chunk: LentBuffer): Generator<Frame, void, undefined> {
    let position = 0;
    while (position < chunk.length) {
      if (this.#headerLength < HEADER_LENGTH) {
        position += this.#takeHeader(chunk, position);
        if (this.#headerLength < HEADER_LENGTH) return;
      }
      const end = Math.min(chunk.length, position + this.#missing);
      if (end > position) this.#keep(chunk.subarray(position, end));
      this.#missing -= end - position;
      position = end;
      if (this.#missing > 0) return;
      const frame = { type: this.#header.readUInt8(4), body: this.#body };
      this.#body = [];
      this.#headerLength = 0;
      yield frame;
    }
  }

  #keep(piece: LentBuffer): void {
    if (!CONTENT_TYPES.has(this.#header.readUInt8(4))) {
      this.#copy(piece);
      return;
    }
    this.#body.push(retain(piece));
  }

  /** All of the body in one piece of memory, made when its beginning is there: nothing has to be joined then. */
  #copy(piece: LentBuffer): void {
    const [whole = Buffer.allocUnsafe(this.#missing)] = this.#body;
    this.#body = [whole];
    piece.copy(whole, whole.length - this.#missing);
  }

  #takeHeader(chunk: LentBuffer, position: number): number {
    const taken = chunk.copy(
      this.#header,
      this.#headerLength,
      position,
      position + HEADER_LENGTH - this.#headerLength,
    );
    this.#headerLength += taken;
    if (this.#headerLength >= 4) {
      const length = this.#header.readUInt32BE(0);
      if (length < 1 || length > MAX_PACKET_LENGTH) {
        // The next byte finds the same length here: a stream that has lost its frames stays refused.
        this.#headerLength = 4;
        throw new ProtocolError(`A packet of ${length} bytes: 1 to ${MAX_PACKET_LENGTH} are allowed`);
      }
      this.#missing = length - 1;
    }
    return taken;
  }
}
