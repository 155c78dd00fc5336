/** Limits on how fast and how much at once, as the server sees them. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, copyBetween } from '../../../src/index.js';
import { type SeenRequest, startServer, type TestServer } from '../../../src/testing/index.js';
import { startDelayProxy } from '../../support/delay-proxy.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const CONTENT = randomBytes(30_000);
/** Chunks of 10,000 bytes. */
const LIMIT = 40_000;

/** Notes the length of each READ and WRITE, and fails those that come sooner than the limit lets them. */
function watch() {
  const lengths: number[] = [];
  const startedAt = performance.now();
  let bytes = 0;
  const failOn = ({ kind, length = 0 }: SeenRequest) => {
    if (kind !== 'read' && kind !== 'write') return undefined;
    lengths.push(length);
    bytes += length;
    // One byte more is asked for than a file should have.
    const most = LIMIT / 4 + ((performance.now() - startedAt) / 1000) * LIMIT + lengths.length;
    assert.ok(bytes <= most, `${bytes} bytes were asked for where ${most} may pass`);
    return undefined;
  };
  return { lengths, failOn };
}

type Call = (sftp: Connection, folder: string, limit: { bytesPerSecond?: number }) => Promise<unknown>;

const DOWN = [10_000, 10_000, 10_000, 1];
const UP = [10_000, 10_000, 10_000];

const CALLS: Readonly<Record<string, readonly [Call, readonly number[]]>> = {
  get: [(sftp, folder, limit) => sftp.get('file', join(folder, 'copy'), limit), DOWN],
  getR: [(sftp, folder, limit) => sftp.getR('.', folder, limit), DOWN],
  getfo: [(sftp, _, limit) => sftp.getfo('file', { write: () => {} }, limit), DOWN],
  createReadStream: [
    async (sftp, _, limit) => {
      for await (const chunk of sftp.createReadStream('file', limit)) assert.ok(chunk);
    },
    DOWN,
  ],
  put: [(sftp, folder, limit) => sftp.put(join(folder, 'local'), 'copy', limit), UP],
  putR: [(sftp, folder, limit) => sftp.putR(folder, 'copies', limit), UP],
  mirror: [(sftp, folder, limit) => sftp.mirror(folder, 'copies', { direction: 'up', ...limit }), UP],
  'mirror, compare': [
    async (sftp, folder, limit) => {
      await writeFile(join(folder, 'file'), CONTENT);
      const options = { direction: 'down', compare: 'checksum', dryRun: true } as const;
      await sftp.mirror('.', folder, { ...options, ...limit });
    },
    DOWN,
  ],
  putfo: [(sftp, _, limit) => sftp.putfo(CONTENT, 'copy', limit), UP],
  createWriteStream: [
    (sftp, _, limit) => pipeline(Readable.from([CONTENT]), sftp.createWriteStream('copy', limit)),
    UP,
  ],
};

/** What a limit for the connection holds for as well. */
const OF_THE_CONNECTION: typeof CALLS = {
  readFile: [(sftp) => sftp.readFile('file'), DOWN],
  writeFile: [(sftp) => sftp.writeFile('copy', CONTENT), UP],
};

async function makeLocalFile(t: TestContext): Promise<string> {
  const folder = await makeFolder(t);
  await writeFile(join(folder, 'local'), CONTENT);
  return folder;
}

