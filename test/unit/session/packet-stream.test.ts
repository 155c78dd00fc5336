import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { ConnectionLostError } from '../../../src/errors.js';
import { Session } from '../../../src/session/session.js';
import { SftpClient } from '../../../src/session/sftp-client.js';
import { decodePath } from '../../../src/shared/remote-path.js';
import { ByteWriter } from '../../../src/wire/bytes.js';
import { decodeRequest, encodeReply } from '../../../src/wire/codec.js';
import { type Frame, FrameDecoder } from '../../../src/wire/framing.js';
import { converseInSession } from './conversation.js';

/** A stream that takes a write only when the test lets it, and answers VERSION by itself. */
class SluggishStream extends Duplex {
  readonly written: Buffer[] = [];
  #free = true;
  #taken: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: string, taken: () => void): void {
    this.written.push(chunk);
    if (this.#free) taken();
    else this.#taken = taken;
    if (this.written.length === 1) this.push(Buffer.from('000000050200000003', 'hex'));
  }

  override _read(): void {}

  hold(): void {
    this.#free = false;
  }

  /** Takes what is held back, and the next writes as well where `free`. */
  admit(free = false): void {
    this.#free = free;
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
  }

  /** Paths of the STATs that were written, with their ids. */
  requests(): { id: number; path: string }[] {
    const frames: Frame[] = [...new FrameDecoder().decode(Buffer.concat(this.written.slice(1)))];
    return frames.map((frame) => {
      const request = decodeRequest(frame);
      if (request.kind !== 'stat') throw new Error(`a STAT was expected, not ${request.kind}`);
      return { id: request.id, path: decodePath(request.path) };
    });
  }

