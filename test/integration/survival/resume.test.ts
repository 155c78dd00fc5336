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
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ConnectionLostError } from '../../../src/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

const SIZE = 3_000_000;
const TEMPORARY = /^\.tsftp-/;

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
      const partial = async () => {
        const restingName = /^\.tsftp-[0-9a-f]{12}-[0-9a-f]{12}\.part$/;
        for (const startMs = performance.now(); performance.now() - startMs < 10_000; ) {
          const found = readdirSync(to).find((file) => restingName.test(file));
          if (found !== undefined) return join(to, found);
          await new Promise(setImmediate);
        }
        throw new Error('nothing was left');
      };
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
          const first = await begins().catch((error) => error);
          // What was left of the other source stays until it is old, and does no harm.
          assert.match(String(first), /deepEqual|deep-equal|Expected values/);
        }
      });

      test(`L10: ${direction} notices that what is there differs, at its beginning or its end`, async (t) => {
        for (const where of ['beginning', 'end'] as const) {
          const { begins, partial } = await interrupted(t, direction);
          const path = await partial();
          const file = openSync(path, 'r+');
          writeSync(file, randomBytes(16), 0, 16, where === 'beginning' ? 100 : statSync(path).size - 100);
          closeSync(file);
          assert.ok((await begins()) < SIZE / 2);
        }
      });

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
        const pid = (2 ** 22 + 1).toString(16).padStart(8, '0');
        const machine = await machineMark(to);
        renameSync(resting, resting.replace(/\.part$/, `${machine}${pid}${'0'.repeat(16)}.part`));
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

/** What this machine calls itself in temporary names, read from one. */
async function machineMark(target: string): Promise<string> {
  const { temporaryPath } = await import('../../../src/transfer/temporary-file.js');
  const { localFileSystem } = await import('../../../src/transfer/local.js');
  const path = temporaryPath({ fileSystem: localFileSystem, path: Buffer.from(target) }).toString();
  return /-[0-9a-f]{12}([0-9a-f]{8})/.exec(path.slice(path.lastIndexOf('/')).slice(20))?.[1] ?? '';
}
