import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { createMemoryBackend } from '../../../../src/testing/backends/initial-files.js';
import { type Counters, createCounters } from '../../../../src/testing/counters.js';
import { usualExtensions } from '../../../../src/testing/sftp/extension-handlers.js';
import { serveSftp } from '../../../../src/testing/sftp/sftp-service.js';
import { ByteWriter } from '../../../../src/wire/bytes.js';
import { encodeHandshake, encodeRequest } from '../../../../src/wire/codec.js';
import { SSH_FXF } from '../../../../src/wire/packets.js';
import { anyPacket, mutatedPacket } from '../../wire/arbitraries.js';

const init = written((writer) => encodeHandshake(writer, 'init', { version: 3, extensions: new Map() }));

describe('the server side of a session with a hostile client', () => {
  test('survives any packets, and closes every file at the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(anyPacket, mutatedPacket), { maxLength: 30 }), async (packets) => {
        const { channel, counters } = serve();
        const closed = once(channel, 'close');
        channel.resume();
        channel.push(Buffer.concat([init, openFile(1), openFile(2), ...packets]));
        channel.push(null);
        await closed;
        assert.equal(counters.openHandles, 0);
      }),
      { numRuns: 300 },
    );
  });

  test('a client that asks and never reads is not answered without end', async () => {
    const { channel, counters, abort } = serve({ stalled: true });
    const reads = Array.from({ length: 2000 }, (_, id) =>
      written((writer) => {
        const handle = Buffer.alloc(4);
        encodeRequest(writer, id, 'read', { handle, offset: 0, length: 261_120 });
      }),
    );
    channel.push(Buffer.concat([init, openFile(1), ...reads]));
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(counters.requests.read >= 1);
    assert.ok(counters.bytesRead <= 1_000_000, `${counters.bytesRead} bytes were read ahead`);
    assert.equal(counters.openHandles, 1);
    abort();
    assert.equal(counters.openHandles, 0);
  });
});

function serve({ stalled = false } = {}): { channel: Duplex; counters: Counters; abort: () => void } {
  const counters = createCounters();
  const channel = new Duplex({
    read() {},
    write(_chunk, _encoding, done) {
      if (!stalled) done();
    },
  });
  const ended = new AbortController();
  serveSftp(channel, {
    backend: createMemoryBackend({ file: Buffer.alloc(261_120) }, 2 ** 24),
    home: '/',
    username: 'test',
    extensions: usualExtensions,
    faults: {},
    counters,
    disconnect: () => channel.destroy(),
    signal: ended.signal,
  });
  return { channel, counters, abort: () => ended.abort() };
}

function openFile(id: number): Buffer {
  const fields = { path: Buffer.from('file'), flags: SSH_FXF.READ, attributes: {} };
  return written((writer) => encodeRequest(writer, id, 'open', fields));
}

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.concat(writer.take());
}