  answer(id: number): void {
    const writer = new ByteWriter();
    encodeReply(writer, id, 'attrs', { attributes: { size: id } });
    this.push(Buffer.concat(writer.take()));
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function sluggish(options: { highWaterMark?: number; noProgressTimeoutMs?: number } = {}) {
  const { highWaterMark = 64, noProgressTimeoutMs } = options;
  const stream = new SluggishStream({ highWaterMark });
  const session = await Session.open(stream, { noProgressTimeoutMs });
  stream.hold();
  return { stream, session, client: new SftpClient({ session }) };
}

describe('backpressure', () => {
  test('a stream that never drains stops the encoding: little is written or buffered', async () => {
    const { stream, client, session } = await sluggish();
    const calls = Array.from({ length: 1000 }, (_, index) =>
      client.stat(`/${index}`).catch((error: unknown) => error),
    );
    await turn();
    const encoded = stream.writableLength;
    assert.ok(encoded >= 64 && encoded < 64 + 100, `${encoded} bytes`);
    assert.equal(session.pendingCount, 1000);
    const reason = new Error('over');
    session.destroy(reason);
    assert.deepEqual(new Set(await Promise.all(calls)), new Set([reason]));
  });

  test('the content of many writes is bounded as well', async () => {
    const { stream, client, session } = await sluggish({ highWaterMark: 16_384 });
    const handle = { bytes: Buffer.from('h'), path: '/f' };
    const content = [Buffer.alloc(32_768)];
    for (let call = 0; call < 100; call += 1) client.write(handle, 0, content).catch(() => {});
    await turn();
    assert.ok(stream.writableLength < 2 * 33_000, `${stream.writableLength} bytes`);
    session.destroy(new Error('over'));
  });

  test('all of them go out after it drains, in order', async () => {
    const { stream, client } = await sluggish();
    const paths = Array.from({ length: 500 }, (_, index) => `/${index}`);
    const calls = paths.map((path) => client.stat(path));
    await turn();
    stream.admit(true);
    while (stream.requests().length < paths.length) await turn();
    const requests = stream.requests();
    assert.deepEqual(
      requests.map(({ path }) => path),
      paths,
    );
    for (const { id } of requests.toReversed()) stream.answer(id);
    const sizes = (await Promise.all(calls)).map(({ size }) => size);
    assert.deepEqual(
      sizes,
      requests.map(({ id }) => id),
    );
    stream.destroy();
  });

  test('one that takes a little at a time gets a little at a time, in order', async () => {
    const { stream, client, session } = await sluggish();
    const paths = Array.from({ length: 60 }, (_, index) => `/${index}`);
    for (const path of paths) client.stat(path).catch(() => {});
    let most = 0;
    while (stream.requests().length < paths.length) {
      await turn();
      most = Math.max(most, stream.writableLength);
      stream.admit();
    }
    assert.ok(most < 64 + 100, `${most} bytes`);
    assert.deepEqual(
      stream.requests().map(({ path }) => path),
      paths,
    );
    session.destroy(new Error('over'));
  });

  test('requests that are aborted while they wait are never sent', async () => {
    const { stream, client, session } = await sluggish();
    const controller = new AbortController();
    const paths = Array.from({ length: 100 }, (_, index) => `/${index}`);
    const calls = paths.map((path, index) =>
      client.stat(path, index % 2 === 0 ? {} : { signal: controller.signal }),
    );
    const settled = Promise.allSettled(calls);
    await turn();
    const before = session.pendingCount;
    controller.abort();
    stream.admit(true);
    await turn();
    while (stream.writableLength > 0) await turn();
    await turn();
    const requests = stream.requests();
    for (const { id } of requests) stream.answer(id);
    const results = await settled;
    // What was encoded before the stream was full had to go.
    const firsts = requests.filter(({ path }) => Number(path.slice(1)) % 2 === 1);
    assert.ok(firsts.length < 5, `${firsts.length} were sent`);
    assert.equal(requests.length, 50 + firsts.length);
    for (const [index, result] of results.entries()) {
      assert.equal(result.status, index % 2 === 0 ? 'fulfilled' : 'rejected', `call ${index}`);
    }
    assert.equal(before, 100);
    assert.equal(session.pendingCount, 0);
    stream.destroy();
  });

  test('P7: a reply to a request that still waits is a reply to nothing', async () => {
    const { stream, client, session } = await sluggish();
    const calls = Array.from({ length: 20 }, (_, index) => client.stat(`/${index}`));
    const settled = Promise.allSettled(calls);
    await turn();
    stream.answer(19);
    assert.equal((await session.closed).message, 'Received a reply for the unknown request id 19');
    assert.ok((await settled).every(({ status }) => status === 'rejected'));
  });

  test('a request that cannot be encoded fails alone when its turn comes', async () => {
    const { stream, client, session } = await sluggish();
    const calls = Array.from({ length: 10 }, (_, index) => client.stat(`/${index}`));
    const impossible = client.setstat('/x', { mode: -1 });
    const last = client.stat('/last');
    await turn();
    stream.admit(true);
    await assert.rejects(impossible, RangeError);
    await turn();
    for (const { id } of stream.requests()) stream.answer(id);
    await Promise.all([...calls, last]);
    assert.equal(session.pendingCount, 0);
    stream.destroy();
  });
});

describe('writing', () => {
  test('the requests of one turn leave in one write', async () => {
    await converseInSession(
      async (peer) => {
        const before = peer.chunkLengths.length;
        const first = await peer.expect('stat');
        for (let call = 1; call < 50; call += 1) await peer.expect('stat');
        assert.equal(peer.chunkLengths.length, before + 1);
        // And so do those that follow from one chunk of replies.
        first.attributes({});
        await peer.expect('lstat');
        await peer.expect('lstat');
        assert.equal(peer.chunkLengths.length, before + 2);
      },
      async ({ client }) => {
        const calls = Array.from({ length: 50 }, () => client.stat('/some/path'));
        for (const call of calls.slice(1)) call.catch(() => {});
        await calls[0];
        client.lstat('/a').catch(() => {});
        await Promise.resolve();
        client.lstat('/b').catch(() => {});
      },
      { stream: { highWaterMark: 65_536 } },
    );
  });

  test('content of a write is not copied', async () => {
    const { stream, client, session } = await sluggish({ highWaterMark: 1 << 20 });
    const content = Buffer.alloc(32_768, 1);
    client.write({ bytes: Buffer.from('h'), path: '/f' }, 0, [content]).catch(() => {});
    await turn();
    stream.admit(true);
    await turn();
    assert.ok(stream.written.includes(content));
    session.destroy(new Error('over'));
  });

  test('bytes that are taken count as progress, though no reply comes', async () => {
    const { stream, client, session } = await sluggish({ highWaterMark: 1, noProgressTimeoutMs: 600 });
    const handle = { bytes: Buffer.from('h'), path: '/f' };
    for (let call = 0; call < 40; call += 1) {
      client.write(handle, 0, [Buffer.alloc(8192)]).catch(() => {});
    }
    const started = performance.now();
    while (performance.now() - started < 1000) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      assert.equal(session.endReason, undefined);
      stream.admit();
    }
    // Nothing is taken any more.
    const hold = setTimeout(() => {}, 10_000);
    const reason = await session.closed;
    clearTimeout(hold);
    assert.ok(reason instanceof ConnectionLostError);
    assert.equal(reason.code, 'ETIMEDOUT');
  });

  test('an error of the stream after its end is nobody’s', async () => {
    const { stream, session } = await sluggish();
    const reason = new Error('over');
    session.destroy(reason);
    stream.emit('error', new Error('late'));
    stream.push(null);
    await turn();
    assert.equal(await session.closed, reason);
  });

  test('what a stream throws that is no Error is told too', async () => {
    const { stream, session } = await sluggish();
    stream.emit('error', 'a mere string');
    assert.equal((await session.closed).message, 'The connection to the server was lost: a mere string');
  });
});

describe('reading', () => {
  test('P2: replies in pieces of one byte', async () => {
    await converseInSession(
      async (peer) => {
        const { id } = await peer.expect('read');
        const reply = Buffer.from(`0000000d67${id.toString(16).padStart(8, '0')}0000000461626364`, 'hex');
        for (const byte of reply) peer.send(Uint8Array.of(byte));
      },
      async ({ client }) => {
        const pieces = await client.read({ bytes: Buffer.from('h'), path: '/f' }, 0, 4);
        assert.equal(Buffer.concat(pieces ?? []).toString(), 'abcd');
      },
    );
  });

  test('P2: 1,000 replies in one piece', async () => {
    await converseInSession(
      async (peer) => {
        const ids: number[] = [];
        for (let call = 0; call < 1000; call += 1) ids.push((await peer.expect('stat')).id);
        const writer = new ByteWriter();
        for (const id of ids) encodeReply(writer, id, 'attrs', { attributes: { size: id } });
        peer.send(Buffer.concat(writer.take()));
      },
      async ({ client }) => {
        const calls = Array.from({ length: 1000 }, () => client.stat('/'));
        const sizes = (await Promise.all(calls)).map(({ size }) => size);
        assert.deepEqual(
          sizes,
          sizes.map((_, index) => index),
        );
      },
    );
  });
});
