/** Transfers that go on where an earlier one has stopped, and that begin anew where they must. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import { ConnectionLostError } from '../../../src/index.js';
import { type SeenRequest, startServer } from '../../../src/testing/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

const SIZE = 3_000_000;
const TEMPORARY = /^\.tsftp-/;

/** Parts of what is there: what is damaged in the middle is found by samples, where it is not too small. */
const DAMAGES = [
  ['at its beginning', 0, 0.001],
  ['at its end', 0.999, 1],
  ['in the middle', 0.4, 0.65],
] as const;

/** Every byte is another one afterwards. */
function damage(path: string, start: number, end: number): void {
  const file = openSync(path, 'r+');
  const bytes = Buffer.alloc(end - start);
  readSync(file, bytes, 0, bytes.length, start);
  writeSync(
    file,
    bytes.map((byte) => byte ^ 0xff),
    0,
    bytes.length,
    start,
  );
  closeSync(file);
}

for (const { name, skip, start } of serverKinds) {
  describe(`resume with ${name}`, { skip }, () => {
    let server: ServerUnderTest;
    let folders = 0;
    before(async () => {
      server = await start();
    });
    after(() => server?.stop());

    /** A folder of the server, with the file to download, or for what is uploaded. */
    function remoteFolder(): { readonly disk: string; path(name: string): string } {
      folders += 1;
      const folder = `folder ${folders}`;
      mkdirSync(join(server.folder, folder));
      return { disk: join(server.folder, folder), path: (file) => server.path(join(folder, file)) };
    }

    async function interrupted(t: { after(end: () => unknown): void }, direction: 'get' | 'put') {
      const local = makeFolder(t as never);
      const remote = remoteFolder();
      const [from, to] = direction === 'get' ? [remote.disk, local] : [local, remote.disk];
      const content = randomBytes(SIZE);
      writeFileSync(join(from, 'file'), content);
      utimesSync(join(from, 'file'), 1_700_000_000, 1_700_000_000);
      let sftp = await server.connect();
      t.after(() => sftp.close());
      const run = (
        options: { signal?: AbortSignal; callback?: (done: number, total: number) => void } = {},
      ) =>
        direction === 'get'
          ? sftp.get(remote.path('file'), join(to, 'file'), { resume: true, ...options })
          : sftp.put(join(from, 'file'), remote.path('file'), { resume: true, ...options });
      const abort = new AbortController();
      await assert.rejects(
        run({
          signal: abort.signal,
          callback: (done) => {
            if (done > SIZE / 2) abort.abort('enough');
          },
        }),
        (reason) => reason === 'enough',
      );
      /** As another run of the program would. */
      const connectAnew = async () => {
        await sftp.close();
        sftp = await server.connect();
      };
      /** Where the second run begins. */
      const begins = async () => {
        const figures: number[] = [];
        await run({ callback: (done) => figures.push(done) });
        assert.deepEqual(readFileSync(join(to, 'file')), readFileSync(join(from, 'file')));
        assert.deepEqual(readdirSync(to), ['file']);
        return figures[0] ?? 0;
      };
      /** What was left, once it has come to rest. */
      const partial = async () => join(to, await restingName(to));
      return { connectAnew, from: join(from, 'file'), to: join(to, 'file'), run, begins, partial };
    }

    for (const direction of ['get', 'put'] as const) {
      test(`${direction} goes on after an abort, with what was confirmed`, async (t) => {
        const { to, begins } = await interrupted(t, direction);
        assert.equal(existsSync(to), false);
        assert.ok((await begins()) > SIZE / 2);
        assert.equal(statSync(to).mtimeMs, 1_700_000_000_000);
      });

      test(`L10: ${direction} begins anew where the source has changed in size, or only in time`, async (t) => {
        for (const change of ['size', 'time'] as const) {
          const { from, begins, partial } = await interrupted(t, direction);
          await partial();
          if (change === 'size') writeFileSync(from, randomBytes(SIZE + 1));
          else utimesSync(from, 1_700_000_001, 1_700_000_001);
          assert.ok((await begins()) < SIZE / 2);
        }
      });

      for (const [where, from, to] of DAMAGES) {
        test(`L10: ${direction} notices that what is there differs ${where}`, async (t) => {
          const { begins, partial } = await interrupted(t, direction);
          const path = await partial();
          const { size } = statSync(path);
          damage(path, Math.floor(size * from), Math.ceil(size * to));
          assert.ok((await begins()) < SIZE / 2);
        });
      }

      test(`L10: ${direction} does not take what is longer than the source for a part of it`, async (t) => {
        const { begins, partial } = await interrupted(t, direction);
        const path = await partial();
        truncateSync(path, SIZE + 1);
        assert.ok((await begins()) < SIZE / 2);
      });

      test(`L10: ${direction} copies the end again that a program killed in the middle may have left holes in`, async (t) => {
        const { to, begins, partial, connectAnew } = await interrupted(t, direction);
        // As the name of one who writes and is gone: less than what may have holes is there, so nothing is trusted.
        const resting = await partial();
        await connectAnew();
        renameSync(resting, resting.replace(/\.part$/, `-${await deadWriter(to)}.part`));
        assert.ok((await begins()) < SIZE / 2);
      });

      test(`${direction} does not copy again what is complete`, async (t) => {
        const { to, run, begins } = await interrupted(t, direction);
        await begins();
        const { ino } = statSync(to);
        const figures: (readonly number[])[] = [];
        await run({ callback: (transferred, total) => figures.push([transferred, total]) });
        assert.equal(statSync(to).ino, ino);
        assert.deepEqual(figures, [[SIZE, SIZE]]);
      });
    }

    test('T16: what a lost connection has left of an upload is gone on with by the next connection', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      const size = 40 * 1024 * 1024;
      writeFileSync(join(local, 'file'), randomBytes(size));
      const first = await server.connect();
      await assert.rejects(
        first.put(join(local, 'file'), remote.path('file'), {
          resume: true,
          callback: (done) => {
            if (done > size * 0.9) server.cut();
          },
        }),
        (error) => error instanceof ConnectionLostError && (error.transfer?.bytesDone ?? 0) > size * 0.8,
      );
      await first.close();
      assert.deepEqual(
        readdirSync(remote.disk).filter((file) => !TEMPORARY.test(file)),
        [],
      );
      const second = await server.connect();
      t.after(() => second.close());
      const figures: number[] = [];
      await second.put(join(local, 'file'), remote.path('file'), {
        resume: true,
        callback: (done) => figures.push(done),
      });
      assert.deepEqual(snapshot(remote.disk), snapshot(local));
      // All but the last 32 MiB were there.
      assert.ok((figures[0] ?? 0) > 1024 * 1024, `began at ${figures[0]}`);
    });

    test('a tree goes on with what is missing, and tells what was there', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      mkdirSync(join(local, 'a'));
      for (let index = 0; index < 40; index += 1)
        writeFileSync(join(local, 'a', `${index}`), randomBytes(1000));
      writeFileSync(join(local, 'large'), randomBytes(SIZE));
      const sftp = await server.connect();
      t.after(() => sftp.close());
      const abort = new AbortController();
      await assert.rejects(
        sftp.putR(local, remote.path('tree'), {
          resume: true,
          signal: abort.signal,
          callback: (done) => {
            if (done > SIZE / 2) abort.abort('enough');
          },
        }),
        (reason) => reason === 'enough',
      );
      const report = await sftp.putR(local, remote.path('tree'), { resume: true });
      assert.equal(report.files + report.skipped.length, 41);
      assert.deepEqual(
        new Set(report.skipped.map(({ code }) => code)),
        new Set(['SAME'].slice(0, report.skipped.length)),
      );
      assert.deepEqual(snapshot(join(remote.disk, 'tree')), snapshot(local));
      const again = await sftp.putR(local, remote.path('tree'), { resume: true });
      assert.deepEqual([again.files, again.skipped.length], [0, 41]);
    });

    test('resume without atomic is refused', async () => {
      const sftp = await server.connect();
      await assert.rejects(sftp.get('x', 'y', { resume: true, atomic: false }), TypeError);
      await sftp.close();
    });
  });
}

