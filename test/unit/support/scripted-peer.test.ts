import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { ByteWriter } from '../../../src/wire/bytes.js';
import { encodeHandshake, encodeRequest } from '../../../src/wire/codec.js';
import type { RequestFields, RequestName } from '../../../src/wire/packets.js';
import { converse } from '../../support/scripted-peer.js';

function request<N extends RequestName>(stream: Duplex, id: number, name: N, fields: RequestFields<N>): void {
  const writer = new ByteWriter();
  encodeRequest(writer, id, name, fields);
  stream.write(Buffer.concat(writer.take()));
}

const path = Buffer.from('/a');

describe('the scripted peer', () => {
  test('fails the test when another request comes than the script expects', async () => {
    const conversation = converse(
      async (peer) => {
        await peer.expect('lstat', { path: '/a' });
      },
      async (stream) => {
        request(stream, 7, 'stat', { path });
        await once(stream, 'close');
      },
    );
    await assert.rejects(conversation, {
      message:
        "The script of the peer: it expects LSTAT { path: '/a' }, and the client has sent STAT { path: '/a' }",
    });
  });

  test('fails the test when a field differs, bytes that are no text as hexadecimal', async () => {
    const conversation = converse(
      async (peer) => {
        await peer.expect('stat', { path: Buffer.from([0xff]) });
      },
      async (stream) => request(stream, 7, 'stat', { path }),
    );
    await assert.rejects(conversation, {
      message:
        "The script of the peer: it expects STAT { path: '0xff' }, and the client has sent STAT { path: '/a' }",
    });
  });

  test('fails the test when a request comes after the end of the script', async () => {
    const conversation = converse(
      async () => {},
      async (stream) => request(stream, 7, 'remove', { path }),
    );
    await assert.rejects(conversation, {
      message:
        "The script of the peer: it expects nothing more, and the client has sent REMOVE { path: '/a' }",
    });
  });

  test('fails the test when the client ends before the script does', async () => {
    const conversation = converse(
      async (peer) => peer.expectInit(),
      async () => {},
    );
    await assert.rejects(conversation, {
      message: 'The script of the peer: it expects INIT, and the client has gone',
    });
  });

  test('fails the test with the error of the client where that is the first', async () => {
    const failure = new Error('an assertion of the client');
    const conversation = converse(
      async (peer) => peer.expectInit(),
      async () => {
        throw failure;
      },
    );
    await assert.rejects(conversation, failure);
  });

  test('fails the test at the deadline and says what it waits for', async () => {
    const never = new Promise<void>(() => {});
    const conversation = converse(
      async (peer) => {
        await peer.expect('open', { flags: 1 });
      },
      () => never,
      { deadlineMs: 5 },
    );
    await assert.rejects(conversation, {
      message: 'The script of the peer: not at its end after 5 ms, it waits for OPEN { flags: 1 }',
    });
  });

  test('takes a handshake, answers, sends raw bytes and resolves with what the client returns', async () => {
    const received = await converse(
      async (peer) => {
        await peer.handshake({ x: '1' });
        const stat = await peer.expect('stat');
        assert.equal(stat.id, 7);
        stat.status(2);
        peer.sendPacket(9, 'ff');
        peer.send('00 01');
        peer.end();
      },
      async (stream) => {
        const writer = new ByteWriter();
        encodeHandshake(writer, 'init', { version: 3, extensions: new Map() });
        stream.write(Buffer.concat(writer.take()));
        request(stream, 7, 'stat', { path });
        const chunks: Buffer[] = [];
        for await (const chunk of stream) chunks.push(chunk as Buffer);
        return Buffer.concat(chunks).toString('hex');
      },
    );
    const version = '0000000f 02 00000003 00000001 78 00000001 31';
    const status = '00000011 65 00000007 00000002 00000000 00000000';
    assert.equal(received, `${version}${status} 00000002 09 ff 0001`.replaceAll(' ', ''));
  });
});
