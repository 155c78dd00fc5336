import { Buffer } from 'node:buffer';
import { type Frame, FrameDecoder } from '../../../src/wire/framing.js';

/**
 * Bytes drawn as the specifications draw them: hexadecimal digits and "text" in ASCII, a field per line, and a
 * comment from `;` on.
 */
export function diagram(drawing: string): Buffer {
  const parts: Buffer[] = [];
  for (const line of drawing.split('\n')) {
    let rest = line;
    while (rest.trim() !== '' && !rest.trimStart().startsWith(';')) {
      const match = /^\s*(?:"([ -~]*?)"|([0-9a-f]{2})(?![0-9a-z]))/.exec(rest);
      if (match === null) throw new Error(`No bytes: ${rest}`);
      const [whole, characters, digits] = match;
      parts.push(
        characters === undefined ? Buffer.from(digits ?? '', 'hex') : Buffer.from(characters, 'latin1'),
      );
      rest = rest.slice(whole.length);
    }
  }
  return Buffer.concat(parts);
}

/** The frames of a byte stream that comes in these chunks. */
export function framesOf(...chunks: readonly Buffer[]): Frame[] {
  const decoder = new FrameDecoder();
  return chunks.flatMap((chunk) => [...decoder.decode(chunk)]);
}

/** The only frame of a packet's bytes. */
export function frameOf(packet: Buffer): Frame {
  const [frame, ...more] = framesOf(packet);
  if (frame === undefined || more.length > 0) throw new Error('Not exactly one whole packet');
  return frame;
}

/** A packet of that type around that body, whatever the body may be. */
export function packetOf(type: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(body.length + 1, 0);
  header.writeUInt8(type, 4);
  return Buffer.concat([header, body]);
}
