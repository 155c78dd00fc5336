/** The streams over files that only exist here: how many requests and bytes are under way. */
import assert from 'node:assert/strict';
import { finished, pipeline } from 'node:stream/promises';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SourceFile, TargetFile } from '../../../../src/transfer/file-system.js';
import { UNKNOWN_INFO } from '../../../../src/transfer/memory.js';
import { RemoteReadStream } from '../../../../src/transfer/streams/read-stream.js';
import { streamBytes } from '../../../../src/transfer/streams/stream-options.js';
import { RemoteWriteStream } from '../../../../src/transfer/streams/write-stream.js';

const CHUNK_LENGTH = 10_000;
const TOTAL = 4_000_000;

/** A line on which every request takes a while, and what is on it. */
class Line {
  requests = 0;
  mostRequests = 0;
  bytes = 0;
  mostBytes = 0;
  closed = 0;

  async carry(length: number): Promise<void> {
    this.requests += 1;
    this.bytes += length;
    this.mostRequests = Math.max(this.mostRequests, this.requests);
    this.mostBytes = Math.max(this.mostBytes, this.bytes);
    for (let turn = 0; turn < 5; turn += 1) await nextTurn();
    this.requests -= 1;
    this.bytes -= length;
  }
}

function readStream(line: Line, highWaterMark?: number): RemoteReadStream {
  const file: SourceFile = {
    info: UNKNOWN_INFO,
    read: async (offset, length) => {
      await line.carry(length);
      const count = Math.min(length, TOTAL - offset);
      return count > 0 ? [Buffer.alloc(count, offset / CHUNK_LENGTH)] : null;
    },
    close: async () => {
      line.closed += 1;
    },
  };
  const from = {
    path: '/f',
    position: 0,
    chunkLength: () => CHUNK_LENGTH,
    roundTripMs: () => 1,
    open: async () => file,
  };
  return new RemoteReadStream(from, { highWaterMark });
}

function writeStream(line: Line, highWaterMark?: number): RemoteWriteStream {
  let written = 0;
  const file: TargetFile = {
    isOrdered: true,
    write: async (offset, pieces) => {
      assert.equal(offset, written);
      for (const piece of pieces) written += piece.length;
      await line.carry(written - offset);
    },
    setAttributes: async () => {},
    close: async () => {
      line.closed += 1;
    },
  };
  const open = async () => ({ file, position: 0 });
  return new RemoteWriteStream({ path: '/f', chunkLength: () => CHUNK_LENGTH, open }, { highWaterMark });
}

async function* zeros(length: number): AsyncGenerator<Buffer> {
  for (let done = 0; done < TOTAL; done += length) yield Buffer.alloc(Math.min(length, TOTAL - done));
}

describe('Streams over a line', () => {
  test('have many requests under way at once, both ways', async () => {
    const [reading, writing] = [new Line(), new Line()];
    await pipeline(readStream(reading), writeStream(writing));
    assert.ok(reading.mostRequests >= 16, `${reading.mostRequests} READs`);
    assert.ok(writing.mostRequests >= 16, `${writing.mostRequests} WRITEs`);
    assert.deepEqual([reading.closed, writing.closed], [1, 1]);
  });

  for (const highWaterMark of [1, 7, 10_000, 65_536, 200_000]) {
    test(`never have more than ${highWaterMark} bytes under way where that is asked for`, async () => {
      const line = new Line();
      const reader = readStream(line, highWaterMark);
      if (highWaterMark < 1000) {
        for await (const _ of reader) if (reader.bytesRead > 100) break;
      } else await reader.toArray();
      assert.ok(line.mostBytes <= highWaterMark, `${line.mostBytes} bytes of READs`);
      const back = new Line();
      const writer = writeStream(back, highWaterMark);
      writer.end(Buffer.alloc(Math.min(TOTAL, highWaterMark * 20)));
      await finished(writer);
      assert.ok(back.mostBytes <= highWaterMark, `${back.mostBytes} bytes of WRITEs`);
      assert.deepEqual([line.closed, back.closed], [1, 1]);
    });
  }

  test('may have as much on the way as a long line holds, within bounds', () => {
    const mebibytes = [0.1, 4, 10, 50, Number.POSITIVE_INFINITY].map((ms) => streamBytes(ms) / 2 ** 20);
    assert.deepEqual(mebibytes, [4, 4, 10, 16, 16]);
  });

  test('gather small writes of one tick into full requests', async () => {
    const line = new Line();
    let count = 0;
    const carry = line.carry.bind(line);
    line.carry = (length) => {
      count += 1;
      return carry(length);
    };
    await pipeline(zeros(100), writeStream(line));
    assert.ok(count < 2 * (TOTAL / CHUNK_LENGTH), `${count} WRITEs`);
  });

  test('arguments that cannot be meant are thrown at the call', () => {
    const make = (options: object) => () => new RemoteReadStream(source, options);
    const source = {
      path: '/f',
      position: 0,
      chunkLength: () => 1,
      roundTripMs: () => 1,
      open: () => assert.fail('opened'),
    };
    assert.throws(make({ start: -1 }), RangeError);
    assert.throws(make({ start: '1' }), TypeError);
    assert.throws(make({ end: Number.NaN }), RangeError);
    assert.throws(make({ start: 2, end: 1 }), new RangeError('start 2 is behind end 1'));
    assert.throws(make({ highWaterMark: 0 }), new RangeError('highWaterMark must be greater than 0'));
    assert.throws(make({ highWaterMark: 0.5 }), RangeError);
    assert.throws(make({ encoding: 'klingon' }), TypeError);
  });
});
