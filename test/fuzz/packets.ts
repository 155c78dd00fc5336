/** Mutated packets into framing and codec. Only a `ProtocolError` may come out, or a value. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { ProtocolError } from '../../src/errors.js';
import { decodeHandshake, decodeReply, decodeRequest, encodeHandshake } from '../../src/wire/codec.js';
import { decodeExtensionData, type ExtensionWithData, extensions } from '../../src/wire/extensions.js';
import { type Frame, FrameDecoder } from '../../src/wire/framing.js';
import { Random } from './random.js';
import { replyNames, someReply, someRequest, written } from './replies.js';

const withData = (Object.keys(extensions) as (keyof typeof extensions)[]).filter(
  (name): name is ExtensionWithData => 'data' in extensions[name],
);

/** A seed stands for a hundred packets: one alone is too short for the account. */
const PACKETS = 100;

export function fuzzPacket(seed: number): number {
  const random = new Random(seed);
  for (let count = 0; count < PACKETS; count += 1) onePacket(random);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
  return PACKETS;
}

function onePacket(random: Random): void {
  const whole = somePacket(random);
  // Mutated behind the length, which then fits, or with it.
  const body = random.mutate(whole.subarray(4));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const bytes = random.chance(20) ? random.mutate(whole) : Buffer.concat([length, body]);
  const frames: Frame[] = [];
  allowed(() => {
    const decoder = new FrameDecoder();
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + random.below(bytes.length);
      for (const frame of decoder.decode(bytes.subarray(at, end))) frames.push(frame);
      at = end;
    }
  });
  for (const frame of frames) {
    allowed(() => decodeReply(frame));
    allowed(() => decodeRequest(frame));
    allowed(() => decodeHandshake(frame, 'version'));
    allowed(() => decodeExtensionData(random.pick(withData), Buffer.concat(frame.body)));
  }
}

function somePacket(random: Random): Buffer {
  const kind = random.below(10);
  if (kind < 6) return someReply(random, random.pick(replyNames), random.uint32());
  if (kind < 9) return someRequest(random, random.uint32());
  const pairs = new Map([[random.pick(['__proto__', 'limits@openssh.com', '']), random.bytes(10)]]);
  return written((writer) => encodeHandshake(writer, 'version', { version: 3, extensions: pairs }));
}

function allowed(act: () => unknown): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}
