/** What the codec does with packets that are unusual, broken or hostile. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import { ProtocolError } from '../../../src/errors.js';
import { ByteWriter } from '../../../src/wire/bytes.js';
import {
  decodeHandshake,
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
} from '../../../src/wire/codec.js';
import { MAX_PACKET_LENGTH } from '../../../src/wire/framing.js';
import { handshakePackets, replies, requests } from '../../../src/wire/packets.js';
import { diagram, frameOf, framesOf, packetOf } from './diagram.js';

const ID = Buffer.of(0, 0, 0, 1);
const reply = (type: number, drawing: string) => decodeReply(frameOf(packetOf(type, diagram(drawing))));

describe('a packet of the wrong kind', () => {
  const types = (table: Readonly<Record<string, { readonly type: number }>>) =>
    Object.values(table).map(({ type }) => type);
  const refused = (decode: (type: number) => unknown, allowed: readonly number[]) => {
    for (const type of Array(256).keys()) {
      if (!allowed.includes(type)) assert.throws(() => decode(type), ProtocolError, `type ${type}`);
    }
  };

  test('P6: is no reply: a request, a packet of the handshake, a type that nobody knows', () => {
    refused((type) => decodeReply(frameOf(packetOf(type, Buffer.alloc(64)))), types(replies));
    assert.throws(() => reply(3, '00 00 00 01'), { message: 'A packet of type 3 is not allowed here' });
  });

  test('P6: is no request', () => {
    refused((type) => decodeRequest(frameOf(packetOf(type, Buffer.alloc(64)))), types(requests));
  });

  test('P5: is neither INIT nor VERSION', () => {
    for (const name of ['init', 'version'] as const) {
      const decode = (type: number) => decodeHandshake(frameOf(packetOf(type, Buffer.alloc(4))), name);
      refused(decode, [handshakePackets[name].type]);
    }
    assert.throws(() => decodeHandshake(frameOf(diagram('00 00 00 05 65 00 00 00 03')), 'version'), {
      name: 'ProtocolError',
      message: 'Expected VERSION (2) and got a packet of type 101',
    });
  });

  test('P9: still tells which reply it is, so that DATA for STAT can be refused', () => {
    assert.equal(reply(103, '00 00 00 01 00 00 00 00').kind, 'data');
    assert.deepEqual(reply(104, '00 00 00 01 00 00 00 00'), { kind: 'name', id: 1, names: [] });
    assert.deepEqual(reply(101, '00 00 00 01 00 00 00 00'), {
      kind: 'status',
      id: 1,
      status: 0,
      message: '',
      language: '',
    });
  });
});

describe('a packet without an id', () => {
  for (const { type } of [...Object.values(replies)]) {
    test(`is refused as a reply of type ${type}, empty or cut`, () => {
      for (let length = 0; length < 4; length++) {
        assert.throws(() => decodeReply(frameOf(packetOf(type, Buffer.alloc(length)))), ProtocolError);
      }
    });
  }
});

describe('bytes after the last field', () => {
  test('are let pass, as some servers add their own', () => {
    assert.deepEqual(reply(102, '00 00 00 01 00 00 00 01 "h" ff ff'), {
      kind: 'handle',
      id: 1,
      handle: Buffer.from('h'),
    });
    const request = decodeRequest(
      frameOf(packetOf(requests.close.type, diagram('00 00 00 01 00 00 00 01 "h" 07'))),
    );
    assert.deepEqual(request, { kind: 'close', id: 1, handle: Buffer.from('h') });
  });

  test('of a DATA reply are no content', () => {
    assert.deepEqual(reply(103, '00 00 00 01 00 00 00 02 "ab" "more"'), {
      kind: 'data',
      id: 1,
      data: [Buffer.from('ab')],
    });
    assert.deepEqual(reply(103, '00 00 00 01 00 00 00 00 "more"'), { kind: 'data', id: 1, data: [] });
  });
});

describe('a DATA reply', () => {
  const content = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 256));
  const packet = packetOf(103, Buffer.concat([ID, Buffer.of(0, 0, 3, 232), content]));

  test('keeps its content in the memory of the chunks', () => {
    const chunks = [packet.subarray(0, 500), packet.subarray(500, 600), packet.subarray(600)].map((piece) =>
      Uint8Array.from(piece),
    );
    const [frame] = framesOf(...chunks.map((piece) => Buffer.from(piece.buffer)));
    assert.ok(frame);
    const decoded = decodeReply(frame);
    assert.ok(decoded.kind === 'data');
    assert.deepEqual(
      decoded.data.map(({ buffer }) => buffer),
      chunks.map(({ buffer }) => buffer),
    );
    assert.deepEqual(
      decoded.data.map(({ length }) => length),
      [487, 100, 413],
    );
    assert.deepEqual(Buffer.concat(decoded.data), content);
  });

  test('may be cut anywhere, in its header too', () => {
    for (let cut = 1; cut < 20; cut++) {
      const [frame] = framesOf(
        packet.subarray(0, cut),
        packet.subarray(cut, cut + 1),
        packet.subarray(cut + 1),
      );
      assert.ok(frame);
      const decoded = decodeReply(frame);
      assert.ok(decoded.kind === 'data' && decoded.id === 1);
      assert.deepEqual(Buffer.concat(decoded.data), content);
    }
  });

  test('may be empty', () => {
    assert.deepEqual(reply(103, '00 00 00 01 00 00 00 00'), { kind: 'data', id: 1, data: [] });
  });

  test('is refused where it announces more than it holds', () => {
    assert.throws(() => reply(103, '00 00 00 01 00 00 00 03 "ab"'), {
      name: 'ProtocolError',
      message: 'A field of 3 bytes does not fit: 2 bytes are left',
    });
    assert.throws(() => reply(103, '00 00 00 01 ff ff ff ff "ab"'), ProtocolError);
    assert.throws(() => reply(103, '00 00 00 01 00 00 00'), ProtocolError);
  });
});

describe('a STATUS reply', () => {
  test('P18: may come without a message, and without a language', () => {
    const status = { kind: 'status', id: 1, status: 4, message: '', language: '' };
    assert.deepEqual(reply(101, '00 00 00 01 00 00 00 04'), status);
    const withMessage = reply(101, '00 00 00 01 00 00 00 04 00 00 00 02 "no"');
    assert.deepEqual(withMessage, { ...status, message: 'no' });
  });

  test('P18: may have 200 KB of escapes', () => {
    const message = '\x1b[31m'.repeat(40_000);
    const writer = new ByteWriter();
    encodeReply(writer, 1, 'status', { status: 4, message, language: '' });
    const decoded = decodeReply(frameOf(Buffer.concat(writer.take())));
    assert.ok(decoded.kind === 'status');
    assert.equal(decoded.message, message);
  });

  test('may have a message that is not UTF-8', () => {
    const decoded = reply(101, '00 00 00 01 00 00 00 04 00 00 00 02 "a" ff');
    assert.ok(decoded.kind === 'status');
    assert.equal(decoded.message, 'a\ufffd');
  });

  test('is refused without a code, or with half a message', () => {
    assert.throws(() => reply(101, '00 00 00 01'), ProtocolError);
    assert.throws(() => reply(101, '00 00 00 01 00 00 00 04 00 00'), ProtocolError);
    assert.throws(() => reply(101, '00 00 00 01 00 00 00 04 00 00 00 03 "no"'), ProtocolError);
  });
});

describe('P19: a handle', () => {
  for (const length of [0, 256]) {
    test(`may have ${length} bytes`, () => {
      const handle = Buffer.alloc(length, 0xfe);
      const writer = new ByteWriter();
      encodeReply(writer, 1, 'handle', { handle });
      encodeRequest(writer, 2, 'close', { handle });
      const [answer, request] = framesOf(Buffer.concat(writer.take()));
      assert.ok(answer && request);
      assert.deepEqual(decodeReply(answer), { kind: 'handle', id: 1, handle });
      assert.deepEqual(decodeRequest(request), { kind: 'close', id: 2, handle });
    });
  }

  test('of 257 bytes is refused from either side', () => {
    const body = Buffer.concat([ID, Buffer.of(0, 0, 1, 1), Buffer.alloc(257)]);
    const expected = {
      name: 'ProtocolError',
      message: 'A handle of 257 bytes: at most 256 are allowed',
    };
    assert.throws(() => decodeReply(frameOf(packetOf(102, body))), expected);
    assert.throws(() => decodeRequest(frameOf(packetOf(4, body))), expected);
  });
});

describe('the extensions of VERSION', () => {
  const decode = (drawing: string) =>
    decodeHandshake(frameOf(packetOf(2, diagram(drawing))), 'version').extensions;

  test('P21: may be named __proto__ or constructor, and pollute nothing', () => {
    const extensions = decode(`
      00 00 00 03
      00 00 00 09 "__proto__"   00 00 00 01 "1"
      00 00 00 0b "constructor" 00 00 00 01 "2"`);
    assert.deepEqual([...extensions.keys()], ['__proto__', 'constructor']);
    assert.equal(Object.getPrototypeOf(extensions), Map.prototype);
    assert.equal(Object.getPrototypeOf({}), Object.prototype);
    assert.equal({}.constructor, Object);
  });

  test('may be told twice: the last one counts', () => {
    const extensions = decode('00 00 00 03 00 00 00 01 "x" 00 00 00 01 "1" 00 00 00 01 "x" 00 00 00 01 "2"');
    assert.deepEqual([...extensions], [['x', Uint8Array.of(0x32)]]);
  });

  test('do not hold on to the packet', () => {
    const packet = packetOf(2, diagram('00 00 00 03 00 00 00 01 "x" 00 00 00 01 "1"'));
    const { extensions } = decodeHandshake(frameOf(packet), 'version');
    packet.fill(0);
    assert.deepEqual([...extensions], [['x', Uint8Array.of(0x31)]]);
  });

  test('are refused where the last one is cut', () => {
    assert.throws(() => decode('00 00 00 03 00 00 00 01 "x"'), ProtocolError);
    assert.throws(() => decode('00 00 00 03 00'), ProtocolError);
    assert.throws(() => decode('00 00 00 03 00 00 00 01 "x" ff ff ff ff'), ProtocolError);
  });
});

describe('P22: the count of a NAME reply', () => {
  test('of 2^32 - 1 is refused at once, and nothing is allocated for it', () => {
    const frame = frameOf(packetOf(104, Buffer.concat([ID, diagram('ff ff ff ff'), Buffer.alloc(1200)])));
    const before = process.memoryUsage();
    const start = performance.now();
    assert.throws(() => decodeReply(frame), {
      name: 'ProtocolError',
      message: 'A count of 4294967295 items does not fit into 1200 bytes',
    });
    assert.ok(performance.now() - start < 50);
    const after = process.memoryUsage();
    assert.ok(after.arrayBuffers - before.arrayBuffers < 1_000_000);
    assert.ok(after.heapUsed - before.heapUsed < 10_000_000);
  });

  test('is believed as far as so many names fit', () => {
    const body = (count: number, space: number) =>
      Buffer.concat([ID, Buffer.of(0, 0, 0, count), Buffer.alloc(space)]);
    assert.throws(() => decodeReply(frameOf(packetOf(104, body(3, 35)))), ProtocolError);
    const decoded = decodeReply(frameOf(packetOf(104, body(3, 36))));
    assert.ok(decoded.kind === 'name');
    assert.equal(decoded.names.length, 3);
  });

  test('may fill the largest packet with the shortest names', () => {
    const count = Math.floor((MAX_PACKET_LENGTH - 9) / 12);
    const header = Buffer.alloc(8);
    header.writeUInt32BE(count, 4);
    const decoded = decodeReply(frameOf(packetOf(104, Buffer.concat([header, Buffer.alloc(count * 12)]))));
    assert.ok(decoded.kind === 'name');
    assert.equal(decoded.names.length, count);
  });
});

test('P23: the largest request id is as good as any other, and the next one is refused', () => {
  const writer = new ByteWriter();
  encodeRequest(writer, 2 ** 32 - 1, 'stat', { path: Buffer.from('/') });
  assert.throws(() => encodeRequest(writer, 2 ** 32, 'stat', { path: Buffer.from('/') }), RangeError);
  assert.equal(decodeRequest(frameOf(Buffer.concat(writer.take()))).id, 2 ** 32 - 1);
});
