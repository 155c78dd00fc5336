/** Properties that hold for every packet of the tables, and for everything that is no packet. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ProtocolError } from '../../../src/errors.js';
import { ByteWriter } from '../../../src/wire/bytes.js';
import { decodeHandshake, decodeReply, decodeRequest, encodeHandshake } from '../../../src/wire/codec.js';
import {
  decodeExtensionData,
  decodeExtensionFields,
  type ExtensionName,
  type ExtensionWithData,
  encodeExtensionData,
  encodeExtensionFields,
  extensions,
} from '../../../src/wire/extensions.js';
import type { Layout } from '../../../src/wire/fields.js';
import { type Frame, FrameDecoder } from '../../../src/wire/framing.js';
import { handshakePackets, replies, requests } from '../../../src/wire/packets.js';
import { anyPacket, mutatedPacket, valuesOf, writeReply, writeRequest } from './arbitraries.js';
import { frameOf, framesOf, packetOf } from './diagram.js';

const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const keysOf = <T extends object>(table: T) => Object.keys(table) as (keyof T & string)[];

describe('what was encoded is decoded to the same values:', () => {
  for (const kind of keysOf(requests)) {
    test(`request ${kind}`, () => {
      const property = fc.property(id, valuesOf(requests[kind].fields), (number, values) => {
        const decoded = decodeRequest(frameOf(writeRequest(kind, number, values)));
        assert.deepEqual(decoded, { kind, id: number, ...values });
      });
      fc.assert(property);
    });
  }

  for (const kind of keysOf(replies)) {
    test(`reply ${kind}`, () => {
      const property = fc.property(id, valuesOf(replies[kind].fields), (number, values) => {
        const decoded = decodeReply(frameOf(writeReply(kind, number, values)));
        assert.deepEqual(decoded, { kind, id: number, ...values });
      });
      fc.assert(property);
    });
  }

  for (const kind of keysOf(handshakePackets)) {
    test(kind, () => {
      const property = fc.property(valuesOf(handshakePackets[kind].fields), (values) => {
        const writer = new ByteWriter();
        encodeHandshake(writer, kind, values as never);
        assert.deepEqual(decodeHandshake(frameOf(Buffer.concat(writer.take())), kind), values);
      });
      fc.assert(property);
    });
  }

  for (const name of keysOf(extensions)) {
    const row: { readonly fields: Layout; readonly data?: Layout } = extensions[name];
    test(`the fields of the extension ${name}`, () => {
      const property = fc.property(valuesOf(row.fields), (values) => {
        assert.deepEqual(decodeExtensionFields(name, encodeExtensionFields(name, values as never)), values);
      });
      fc.assert(property);
    });

    if (row.data === undefined) continue;
    const { data } = row;
    test(`the data of the extension ${name}`, () => {
      const withData = name as ExtensionWithData;
      const property = fc.property(valuesOf(data), (values) => {
        assert.deepEqual(
          decodeExtensionData(withData, encodeExtensionData(withData, values as never)),
          values,
        );
      });
      fc.assert(property);
    });
  }
});

/** A value or a `ProtocolError`: any other error fails the test. */
function attempt<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function decodeEverything(frame: Frame): void {
  attempt(() => decodeReply(frame));
  attempt(() => decodeRequest(frame));
  attempt(() => decodeHandshake(frame, 'init'));
  attempt(() => decodeHandshake(frame, 'version'));
}

function decodeExtensions(data: Buffer): void {
  for (const [key, row] of Object.entries(extensions)) {
    attempt(() => decodeExtensionFields(key as ExtensionName, data));
    if ('data' in row) attempt(() => decodeExtensionData(key as ExtensionWithData, data));
  }
}

describe('whatever comes gives values or a protocol error:', () => {
  test('a stream of arbitrary bytes', () => {
    const property = fc.property(fc.array(fc.uint8Array({ maxLength: 100 })), (chunks) => {
      for (const frame of attempt(() => framesOf(...chunks.map((chunk) => Buffer.from(chunk)))) ?? []) {
        decodeEverything(frame);
      }
    });
    fc.assert(property, { numRuns: 500 });
  });

  const types = [handshakePackets, requests, replies].flatMap((table) =>
    Object.values(table).map(({ type }) => type),
  );
  const type = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...types) },
    { weight: 1, arbitrary: fc.nat(255) },
  );
  /** Small numbers are likely, so that counts and lengths often fit. */
  const body = fc
    .array(fc.oneof(fc.nat(3), fc.nat(255)), { maxLength: 120 })
    .map((values) => Buffer.from(values));

  test('a packet of any type with an arbitrary body', () => {
    const property = fc.property(type, body, (number, content) =>
      decodeEverything(frameOf(packetOf(number, content))),
    );
    fc.assert(property, { numRuns: 1500 });
  });

  test('arbitrary bytes as the data of an extension', () => {
    fc.assert(fc.property(body, decodeExtensions), { numRuns: 500 });
  });

  test('valid packets with bytes changed, cut out and put in, one after the other', () => {
    const property = fc.property(fc.array(mutatedPacket, { maxLength: 3 }), (packets) => {
      const decoder = new FrameDecoder();
      for (const packet of packets) {
        const frames = attempt(() => [...decoder.decode(packet)]);
        if (frames === undefined) return;
        for (const frame of frames) {
          decodeEverything(frame);
          decodeExtensions(Buffer.concat(frame.body));
        }
      }
    });
    fc.assert(property, { numRuns: 500 });
  });
});

test('the frames of a stream are the same however it is cut', () => {
  const places = fc.array(fc.nat(10_000), { maxLength: 30 });
  const property = fc.property(fc.array(anyPacket, { maxLength: 8 }), places, (packets, cuts) => {
    const stream = Buffer.concat(packets);
    const ends = [...cuts.filter((cut) => cut < stream.length), stream.length].sort((a, b) => a - b);
    const chunks = ends.map((end, index) => stream.subarray(ends[index - 1] ?? 0, end));
    const whole = ({ type, body }: Frame) => ({ type, body: Buffer.concat(body) });
    assert.deepEqual(framesOf(...chunks).map(whole), packets.map(frameOf).map(whole));
  });
  fc.assert(property, { numRuns: 200 });
});