describe('bytesPerSecond', { concurrency: true }, () => {
  for (const [name, [call, lengths]] of Object.entries(CALLS)) {
    test(`of a call bounds ${name}, in chunks of a quarter of a second`, async (t) => {
      const folder = await makeLocalFile(t);
      const watched = watch();
      await using server = await startServer(
        { files: { file: CONTENT } },
        { faults: { failOn: watched.failOn } },
      );
      await using sftp = await connectToServer(server);
      await call(sftp, folder, { bytesPerSecond: LIMIT });
      assert.deepEqual(watched.lengths, lengths);
      assert.equal(server.counters.openHandles, 0);
    });
  }

  for (const [name, [call, lengths]] of Object.entries({ ...CALLS, ...OF_THE_CONNECTION })) {
    test(`of the connection bounds ${name}`, async (t) => {
      const folder = await makeLocalFile(t);
      const watched = watch();
      await using server = await startServer(
        { files: { file: CONTENT } },
        { faults: { failOn: watched.failOn } },
      );
      await using sftp = await connectToServer(server, { bytesPerSecond: LIMIT });
      await call(sftp, folder, {});
      assert.deepEqual(watched.lengths, lengths);
    });
  }

  test('of the connection is shared by its transfers, and the narrower of both holds', async (t) => {
    const folder = await makeLocalFile(t);
    const watched = watch();
    await using server = await startServer(
      { files: { file: CONTENT } },
      { faults: { failOn: watched.failOn } },
    );
    await using sftp = await connectToServer(server, { bytesPerSecond: LIMIT });
    const narrow = { bytesPerSecond: 20_000 };
    await Promise.all([
      sftp.get('file', join(folder, 'one'), narrow),
      sftp.put(join(folder, 'local'), 'two', { bytesPerSecond: 1e9 }),
    ]);
    assert.deepEqual(
      watched.lengths.filter((length) => length === 10_000),
      UP,
    );
    assert.equal(watched.lengths.filter((length) => length === 5_000).length, 6);
    assert.deepEqual(await readFile(join(folder, 'one')), CONTENT);
    assert.deepEqual(server.readFile('two'), CONTENT);
  });

  test('of both connections bounds a copy between them, and its own', async () => {
    const watched = watch();
    await using from = await startServer(
      { files: { file: CONTENT } },
      { faults: { failOn: watched.failOn } },
    );
    await using to = await startServer({ files: {} });
    await using a = await connectToServer(from);
    await using b = await connectToServer(to, { bytesPerSecond: LIMIT });
    await copyBetween(a, 'file', b, 'copy', { bytesPerSecond: 1e6 });
    assert.deepEqual(watched.lengths, DOWN);
    assert.deepEqual(to.readFile('copy'), CONTENT);
  });

  test('can be changed while a transfer is under way', async () => {
    await using server = await startServer({ files: { file: CONTENT } });
    await using sftp = await connectToServer(server, { bytesPerSecond: 1 });
    assert.equal(sftp.bytesPerSecond, 1);
    const chunks: Uint8Array[] = [];
    const got = sftp.getfo('file', {
      write: (chunk: Uint8Array) => {
        chunks.push(chunk);
        sftp.bytesPerSecond = null;
      },
    });
    assert.equal(await got, CONTENT.length);
    assert.equal(chunks[0]?.length, 4096);
    assert.deepEqual(Buffer.concat(chunks), CONTENT);
    assert.equal(sftp.bytesPerSecond, null);
  });

  test('is no lack of progress, however long a chunk has to wait', async (t) => {
    const folder = await makeLocalFile(t);
    await using server = await startServer({ files: { file: CONTENT.subarray(0, 8_192) } });
    const { fingerprint } = server.hostKey;
    // The second chunk of 4 KiB waits longer.
    const cnopts = { fingerprint, noProgressTimeout: 2000 };
    await using sftp = await connectToServer(server, { cnopts, bytesPerSecond: 1_500 });
    await sftp.get('file', join(folder, 'copy'));
    assert.equal(server.counters.requests.read, 3);
    await sftp.stat('.');
  });

  test('an abort ends the waiting at once, and leaves nothing open', async (t) => {
    const folder = await makeLocalFile(t);
    await using server = await startServer({ files: { file: CONTENT } });
    await using sftp = await connectToServer(server);
    const abort = new AbortController();
    const callback = () => abort.abort(new Error('enough'));
    const options = { bytesPerSecond: 1, signal: abort.signal, callback };
    await assert.rejects(sftp.get('file', join(folder, 'copy'), options), /enough/);
    await sftp.stat('.');
    assert.equal(server.counters.bytesRead, 4096);
    assert.equal(server.counters.openHandles, 0);
  });
});

