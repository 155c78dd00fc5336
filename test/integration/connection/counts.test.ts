/** What transfers cost, counted at the server: requests, round trips, handles and bytes. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import ssh2 from 'ssh2';
import type { Connection, ConnectOptions } from '../../../src/index.js';
import { type Counters, type Faults, startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { makeHostKey } from '../../support/misbehaving-ssh.js';
import { startTurnProxy } from '../../support/turn-proxy.js';

type Files = Parameters<typeof startServer>[0] & { readonly files: unknown };

/** What the server's replies have room for, in entries. */
const NAMES_PER_REPLY = 100;
/** How many READDIRs may be on the way behind the end of a listing. */
const LISTED_AHEAD = 16;
const CHUNK_LENGTH = 255 * 1024;
const LARGE = 2_000_000;

interface Cost {
  /** Those that were made at all. */
  readonly requests: Readonly<Partial<Record<keyof Counters['requests'], number>>>;
  readonly turns: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly openHandles: number;
  readonly mostOutstanding: Counters['mostOutstanding'];
  readonly mostOpenHandles: number;
}

/** Counts what a call costs, on a connection that has found out the server's limits. */
async function costOf(
  server: TestServer,
  call: (sftp: Connection) => Promise<unknown>,
  options?: ConnectOptions,
): Promise<Cost> {
  await using sftp = await connectToServer(server, options);
  await sftp.stat('.');
  const before = structuredClone(server.counters);
  await call(sftp);
  // Whatever was sent before this has arrived then.
  const { turns } = server.counters;
  await sftp.stat('.');
  const { requests, ...after } = server.counters;
  const made = Object.entries(requests).map(([kind, count]) => {
    const known = before.requests[kind as keyof typeof requests];
    return [kind, count - known - (kind === 'stat' ? 1 : 0)] as const;
  });
  return {
    requests: Object.fromEntries(made.filter(([, count]) => count > 0)),
    turns: turns - before.turns,
    bytesRead: after.bytesRead - before.bytesRead,
    bytesWritten: after.bytesWritten - before.bytesWritten,
    openHandles: after.openHandles,
    mostOutstanding: after.mostOutstanding,
    mostOpenHandles: after.mostOpenHandles,
  };
}

/** A server whose every answer is a round trip away. */
function distant(files: Files['files'] = {}, faults: Faults = {}): Promise<TestServer> {
  return startServer({ files } as Files, { faults: { answersWhenQuiet: 15, ...faults } });
}

/** Several are a few more where the network looks long and its rate is not known yet: these are short. */
function assertCount(count: number | undefined, expected: number): void {
  if (expected <= 1) assert.equal(count ?? 0, expected);
  else assert.ok(count !== undefined && count >= expected && count <= expected + 24, `${count} requests`);
}

function atMost(turns: number, most: number): void {
  assert.ok(turns <= most, `${turns} round trips, and not at most ${most}`);
}

const SIZES = { empty: 0, small: 1000, large: LARGE };

describe('Connecting', () => {
  const privateKey = String(makeHostKey());
  const key = ssh2.utils.parseKey(privateKey);
  assert.ok(!(key instanceof Error));
  const authorizedKeys = `${key.type} ${key.getPublicSSH().toString('base64')}`;

  /** The turns of the line until the session is there; the fewest of three, as a busy machine may pause in one. */
  async function turnsOf(t: TestContext, options: ConnectOptions): Promise<number> {
    await using server = await startServer({ files: {} }, { authorizedKeys });
    const proxy = await startTurnProxy(t, server.port);
    const counts: number[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const sftp = await connectToServer(server, { port: proxy.port, ...options });
      counts.push(proxy.turns);
      await sftp.close();
    }
    return Math.min(...counts);
  }

  test('with a key: identification, exchange of keys, login, channel, subsystem with INIT', async (t) => {
    assert.equal(await turnsOf(t, { privateKey, password: undefined }), 5);
  });

  test('with a password: one turn more, to ask whether the server wants it', async (t) => {
    assert.equal(await turnsOf(t, {}), 6);
  });
});

