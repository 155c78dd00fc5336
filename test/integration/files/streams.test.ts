/** Streams of files: what arrives, how much is under way, and that no handle is left open. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, type Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection } from '../../../src/index.js';
import { type Faults, type SeenRequest, startServer, type TestServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';
import { contentOf, lengths, piecesOf } from './contents.js';

for (const kind of serverKinds) {
  describe(`Streams on ${kind.name}`, { skip: kind.skip }, () => {
    const world: { server?: ServerUnderTest; sftp?: Connection } = {};
    before(async () => {
      world.server = await kind.start();
      world.sftp = await world.server.connect();
    });
    after(async () => {
      await world.sftp?.close();
      await world.server?.stop();
    });

    function places(name: string): { sftp: Connection; here: string; there: string } {
      const { server, sftp } = world;
      assert.ok(server !== undefined && sftp !== undefined);
      return { sftp, here: join(server.folder, name), there: server.path(name) };
    }

    test('open and ready tell that the file is open, before anything is read or written', async () => {
      const { sftp, there } = places('open-and-ready');
      const seen: string[] = [];
      const note = (stream: Readable | Writable, ...events: readonly string[]) => {
        for (const event of events) stream.once(event, () => seen.push(event));
      };
      const writing = sftp.createWriteStream(there);
      note(writing, 'open', 'ready', 'finish', 'close');
      await pipeline(Readable.from(['content']), writing);
      const reading = sftp.createReadStream(there);
      note(reading, 'open', 'ready', 'data', 'end', 'close');
      await once(reading, 'close');
      assert.deepEqual(seen, ['open', 'ready', 'finish', 'close', 'open', 'ready', 'data', 'end', 'close']);
    });

    test('content of every length is streamed there and back identical', async () => {
      const { sftp, here, there } = places('identical');
      for (const length of lengths) {
        const content = contentOf(length);
        const writing = sftp.createWriteStream(there);
        await pipeline(Readable.from(piecesOf(content, 50_001)), writing);
        assert.equal(writing.bytesWritten, length);
        assert.ok(readFileSync(here).equals(content));
        const reading = sftp.createReadStream(there);
        assert.ok((await contentFrom(reading)).equals(content));
        assert.equal(reading.bytesRead, length);
        assert.equal(reading.path, there);
      }
    });

    test('start and end are the first and the last byte, as in Node', async () => {
      const { sftp, here, there } = places('range');
      writeFileSync(here, '0123456789');
      const read = async (options: object) =>
        String(await contentFrom(sftp.createReadStream(there, options)));
      assert.equal(await read({ start: 3 }), '3456789');
      assert.equal(await read({ end: 3 }), '0123');
      assert.equal(await read({ start: 3, end: 3 }), '3');
      assert.equal(await read({ start: 8, end: 100 }), '89');
      assert.equal(await read({ start: 8, end: Number.POSITIVE_INFINITY }), '89');
      assert.equal(await read({ start: 10 }), '');
      assert.equal(await read({ start: 100 }), '');
    });

    test('a stream writes into a file at start, or at the end, or only where there is none', async () => {
      const { sftp, here, there } = places('flags');
      writeFileSync(here, '0123456789');
      sftp.createWriteStream(there, { flags: 'r+', start: 4 }).end('xx');
      const append = await ended(sftp.createWriteStream(there, { flags: 'a' }), 'end');
      assert.equal(append.closed, true);
      assert.equal(readFileSync(here, 'latin1'), '0123xx6789end');
      await assert.rejects(ended(sftp.createWriteStream(there, { flags: 'wx' }), 'x'), {
        name: 'SftpStatusError',
        operation: 'open',
      });
      await ended(sftp.createWriteStream(there), 'whole');
      assert.equal(readFileSync(here, 'latin1'), 'whole');
    });

    test('text is decoded without tearing characters apart, and encoded', async () => {
      const { sftp, here, there } = places('text');
      const text = 'é€😀'.repeat(10_000);
      await ended(sftp.createWriteStream(there, { encoding: 'utf16le' }), text);
      assert.equal(readFileSync(here, 'utf16le'), text);
      const stream = sftp.createReadStream(there, { encoding: 'utf16le', highWaterMark: 1001 });
      assert.equal((await stream.toArray()).join(''), text);
    });

    test('an open file gives streams, which close it unless told otherwise', async () => {
      const { sftp, here, there } = places('of-file');
      writeFileSync(here, '0123456789');
      const file = await sftp.open(there, 'r+');
      await file.seek(2);
      const options = { autoClose: false };
      assert.equal(String(await contentFrom(file.createReadStream(options))), '23456789');
      assert.equal(file.tell(), 2);
      await ended(file.createWriteStream(options), 'ab');
      await ended(file.createWriteStream({ ...options, start: 9 }), 'c');
      assert.equal(String(await contentFrom(file.createReadStream({ start: 1, end: 4 }))), '1ab4');
      await assert.rejects(file.read(), { code: 'EBADF' });
      assert.equal(readFileSync(here, 'latin1'), '01ab45678c');
      const again = await sftp.open(there, 'r+');
      await pipeline(Readable.from(['AB']), again.createWriteStream());
      await assert.rejects(again.write('x'), { code: 'EBADF' });
      assert.equal(readFileSync(here, 'latin1'), 'ABab45678c');
    });

    test('lines written one by one are there when the stream has finished', async () => {
      const { sftp, here, there } = places('small');
      const stream = sftp.createWriteStream(there);
      let expected = '';
      for (let line = 0; line < 20_000; line += 1) {
        expected += `${line}\n`;
        if (!stream.write(`${line}\n`)) await once(stream, 'drain');
      }
      stream.end();
      await finished(stream);
      assert.equal(readFileSync(here, 'latin1'), expected);
    });
  });
}

describe('Streams', () => {
  const MIB = 1024 * 1024;
  /** What the embedded server allows in one request. */
  const CHUNK_LENGTH = 261_120;

  interface World {
    readonly server: TestServer;
    readonly sftp: Connection;
    readonly seen: SeenRequest[];
  }

  async function start(t: TestContext, faults: Faults = {}, content = contentOf(3 * MIB)): Promise<World> {
    const seen: SeenRequest[] = [];
    const failOn = (request: SeenRequest) => {
      seen.push(request);
      return faults.failOn?.(request);
    };
    const server = await startServer({ files: { file: content } }, { faults: { ...faults, failOn } });
    t.after(() => server.close());
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    await sftp.stat('.');
    seen.length = 0;
    return { server, sftp, seen };
  }

  /** Resolves when everything that was sent so far has been looked at by the server. */
  async function settled({ sftp, server }: World): Promise<void> {
    for (let before = -1; before !== server.counters.bytesRead + server.counters.bytesWritten; ) {
      before = server.counters.bytesRead + server.counters.bytesWritten;
      for (let turn = 0; turn < 5; turn += 1) await sftp.stat('.');
    }
  }

  const oddities: Readonly<Record<string, Faults>> = {
    'gives short reads': { maxReadLength: 10_007 },
    'answers one request at a time': { oneAtATime: true },
    'answers out of order': { outOfOrder: true },
    'takes sequential writes only': { sequentialWrites: true },
    'tells a size of 0': { size: 'zero' },
    'tells no size': { size: 'absent' },
  };
  for (const [what, faults] of Object.entries(oddities)) {
    test(`are identical both ways on a server that ${what}`, async (t) => {
      const content = contentOf(MIB + 1);
      const { sftp, server } = await start(t, faults, content);
      assert.ok((await contentFrom(sftp.createReadStream('file'))).equals(content));
      assert.ok((await sftp.readFile('file')).equals(content));
      await pipeline(Readable.from(piecesOf(content, 70_001)), sftp.createWriteStream('copy'));
      assert.ok(server.readFile('/copy').equals(content));
      assert.equal(server.counters.openHandles, 0);
    });
  }

  test('a consumer that does not read holds no more than highWaterMark', async (t) => {
    for (const highWaterMark of [1, 1000, 300_000, 2 * MIB]) {
      const world = await start(t);
      const stream = world.sftp.createReadStream('file', { highWaterMark });
      stream.once('readable', () => {});
      await settled(world);
      const { bytesRead } = world.server.counters;
      // One chunk has been given to Node, which had asked for it.
      const most = highWaterMark + Math.min(highWaterMark, CHUNK_LENGTH);
      assert.ok(bytesRead > 0 && bytesRead <= most, `${bytesRead} of ${highWaterMark} bytes`);
      stream.destroy();
      await once(stream, 'close');
      await settled(world);
      assert.equal(world.server.counters.openHandles, 0);
    }
  });

  test('reading goes on as the consumer takes bytes, and stays within highWaterMark', async (t) => {
    const world = await start(t, {}, contentOf(MIB));
    const highWaterMark = 100_000;
    const received: Buffer[] = [];
    let count = 0;
    for await (const chunk of world.sftp.createReadStream('file', {
      highWaterMark,
    }) as AsyncIterable<Buffer>) {
      received.push(chunk);
      count += chunk.length;
      if (received.length % 8 === 0) await settled(world);
      assert.ok(world.server.counters.bytesRead <= count + highWaterMark);
    }
    assert.ok(Buffer.concat(received).equals(contentOf(MIB)));
  });

  test('a server that does not answer is sent no more than highWaterMark, and the producer waits', async (t) => {
    for (const highWaterMark of [1000, 300_000, 2 * MIB]) {
      let release: () => void = () => {};
      const gate = new Promise<undefined>((resolve) => {
        release = () => resolve(undefined);
      });
      const world = await start(t, { failOn: ({ kind }) => (kind === 'write' ? gate : undefined) });
      const stream = world.sftp.createWriteStream('new', { highWaterMark });
      const content = contentOf(3 * MIB);
      let taken = 0;
      const source = function* () {
        for (const piece of piecesOf(content, 500)) {
          taken += piece.length;
          yield piece;
        }
      };
      const writing = pipeline(Readable.from(source(), { highWaterMark: 1 }), stream);
      await world.sftp.stat('.').catch(() => {});
      await nextTurn();
      let before = -1;
      while (before !== taken) {
        before = taken;
        for (let turn = 0; turn < 100; turn += 1) await nextTurn();
      }
      assert.ok(taken <= highWaterMark + 2000, `${taken} of ${highWaterMark} bytes`);
      release();
      await writing;
      assert.ok(world.server.readFile('/new').equals(content));
    }
  });

  test('writes go in ascending order without a gap', async (t) => {
    const { sftp, seen } = await start(t);
    await pipeline(Readable.from(piecesOf(contentOf(2 * MIB), 33_333)), sftp.createWriteStream('new'));
    let offset = 0;
    for (const request of seen.filter(({ kind }) => kind === 'write')) {
      assert.equal(request.offset, offset);
      offset += request.length ?? 0;
    }
    assert.equal(offset, 2 * MIB);
  });

  test('the memory of a chunk may be used again when its write has called back', async (t) => {
    const { sftp, server } = await start(t);
    const stream = sftp.createWriteStream('new');
    const chunk = Buffer.alloc(100_000);
    for (let value = 0; value < 20; value += 1) {
      chunk.fill(value);
      await new Promise<void>((resolve, reject) =>
        stream.write(chunk, (error) => (error ? reject(error) : resolve())),
      );
    }
    stream.end();
    await finished(stream);
    const content = server.readFile('/new');
    for (let value = 0; value < 20; value += 1) {
      assert.ok(content.subarray(value * 100_000, (value + 1) * 100_000).every((byte) => byte === value));
    }
  });

  test('a small write is sent at once, though more may come', async (t) => {
    const { sftp, server } = await start(t);
    const stream = sftp.createWriteStream('new');
    stream.write('first');
    while (server.counters.bytesWritten < 5) await sftp.stat('.');
    assert.equal(server.readFile('/new').toString(), 'first');
    stream.end();
    await finished(stream);
  });

  test('finish comes only after a CLOSE that was answered with OK', async (t) => {
    const faults: Faults = {
      failOn: ({ kind, path }) => (kind === 'close' && path === '/new' ? 'ENOSPC' : undefined),
      reasons: true,
    };
    const { sftp } = await start(t, faults);
    const stream = sftp.createWriteStream('new');
    let hasFinished = false;
    stream.on('finish', () => {
      hasFinished = true;
    });
    stream.end('content');
    await assert.rejects(finished(stream), { name: 'SftpStatusError', code: 'ENOSPC', operation: 'close' });
    assert.equal(hasFinished, false);
  });

  test('one write that fails fails the stream, and the handle is closed', async (t) => {
    const failOn = ({ kind, offset = 0 }: SeenRequest) =>
      kind === 'write' && offset > MIB ? 'ENOSPC' : undefined;
    const world = await start(t, { failOn, reasons: true });
    const writing = pipeline(
      Readable.from(piecesOf(contentOf(3 * MIB), 65_536)),
      world.sftp.createWriteStream('new'),
    );
    await assert.rejects(writing, { name: 'SftpStatusError', code: 'ENOSPC', operation: 'write' });
    await settled(world);
    assert.equal(world.server.counters.openHandles, 0);
  });

  test('one read that fails fails the stream, and the handle is closed', async (t) => {
    const failOn = ({ kind, offset = 0 }: SeenRequest) =>
      kind === 'read' && offset > MIB ? 'EACCES' : undefined;
    const world = await start(t, { failOn });
    await assert.rejects(contentFrom(world.sftp.createReadStream('file')), {
      code: 'EACCES',
      operation: 'read',
    });
    await settled(world);
    assert.equal(world.server.counters.openHandles, 0);
  });

  test('a file that shrinks while it is read is an error, one that grows is read to its end', async (t) => {
    const { sftp, server } = await start(t);
    const opened = async (change: (size: number) => Promise<unknown>) => {
      const stream = sftp.createReadStream('file', { highWaterMark: 10_000 });
      await once(stream, 'readable');
      await change(3 * MIB);
      return contentFrom(stream);
    };
    const longer = await opened((size) => sftp.truncate('file', size + 500_000));
    assert.equal(longer.length, 3 * MIB + 500_000);
    const size = server.readFile('/file').length;
    await assert.rejects(
      opened(() => sftp.truncate('file', 100_000)),
      {
        name: 'TransferError',
        code: 'SOURCE_CHANGED',
        bytesDone: 100_000,
        message: `'file' ended after 100000 of ${size} bytes while it was read; retry once nothing is writing to it`,
      },
    );
  });

  test('what cannot be opened is an error event, and leaves nothing open', async (t) => {
    const world = await start(t);
    await assert.rejects(contentFrom(world.sftp.createReadStream('missing')), { code: 'ENOENT' });
    await assert.rejects(contentFrom(world.sftp.createReadStream('.')), { code: 'EISDIR' });
    await assert.rejects(ended(world.sftp.createWriteStream('no/such'), 'x'), { code: 'ENOENT' });
    await settled(world);
    assert.equal(world.server.counters.openHandles, 0);
  });

  const moments: Readonly<Record<string, (stream: Readable | Writable) => Promise<unknown>>> = {
    'at once': async () => {},
    'while it is opened': async () => nextTurn(),
    'in the middle': async (stream) =>
      stream instanceof Readable ? once(stream, 'readable') : new Promise((done) => stream.write('x', done)),
  };
  for (const [when, wait] of Object.entries(moments)) {
    test(`a stream destroyed ${when} leaves nothing open`, async (t) => {
      const world = await start(t);
      for (const stream of [world.sftp.createReadStream('file'), world.sftp.createWriteStream('new')]) {
        const closed = once(stream, 'close');
        await wait(stream);
        stream.destroy();
        await closed;
      }
      await settled(world);
      assert.equal(world.server.counters.openHandles, 0);
    });

    test(`a stream aborted ${when} fails with the signal's reason and leaves nothing open`, async (t) => {
      const world = await start(t);
      const make = [
        (signal: AbortSignal) => world.sftp.createReadStream('file', { signal }),
        (signal: AbortSignal) => world.sftp.createWriteStream('new', { signal }),
      ];
      for (const create of make) {
        const abort = new AbortController();
        const reason = new Error('enough');
        const stream = create(abort.signal);
        const failure = once(stream, 'error');
        await wait(stream);
        abort.abort(reason);
        assert.deepEqual(await failure, [reason]);
        await settled(world);
      }
      assert.equal(world.server.counters.openHandles, 0);
    });
  }

  test('a signal that has been aborted before sends nothing', async (t) => {
    const { sftp, seen } = await start(t);
    const signal = AbortSignal.abort(new Error('before'));
    await assert.rejects(contentFrom(sftp.createReadStream('file', { signal })), /before/);
    await assert.rejects(ended(sftp.createWriteStream('new', { signal }), 'x'), /before/);
    await assert.rejects(sftp.readFile('file', { signal }), /before/);
    await assert.rejects(sftp.writeFile('new', 'x', { signal }), /before/);
    await assert.rejects(sftp.open('file', 'a', { signal }), /before/);
    await sftp.stat('.');
    assert.deepEqual(
      seen.map(({ kind }) => kind),
      ['stat'],
    );
  });

  test('a pipeline that is broken by its other end leaves nothing open', async (t) => {
    const world = await start(t);
    const broken = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        yield chunk;
        throw new Error('broken');
      }
    };
    const reading = world.sftp.createReadStream('file');
    await assert.rejects(pipeline(reading, broken, world.sftp.createWriteStream('new')), /broken/);
    await settled(world);
    assert.equal(world.server.counters.openHandles, 0);
  });

  test('a consumer that waits for another transfer of the connection does not stop it', async (t) => {
    const { sftp } = await start(t);
    const streams = Array.from({ length: 8 }, () => sftp.createReadStream('file'));
    await Promise.all(streams.map((stream) => once(stream, 'readable')));
    assert.equal((await sftp.readFile('file')).length, 3 * MIB);
    await pipeline(sftp.createReadStream('file'), sftp.createWriteStream('copy'));
    for (const stream of streams) assert.equal((await contentFrom(stream)).length, 3 * MIB);
  });

  test('a lost connection fails every stream', async (t) => {
    const { sftp, server } = await start(t);
    const reading = sftp.createReadStream('file', { highWaterMark: 1000 });
    const writing = sftp.createWriteStream('new');
    await Promise.all([once(reading, 'readable'), new Promise((done) => writing.write('x', done))]);
    // Nobody need write to it to hear of that.
    const failing = once(writing, 'error');
    server.disconnectAll();
    await assert.rejects(contentFrom(reading), { name: 'ConnectionLostError' });
    assert.equal((await failing)[0].name, 'ConnectionLostError');
    await assert.rejects(ended(writing, 'y'));
  });

  test('closing a file destroys its streams', async (t) => {
    const world = await start(t);
    const file = await world.sftp.open('file', 'r+');
    const reading = file.createReadStream();
    const writing = file.createWriteStream();
    await once(reading, 'readable');
    const failures = [once(reading, 'error'), once(writing, 'error')];
    await file.close();
    for (const [error] of await Promise.all(failures)) assert.equal(error.code, 'EBADF');
    await settled(world);
    assert.equal(world.server.counters.openHandles, 0);
  });

  test('many streams one after the other leave no handle', async (t) => {
    const world = await start(t, { maxHandles: 4 }, contentOf(1000));
    for (let turn = 0; turn < 100; turn += 1) {
      const stream = world.sftp.createReadStream('file');
      if (turn % 2 === 0) await contentFrom(stream);
      else for await (const _ of stream) break;
      await ended(world.sftp.createWriteStream('new'), 'x');
    }
    assert.equal(world.server.counters.openHandles, 0);
  });
});

async function contentFrom(stream: Readable): Promise<Buffer> {
  return Buffer.concat((await stream.toArray()) as Buffer[]);
}

async function ended<W extends Writable>(stream: W, content: string): Promise<W> {
  stream.end(content);
  await finished(stream);
  return stream;
}