describe('options of speed', () => {
  const WRONG = [
    ['bytesPerSecond', 0, RangeError],
    ['bytesPerSecond', -1, RangeError],
    ['bytesPerSecond', Number.NaN, RangeError],
    ['bytesPerSecond', '1M', TypeError],
    ['concurrency', 0, RangeError],
    ['concurrency', 1.5, RangeError],
    ['concurrency', '4', TypeError],
    ['channels', 0, RangeError],
    ['channels', -2, RangeError],
    ['channels', null, TypeError],
  ] as const;

  for (const [name, value, kind] of WRONG) {
    test(`${name}: ${typeof value} ${value} is refused with a ${kind.name}, and nothing is sent`, async (t) => {
      const folder = await makeLocalFile(t);
      await using server = await startServer({ files: { file: CONTENT } });
      const options = { [name]: value } as object;
      const isExpected = (error: unknown) => error instanceof kind && error.message.startsWith(name);
      await assert.rejects(connectToServer(server, options), isExpected);
      await using sftp = await connectToServer(server);
      const before = { ...server.counters.requests };
      await assert.rejects(sftp.get('file', join(folder, 'copy'), options), isExpected);
      await assert.rejects(sftp.put(join(folder, 'local'), 'copy', options), isExpected);
      await assert.rejects(sftp.getR('.', folder, options), isExpected);
      await assert.rejects(sftp.mirror(folder, 'copy', { direction: 'up', ...options }), isExpected);
      await assert.rejects(copyBetween(sftp, 'file', sftp, 'copy', options), isExpected);
      await assert.rejects(sftp.putfo(CONTENT, 'copy', options), isExpected);
      if (name === 'bytesPerSecond') {
        assert.throws(() => sftp.createReadStream('file', options), isExpected);
        assert.throws(() => sftp.createWriteStream('copy', options), isExpected);
        assert.throws(() => {
          sftp.bytesPerSecond = value as number;
        }, isExpected);
      }
      assert.deepEqual(server.counters.requests, before);
    });
  }
});

describe('channels', () => {
  const MIB = 1024 * 1024;

  async function sessionsFor(
    t: TestContext,
    { connection, call }: { readonly connection?: number; readonly call?: number },
  ): Promise<number> {
    const folder = await makeFolder(t);
    const content = Buffer.alloc(48 * MIB, 'content ');
    await writeFile(join(folder, 'large'), content);
    await using server: TestServer = await startServer({ files: {} });
    // Long enough for several channels to be worth their opening.
    await using proxy = await startDelayProxy(server.port, 40);
    await using sftp = await connectToServer(server, { port: proxy.port, channels: connection });
    await sftp.put(join(folder, 'large'), 'copy', { channels: call });
    assert.ok(content.equals(server.readFile('copy')));
    return server.counters.sessions;
  }

  test('1: a large upload goes through one, also where the connection says so', async (t) => {
    assert.equal(await sessionsFor(t, { call: 1 }), 1);
    assert.equal(await sessionsFor(t, { connection: 1 }), 1);
  });

  test('2: it goes through two at most, and the call has the last word', async (t) => {
    // Where the machine is busy, one may be enough.
    assert.ok((await sessionsFor(t, { connection: 1, call: 2 })) <= 2);
  });
});

test('A tree of files in a directory that is made keeps to a limit as a whole', async (t) => {
  const folder = await makeFolder(t);
  await mkdir(join(folder, 'tree'));
  for (let index = 0; index < 6; index += 1)
    await writeFile(join(folder, 'tree', `${index}`), CONTENT.subarray(0, 5_000));
  const watched = watch();
  await using server = await startServer({ files: {} }, { faults: { failOn: watched.failOn } });
  await using sftp = await connectToServer(server);
  await sftp.putR(folder, 'copies', { bytesPerSecond: LIMIT });
  assert.deepEqual(
    watched.lengths,
    Array.from({ length: 6 }, () => 5_000),
  );
});
