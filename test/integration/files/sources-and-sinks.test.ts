/** getfo and putfo: whatever gives bytes or takes them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createReadStream, createWriteStream, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import { after, before, describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection, ContentSource } from '../../../src/index.js';
import { type Faults, startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';
import { contentOf, lengths, piecesOf } from './contents.js';

const sources: Readonly<Record<string, (content: Buffer) => ContentSource>> = {
  'a Readable': (content) => Readable.from(piecesOf(content, 65_536)),
  'a Readable of tiny chunks': (content) => Readable.from(piecesOf(content.subarray(0, 100_000), 7)),
  'a web ReadableStream': (content) => Readable.toWeb(Readable.from(piecesOf(content, 65_536))),
  'an async iterable': async function* (content) {
    yield* piecesOf(content, 100_000);
  },
  'an iterable whose memory is used again': function* (content) {
    const memory = Buffer.alloc(1000);
    for (const piece of piecesOf(content, 1000)) {
      memory.set(piece);
      yield memory.subarray(0, piece.length);
      memory.fill(0);
    }
  },
  'an array': (content) => [...piecesOf(content, 300_000)],
  'a Buffer': (content) => content,
  'a Uint8Array': (content) => new Uint8Array(content),
  'an ArrayBuffer': (content) => Uint8Array.from(content).buffer as ArrayBuffer,
  'a DataView': (content) => new DataView(content.buffer, content.byteOffset, content.byteLength),
  'a Blob': (content) => new Blob([Uint8Array.from(content)]),
};

for (const kind of serverKinds) {
  describe(`getfo and putfo on ${kind.name}`, { skip: kind.skip }, () => {
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

    for (const [what, make] of Object.entries(sources)) {
      test(`${what} is uploaded identical`, async () => {
        const { sftp, here, there } = places('up');
        for (const length of what.includes('tiny') ? [100_000] : lengths) {
          const content = contentOf(length);
          const attributes = await sftp.putfo(make(content), there);
          assert.equal(attributes.size, length);
          assert.ok(readFileSync(here).equals(content));
        }
      });
    }

    test('text is uploaded as UTF-8, and chunks of text as their stream means them', async () => {
      const { sftp, here, there } = places('text');
      await sftp.putfo('é€', there);
      assert.equal(readFileSync(here, 'utf8'), 'é€');
      await sftp.putfo(['é', '', '€'], there, { atomic: true });
      assert.equal(readFileSync(here, 'utf8'), 'é€');
      await sftp.putfo(
        Readable.from([Buffer.from('é', 'latin1')], { objectMode: false }).setEncoding('latin1'),
        there,
      );
      assert.deepEqual([...readFileSync(here)], [0xe9]);
    });

    test('a file is downloaded into whatever takes bytes, which stays open', async (t) => {
      const { sftp, here, there } = places('down');
      const folder = makeFolder(t);
      for (const length of lengths) {
        const content = contentOf(length);
        writeFileSync(here, content);
        const local = createWriteStream(join(folder, 'local'));
        assert.equal(await sftp.getfo(there, local), length);
        assert.equal(local.writableEnded, false);
        assert.equal(local.listenerCount('error'), 0);
        assert.equal(local.listenerCount('close'), 0);
        local.end('!');
        await once(local, 'close');
        assert.ok(readFileSync(join(folder, 'local')).equals(Buffer.concat([content, Buffer.from('!')])));

        const chunks: Uint8Array[] = [];
        assert.equal(await sftp.getfo(there, { write: (chunk) => chunks.push(chunk) }), length);
        assert.ok(Buffer.concat(chunks).equals(content));

        chunks.length = 0;
        const web = new WritableStream<Uint8Array>({ write: (chunk) => void chunks.push(chunk) });
        assert.equal(await sftp.getfo(there, web), length);
        assert.equal(web.locked, false);
        assert.ok(Buffer.concat(chunks).equals(content));
      }
    });

    test('the callback hears of every advance, and of an empty file too', async () => {
      const { sftp, here, there } = places('progress');
      for (const length of [0, 1_000_000]) {
        writeFileSync(here, contentOf(length));
        const heard: (readonly number[])[] = [];
        const callback = (done: number, total: number) => void heard.push([done, total]);
        await sftp.getfo(there, { write: () => {} }, { callback });
        assertProgress(heard, length, length);
        heard.length = 0;
        await sftp.putfo(createReadStream(here), `${there}-2`, { callback });
        assertProgress(heard, length, 0);
        heard.length = 0;
        await sftp.putfo(createReadStream(here), `${there}-2`, { callback, fileSize: length });
        assertProgress(heard, length, length);
      }
    });

    test('without confirm nothing is asked, and the attributes are empty', async () => {
      const { sftp, there } = places('unconfirmed');
      assert.equal((await sftp.putfo('x', there, { confirm: false })).size, undefined);
    });
  });
}

function assertProgress(heard: readonly (readonly number[])[], length: number, total: number): void {
  assert.ok(heard.length > 0);
  assert.deepEqual(heard.at(-1), [length, total]);
  heard.reduce((before, [done = -1, all]) => {
    assert.ok(done >= before);
    assert.equal(all, total);
    return done;
  }, 0);
}

describe('getfo and putfo', () => {
  const MIB = 1024 * 1024;

  async function start(
    t: TestContext,
    faults: Faults = {},
  ): Promise<{ server: TestServer; sftp: Connection }> {
    const server = await startServer({ files: { file: contentOf(12 * MIB), 'd/': '' } }, { faults });
    t.after(() => server.close());
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    return { server, sftp };
  }

  /** Turns of the event loop until a figure stays as it is. */
  async function quiet(sftp: Connection, figure: () => number): Promise<number> {
    for (let before = -1; before !== figure(); ) {
      before = figure();
      for (let turn = 0; turn < 5; turn += 1) await sftp.stat('.');
    }
    return figure();
  }

  const slowSinks: Readonly<Record<string, (wait: Promise<void>) => Parameters<Connection['getfo']>[1]>> = {
    'a Writable': (wait) =>
      new Writable({ write: (_chunk, _encoding, done) => void wait.then(() => done()) }),
    'a WritableStream': (wait) => new WritableStream({ write: () => wait }),
    'an object whose write gives a promise': (wait) => ({ write: () => wait }),
  };
  for (const [what, make] of Object.entries(slowSinks)) {
    test(`${what} that takes nothing is waited for with at most 8 MiB in memory`, async (t) => {
      const { server, sftp } = await start(t);
      let release: () => void = () => {};
      const wait = new Promise<void>((resolve) => {
        release = resolve;
      });
      const getting = sftp.getfo('file', make(wait));
      const held = await quiet(sftp, () => server.counters.bytesRead);
      assert.ok(held <= 8 * MIB, `${held} bytes`);
      release();
      assert.equal(await getting, 12 * MIB);
      assert.equal(server.counters.openHandles, 0);
    });
  }

  test('a source is not read faster than the server takes it', async (t) => {
    let release: () => void = () => {};
    const gate = new Promise<undefined>((resolve) => {
      release = () => resolve(undefined);
    });
    const { sftp, server } = await start(t, { failOn: ({ kind }) => (kind === 'write' ? gate : undefined) });
    let given = 0;
    const source = function* () {
      for (const piece of piecesOf(contentOf(12 * MIB), 65_536)) {
        given += piece.length;
        yield piece;
      }
    };
    const putting = sftp.putfo(source(), 'new');
    for (let before = -1; before !== given || given === 0; ) {
      before = given;
      for (let turn = 0; turn < 200; turn += 1) await nextTurn();
    }
    assert.ok(given <= 8 * MIB + 65_536, `${given} bytes`);
    release();
    await putting;
    assert.ok(server.readFile('/new').equals(contentOf(12 * MIB)));
  });

  test('a source and a sink on the same connection do not stop each other', async (t) => {
    const { sftp, server } = await start(t);
    const between = new PassThrough();
    const getting = sftp.getfo('file', between).then(() => between.end());
    await Promise.all([getting, sftp.putfo(between, 'copy')]);
    assert.ok(server.readFile('/copy').equals(contentOf(12 * MIB)));
  });

  test('an error of the sink fails the download and closes the file', async (t) => {
    const { sftp, server } = await start(t);
    const failing = new Writable({ write: (_chunk, _encoding, done) => done(new Error('disk on fire')) });
    const closing = new Writable({
      write: () => {
        closing.destroy();
      },
    });
    const sinks = [failing, closing, { write: () => Promise.reject(new Error('disk on fire')) }];
    const messages = [/disk on fire/, /closed before everything was written/, /disk on fire/];
    for (const [index, sink] of sinks.entries()) {
      await assert.rejects(sftp.getfo('file', sink), {
        name: 'TransferError',
        message: messages[index],
        source: 'file',
        destination: 'the sink',
      });
    }
    await sftp.stat('.');
    assert.equal(server.counters.openHandles, 0);
  });

  test('an error of the source fails the upload, and an atomic one leaves nothing behind', async (t) => {
    const { sftp, server } = await start(t);
    const failing = async function* () {
      yield contentOf(MIB);
      throw new Error('source ran dry');
    };
    for (const source of [failing(), Readable.from(failing())]) {
      await assert.rejects(sftp.putfo(source, 'new', { atomic: true }), {
        name: 'TransferError',
        message: /source ran dry/,
      });
    }
    await assert.rejects(sftp.putfo([Buffer.from('x'), 7 as never], 'new', { atomic: true }), {
      name: 'TransferError',
      message: /the source gave number where bytes were expected/,
    });
    assert.deepEqual(server.listNames('/'), ['d', 'file']);
    assert.equal(server.counters.openHandles, 0);
  });

  test('an upload that fails destroys the stream it was reading, and not one that it had not begun', async (t) => {
    const failOn: Faults['failOn'] = ({ kind }) => (kind === 'write' ? 'ENOSPC' : undefined);
    const { sftp } = await start(t, { failOn, reasons: true });
    const begun = Readable.from(piecesOf(contentOf(MIB), 1000));
    await assert.rejects(sftp.putfo(begun, 'new'), { code: 'ENOSPC' });
    assert.equal(begun.destroyed, true);
    const untouched = Readable.from(['x']);
    await assert.rejects(sftp.putfo(untouched, 'no/such/place'), { code: 'ENOENT' });
    assert.equal(untouched.destroyed, false);
    assert.deepEqual(await untouched.toArray(), ['x']);
  });

  test("an abort settles at once with the signal's reason, though the other end waits for ever", async (t) => {
    const { sftp, server } = await start(t);
    const never = new Promise<never>(() => {});
    const calls = [
      (signal: AbortSignal) => sftp.getfo('file', { write: () => never }, { signal }),
      (signal: AbortSignal) => sftp.getfo('file', new Writable({ write: () => {} }), { signal }),
      (signal: AbortSignal) => sftp.putfo(new Readable({ read: () => {} }), 'new', { signal }),
      (signal: AbortSignal) => sftp.putfo(new ReadableStream(), 'new', { signal }),
      (signal: AbortSignal) =>
        sftp.putfo({ [Symbol.asyncIterator]: () => ({ next: () => never }) }, 'new', { signal }),
    ];
    for (const call of calls) {
      const abort = new AbortController();
      const reason = new Error('enough');
      const result = assert.rejects(call(abort.signal), (error) => error === reason);
      await quiet(sftp, () => server.counters.bytesRead);
      abort.abort(reason);
      await result;
    }
    await sftp.stat('.');
    assert.equal(server.counters.openHandles, 0);
  });

  test('a directory is no file', async (t) => {
    const { sftp } = await start(t);
    await assert.rejects(sftp.getfo('d', { write: () => {} }), { code: 'EISDIR' });
    await assert.rejects(sftp.putfo('x', 'd'), { code: 'EISDIR' });
  });
});