describe('resume with a server that tells hashes', () => {
  const size = 12_000_000;

  /** A transfer that was given up after four fifths, and counts of what is asked from then on. */
  async function givenUp(t: TestContext, direction: 'get' | 'put') {
    const [root, local] = [makeFolder(t), makeFolder(t)];
    const asked = { reads: 0, hashes: 0 };
    const failOn = ({ kind, extension }: SeenRequest): undefined => {
      if (extension === 'check-file-handle') asked.hashes += 1;
      if (kind === 'read') asked.reads += 1;
    };
    const extensions = ['check-file-handle', 'posix-rename@openssh.com', 'limits@openssh.com'];
    const server = await startServer({ root }, { extensions, faults: { failOn } });
    t.after(() => server.close());
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    const [from, to] = direction === 'get' ? [root, local] : [local, root];
    writeFileSync(join(from, 'file'), randomBytes(size));
    const run = (options: { signal?: AbortSignal; callback(done: number): void }) =>
      direction === 'get'
        ? sftp.get('/file', join(local, 'file'), { resume: true, ...options })
        : sftp.put(join(local, 'file'), '/file', { resume: true, ...options });
    const abort = new AbortController();
    const callback = (done: number) => {
      if (done > size * 0.8) abort.abort('enough');
    };
    await assert.rejects(run({ signal: abort.signal, callback }), (reason) => reason === 'enough');
    const partial = join(to, await restingName(to));
    Object.assign(asked, { reads: 0, hashes: 0 });
    return { run, asked, from, to, partial };
  }

  for (const direction of ['get', 'put'] as const) {
    for (const isDamaged of [true, false]) {
      const what = isDamaged ? 'notices one byte in the middle of megabytes' : 'goes on';
      test(`L10: ${direction} ${what}, by hashes alone`, async (t) => {
        const { run, asked, from, to, partial } = await givenUp(t, direction);
        if (isDamaged) damage(partial, 5_000_001, 5_000_002);
        const figures: number[] = [];
        await run({ callback: (done) => figures.push(done) });
        assert.deepEqual(readFileSync(join(to, 'file')), readFileSync(join(from, 'file')));
        assert.deepEqual(readdirSync(to), ['file']);
        assert.equal((figures[0] ?? 0) < size / 2, isDamaged);
        assert.ok(asked.hashes >= 2 && asked.hashes <= 3, `${asked.hashes} hashes`);
        if (direction === 'put') assert.equal(asked.reads, 0);
      });
    }
  }
});

/** What an interrupted copy has left in a folder, once it has come to rest. */
async function restingName(folder: string): Promise<string> {
  for (const startMs = performance.now(); performance.now() - startMs < 10_000; ) {
    const found = readdirSync(folder).find((name) => /^\.tsftp-[0-9a-f]{12}-[0-9a-f]{12}\.part$/.test(name));
    if (found !== undefined) return found;
    await new Promise(setImmediate);
  }
  throw new Error('nothing was left');
}

/** The end of a temporary name of this machine whose thread is gone. */
async function deadWriter(target: string): Promise<string> {
  const { temporaryPath } = await import('../../../src/transfer/resume/temporary-file.js');
  const { localFileSystem } = await import('../../../src/transfer/local/local.js');
  const path = temporaryPath({ fileSystem: localFileSystem, path: Buffer.from(target) }).toString();
  const number = (2 ** 22 + 1).toString(16).padStart(8, '0');
  return path.replace(/^.*-([0-9a-f]{12}-[0-9a-f]{12}).{8}(.*)\.part$/, `$1${number}$2`);
}