describe('One file', () => {
  for (const [name, size] of Object.entries(SIZES)) {
    const chunks = Math.ceil(size / CHUNK_LENGTH);

    test(`get of ${size} bytes: STAT, OPEN, its READs, CLOSE`, async (t) => {
      const folder = makeFolder(t);
      await using server = await distant({ [name]: 'x'.repeat(size) });
      const cost = await costOf(server, (sftp) => sftp.get(name, join(folder, name)));
      const reads = Math.max(1, chunks);
      const { read, ...others } = cost.requests;
      assert.deepEqual(others, { open: 1, close: 1, stat: 1 });
      assertCount(read, reads);
      assert.equal(cost.bytesRead, size);
      atMost(cost.turns, 3 + reads);
      assert.equal(cost.openHandles, 0);
    });

    test(`put of ${size} bytes: LSTAT, OPEN, its WRITEs, and with the last of them CLOSE and STAT`, async (t) => {
      const folder = makeFolder(t);
      await writeFile(join(folder, name), 'x'.repeat(size));
      await using server = await distant();
      const cost = await costOf(server, (sftp) => sftp.put(join(folder, name), name));
      const { write = 0, ...others } = cost.requests;
      assert.deepEqual(others, { lstat: 1, open: 1, close: 1, stat: 1 });
      assertCount(write, chunks);
      assert.equal(cost.bytesWritten, size);
      atMost(cost.turns, 2 + Math.max(1, chunks));
      assert.equal(cost.openHandles, 0);
    });
  }

  test('get asks for no byte twice where the server gives short answers', async (t) => {
    const folder = makeFolder(t);
    const faults = { maxReadLength: 1000, answersWhenQuiet: 0 };
    await using server = await distant({ file: 'x'.repeat(100_500) }, faults);
    const cost = await costOf(server, (sftp) => sftp.get('file', join(folder, 'file')));
    assert.equal(cost.bytesRead, 100_500);
    assert.equal(cost.requests.read, 101);
  });

  test('put uses the whole length that the server allows, also when it has not told that at first', async (t) => {
    const folder = makeFolder(t);
    await writeFile(join(folder, 'file'), 'x'.repeat(LARGE));
    await using server = await distant();
    await using sftp = await connectToServer(server);
    await sftp.put(join(folder, 'file'), 'file');
    // All in 32 KiB would be 62.
    assert.ok(server.counters.requests.write < 40, `${server.counters.requests.write} WRITEs`);
  });
});

const LEVELS = 3;
const FILES_PER_LEVEL = 200;

/** Directories in one another, with files in each. */
function levels(): Record<string, string> {
  const files: Record<string, string> = {};
  for (let level = 0; level < LEVELS; level += 1) {
    for (let index = 0; index < FILES_PER_LEVEL; index += 1) {
      files[`${['tree', 'a', 'b'].slice(0, level + 1).join('/')}/file-${index}`] =
        `content ${level} ${index}`;
    }
  }
  return files;
}

async function makeLocalTree(t: TestContext): Promise<{ folder: string; files: number; bytes: number }> {
  const folder = makeFolder(t);
  const files = levels();
  await mkdir(join(folder, 'tree/a/b'), { recursive: true });
  for (const [path, content] of Object.entries(files)) await writeFile(join(folder, path), content);
  return { folder, files: Object.keys(files).length, bytes: Object.values(files).join('').length };
}

