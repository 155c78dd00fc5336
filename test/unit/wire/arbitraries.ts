/**
 * Arbitrary packets, made from the tables of the protocol: a packet or an extension that is added there is
 * covered here by itself, and a new kind of field has to be added to {@link ARBITRARIES}.
 */
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import type { AttributeValues } from '../../../src/wire/attributes.js';
import { ByteWriter } from '../../../src/wire/bytes.js';
import { encodeHandshake, encodeReply, encodeRequest } from '../../../src/wire/codec.js';
import * as fields from '../../../src/wire/fields.js';
import {
  handshakePackets,
  type ReplyName,
  type RequestName,
  replies,
  requests,
} from '../../../src/wire/packets.js';

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const buffer = (constraints: fc.IntArrayConstraints) =>
  fc.uint8Array(constraints).map((bytes) => Buffer.from(bytes));
const bytes = buffer({ maxLength: 64 });
/** Every code point, but no lone surrogates, which UTF-8 does not have. */
const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('__proto__', '', '\ufeffx'));
const option = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

const attributes: fc.Arbitrary<AttributeValues> = fc
  .record({
    size: option(fc.maxSafeNat()),
    owner: option(fc.tuple(uint32, uint32)),
    mode: option(uint32),
    times: option(fc.tuple(uint32, uint32)),
    extended: option(fc.array(fc.tuple(bytes, bytes), { minLength: 1, maxLength: 3 })),
  })
  .map(({ size, owner, mode, times, extended }) => {
    const values = { size, uid: owner?.[0], gid: owner?.[1], mode, atime: times?.[0], mtime: times?.[1] };
    return extended === undefined ? values : { ...values, extended };
  });

const ARBITRARIES: ReadonlyMap<unknown, fc.Arbitrary<unknown>> = new Map<unknown, fc.Arbitrary<unknown>>([
  [fields.uint32, uint32],
  [fields.uint64, fc.maxSafeNat()],
  [fields.bigUint64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })],
  [fields.bytes, bytes],
  [fields.handle, buffer({ maxLength: 256 })],
  [fields.text, text],
  [fields.optionalText, text],
  // In one piece and not empty, as it comes back from a stream in one piece.
  [fields.payload, fc.tuple(buffer({ minLength: 1, maxLength: 6000 }))],
  [fields.attributes, attributes],
  [
    fields.names,
    fc.array(fc.record({ filename: bytes, longname: bytes, attributes }, { noNullPrototype: true }), {
      maxLength: 4,
    }),
  ],
  [
    fields.extensionPairs,
    fc
      .array(fc.tuple(text, fc.uint8Array({ maxLength: 20 })), { maxLength: 5 })
      .map((pairs) => new Map(pairs)),
  ],
  [fields.rest, bytes],
  [fields.hashAlgorithm, text],
  [fields.packedUint32s, fc.array(uint32, { maxLength: 5 })],
  [fields.packedTexts, fc.array(text, { maxLength: 5 })],
]);

/** Arbitrary values for every field of a layout. */
export function valuesOf(layout: fields.Layout): fc.Arbitrary<Record<string, unknown>> {
  const model = Object.entries(layout).map(([name, field]) => {
    const arbitrary = ARBITRARIES.get(field);
    if (arbitrary === undefined) throw new Error(`No arbitrary for the kind of field that '${name}' is`);
    return [name, arbitrary] as const;
  });
  return fc.record(Object.fromEntries(model), { noNullPrototype: true });
}

type Table = Readonly<Record<string, { readonly fields: fields.Layout }>>;

/** One packet of a table: its name, an id, and values for its fields. */
function packetsOf<T extends Table>(table: T) {
  const names = Object.keys(table) as (keyof T & string)[];
  const packets = names.map((kind) =>
    fc.record({ kind: fc.constant(kind), id: uint32, values: valuesOf(table[kind]?.fields ?? {}) }),
  );
  return fc.oneof(...packets);
}

const anyRequest = packetsOf(requests);
const anyReply = packetsOf(replies);
const anyHandshake = packetsOf(handshakePackets);

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.concat(writer.take());
}

export const writeRequest = (kind: RequestName, id: number, values: unknown) =>
  written((writer) => encodeRequest(writer, id, kind, values as never));

export const writeReply = (kind: ReplyName, id: number, values: unknown) =>
  written((writer) => encodeReply(writer, id, kind, values as never));

/** The bytes of any whole and valid packet. */
export const anyPacket: fc.Arbitrary<Buffer> = fc.oneof(
  anyRequest.map(({ kind, id, values }) => writeRequest(kind, id, values)),
  anyReply.map(({ kind, id, values }) => writeReply(kind, id, values)),
  anyHandshake.map(({ kind, values }) => written((writer) => encodeHandshake(writer, kind, values as never))),
);

/** A valid packet after a few bytes were changed, cut out or put in; the length before it may be wrong then. */
export const mutatedPacket: fc.Arbitrary<Buffer> = fc
  .tuple(
    anyPacket,
    fc.array(
      fc.record({
        place: fc.nat(400),
        removed: fc.constantFrom(0, 1, 1, 4),
        added: fc.oneof(fc.uint8Array({ maxLength: 4 }), fc.constant(Uint8Array.of(255, 255, 255, 255))),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    fc.boolean(),
  )
  .map(([packet, edits, keepsLength]) => {
    const body = edits.reduce((bytesSoFar, { place, removed, added }) => {
      const at = place % (bytesSoFar.length + 1);
      return Buffer.concat([bytesSoFar.subarray(0, at), added, bytesSoFar.subarray(at + removed)]);
    }, packet.subarray(4));
    const length = Buffer.from(packet.subarray(0, 4));
    if (!keepsLength) length.writeUInt32BE(body.length);
    return Buffer.concat([length, body]);
  });