describe('A tree', () => {
  test('putR into what is new: two round trips per level and two per batch, four requests per file', async (t) => {
    const { folder, files, bytes } = await makeLocalTree(t);
    await using server = await distant();
    const cost = await costOf(server, (sftp) => sftp.putR(join(folder, 'tree'), 'new'));
    const expected = { mkdir: LEVELS, open: files, write: files, close: files, stat: files };
    assert.deepEqual(cost.requests, expected);
    assert.equal(cost.bytesWritten, bytes);
    atMost(cost.turns, 2 * LEVELS + 2 * Math.ceil(files / 512));
    assert.equal(cost.openHandles, 0);
  });

  test('getR: three requests per file, and none to find out what an entry is', async (t) => {
    const folder = makeFolder(t);
    const content = levels();
    await using server = await distant(content);
    const cost = await costOf(server, (sftp) => sftp.getR('tree', folder));
    const files = Object.keys(content).length;
    const { opendir, readdir = 0, ...rest } = cost.requests;
    // One of the OPENDIRs asks whether there is anything to list at all.
    assert.equal(opendir, LEVELS + 1);
    assert.deepEqual(rest, { open: files, read: files, close: files + LEVELS + 1, realpath: 1 });
    assert.ok(
      readdir <= LEVELS * (FILES_PER_LEVEL / NAMES_PER_REPLY + 2 + LISTED_AHEAD),
      `${readdir} READDIRs`,
    );
    assert.equal(cost.bytesRead, Object.values(content).join('').length);
    atMost(cost.turns, 2 + 3 * LEVELS + 2 * Math.ceil(files / 512));
    assert.equal(cost.openHandles, 0);
  });

  test('walk: each directory is opened, read and closed, and a level takes three round trips however wide', async () => {
    const files: Record<string, string> = {};
    for (let index = 0; index < 100; index += 1) files[`tree/a${index % 10}/b${index}/file`] = '';
    await using server = await distant(files);
    let entries = 0;
    const cost = await costOf(server, async (sftp) => {
      for await (const _ of sftp.walk('tree')) entries += 1;
    });
    const directories = 1 + 10 + 100;
    assert.equal(entries, 10 + 100 + 100);
    const { readdir = 0, ...rest } = cost.requests;
    assert.deepEqual(rest, { opendir: directories, close: directories });
    assert.ok(readdir <= directories * 4, `${readdir} READDIRs`);
    atMost(cost.turns, 3 * 3);
    assert.equal(cost.openHandles, 0);
  });

  test('listdir of 10,000 entries: many READDIRs at once, and few behind the end', async () => {
    const COUNT = 10_000;
    const files = Object.fromEntries(
      Array.from({ length: COUNT }, (_, index) => [`wide/entry-${index}`, '']),
    );
    await using server = await distant(files);
    const cost = await costOf(server, async (sftp) =>
      assert.equal((await sftp.listdir('wide')).length, COUNT),
    );
    const { readdir = 0, ...rest } = cost.requests;
    assert.deepEqual(rest, { opendir: 1, close: 1 });
    const needed = COUNT / NAMES_PER_REPLY + 2;
    assert.ok(readdir <= needed + LISTED_AHEAD, `${readdir} READDIRs`);
    atMost(cost.turns, 20);
    assert.equal(cost.openHandles, 0);
  });
});

describe('concurrency', () => {
  for (const concurrency of [1, 3]) {
    test(`${concurrency}: no more requests for the content of one file at once`, async (t) => {
      const folder = makeFolder(t);
      await writeFile(join(folder, 'file'), 'x'.repeat(LARGE));
      await using server = await distant({ file: 'x'.repeat(LARGE) });
      const calls = async (sftp: Connection) => {
        await sftp.get('file', join(folder, 'copy'), { concurrency });
        await sftp.put(join(folder, 'file'), 'copy', { concurrency });
        await sftp.getfo('file', { write: () => {} }, { concurrency });
        await sftp.putfo('x'.repeat(LARGE), 'copy', { concurrency });
      };
      const { mostOutstanding, bytesRead, bytesWritten } = await costOf(server, calls);
      assert.deepEqual([bytesRead, bytesWritten], [2 * LARGE, 2 * LARGE]);
      const most = Math.max(mostOutstanding.read, mostOutstanding.write);
      assert.ok(most <= concurrency, `${most} at once`);
    });

    test(`${concurrency}: no more files of a tree open at once, also where the connection says so`, async (t) => {
      const folder = makeFolder(t);
      const files = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`tree/file-${index}`, 'x']));
      await using server = await distant(files, { answersWhenQuiet: 2 });
      const calls = async (sftp: Connection) => {
        await sftp.getR('tree', folder);
        await sftp.putR(join(folder, 'tree'), 'new');
        await sftp.mirror(join(folder, 'tree'), 'mirrored', { direction: 'up' });
      };
      const cost = await costOf(server, calls, { concurrency });
      assert.equal(cost.mostOpenHandles, concurrency);
      assert.equal(cost.openHandles, 0);
      assert.deepEqual(server.listNames('mirrored'), server.listNames('tree'));
    });
  }
});

/** Everything that opens handles. */
const CALLS: Readonly<
  Record<string, (sftp: Connection, folder: string, signal?: AbortSignal) => Promise<unknown>>
> = {
  get: (sftp, folder, signal) => sftp.get('tree/file-0', join(folder, 'got'), { signal }),
  put: (sftp, folder, signal) => sftp.put(join(folder, 'local/file-0'), 'put', { signal }),
  getR: (sftp, folder, signal) => sftp.getR('tree', folder, { signal }),
  putR: (sftp, folder, signal) => sftp.putR(join(folder, 'local'), 'new', { signal }),
  'put, atomic': (sftp, folder, signal) =>
    sftp.put(join(folder, 'local/file-0'), 'put', { signal, atomic: true }),
  mirror: (sftp, folder, signal) => sftp.mirror(join(folder, 'local'), 'new', { direction: 'up', signal }),
  copy: (sftp, _, signal) => sftp.copy('tree/file-0', 'copied', { signal }),
  readFile: (sftp, _, signal) => sftp.readFile('tree/file-0', { signal }),
  listdir: (sftp, _, signal) => sftp.listdir('tree', { signal }),
};

describe('As many handles are closed as were opened', () => {
  const files = Object.fromEntries(
    Array.from({ length: 30 }, (_, index) => [`tree/file-${index}`, 'x'.repeat(500)]),
  );

  async function handlesAfter(
    t: TestContext,
    faults: Faults,
    call: (sftp: Connection, folder: string) => Promise<unknown>,
  ) {
    const folder = makeFolder(t);
    await mkdir(join(folder, 'local'));
    for (let index = 0; index < 30; index += 1)
      await writeFile(join(folder, 'local', `file-${index}`), 'x'.repeat(500));
    await using server = await startServer({ files }, { faults });
    await using sftp = await connectToServer(server);
    await call(sftp, folder);
    // The answer to an OPEN whose caller has gone comes before this one's, and its CLOSE before the next.
    await sftp.stat('.');
    await sftp.stat('.');
    return server.counters.openHandles;
  }

  for (const [name, call] of Object.entries(CALLS)) {
    test(`${name}, after success`, async (t) => {
      assert.equal(await handlesAfter(t, {}, call), 0);
    });

    test(`${name}, after a failure`, async (t) => {
      const isDoomed = (kind: string, extension?: string) =>
        ['read', 'write', 'readdir'].includes(kind) || extension === 'copy-data';
      const failOn: Faults['failOn'] = ({ kind, extension }) =>
        isDoomed(kind, extension) ? 'EIO' : undefined;
      const failing = (sftp: Connection, folder: string) =>
        assert.rejects(call(sftp, folder), { code: 'FAILURE' });
      assert.equal(await handlesAfter(t, { failOn }, failing), 0);
    });

    test(`${name}, after an abort at each of its first requests`, async (t) => {
      for (let doomed = 1; doomed <= 8; doomed += 1) {
        const abort = new AbortController();
        let seen = 0;
        const failOn: Faults['failOn'] = ({ kind }) => {
          if (kind !== 'extended') seen += 1;
          if (seen === doomed) abort.abort(new Error('enough'));
          return undefined;
        };
        const aborted = (sftp: Connection, folder: string) =>
          call(sftp, folder, abort.signal).catch(() => {});
        assert.equal(await handlesAfter(t, { failOn }, aborted), 0, `aborted at request ${doomed}`);
      }
    });
  }
});
