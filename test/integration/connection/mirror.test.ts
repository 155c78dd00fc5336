import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Connection, MirrorOptions, MirrorStep } from '../../../src/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

/** A tree with what trees have, and old times. */
function fill(folder: string): void {
  mkdirSync(join(folder, 'a', 'deep'), { recursive: true });
  mkdirSync(join(folder, 'empty'));
  for (let number = 0; number < 20; number += 1) {
    const file = join(folder, 'a', `file ${number}.txt`);
    writeFileSync(file, 'x'.repeat(number * 1000));
    utimesSync(file, 1_000_000 + number, 1_000_000.7 + number);
  }
  writeFileSync(join(folder, 'a', 'deep', 'ümlaut'), 'deep');
  writeFileSync(join(folder, 'C:\\x'), 'a name like others');
  symlinkSync('a/deep', join(folder, 'link'));
}

function changes(plan: readonly MirrorStep[]): string[] {
  return plan
    .filter(({ action }) => action !== 'keep')
    .map(({ action, path, reason }) => `${action} ${path}: ${reason}`);
}

for (const { name, skip, start } of serverKinds) {
  describe(`mirrors with ${name}`, { skip: skip || (process.platform === 'win32' && 'POSIX names') }, () => {
    let server: ServerUnderTest;
    let sftp: Connection;
    before(async () => {
      server = await start();
      sftp = await server.connect();
    });
    after(async () => {
      await sftp?.close();
      await server?.stop();
    });

    let folders = 0;
    function remoteFolder(): { readonly disk: string; readonly path: string } {
      folders += 1;
      const disk = join(server.folder, `mirror ${folders}`);
      mkdirSync(disk);
      return { disk, path: server.path(`mirror ${folders}`) };
    }

    for (const direction of ['up', 'down'] as const) {
      test(`${direction}: equal trees, nothing to do afterwards, then only what has changed`, async (t) => {
        const local = makeFolder(t);
        const remote = remoteFolder();
        const [from, to] = direction === 'up' ? [local, remote.disk] : [remote.disk, local];
        fill(from);
        writeFileSync(join(to, 'extra'), 'extra');
        mkdirSync(join(to, 'extras'));
        symlinkSync(from, join(to, 'extras', 'elsewhere'));
        const options: MirrorOptions = { direction, delete: true, symlinks: 'copy' };
        const run = (more: Partial<MirrorOptions> = {}) =>
          direction === 'up'
            ? sftp.mirror(local, remote.path, { ...options, ...more })
            : sftp.mirror(remote.path, local, { ...options, ...more });
        const dry = await run({ dryRun: true });
        assert.deepEqual([...snapshot(to).keys()], ['extra', 'extras', 'extras/elsewhere']);
        const figures: number[][] = [];
        const report = await run({ callback: (transferred, total) => figures.push([transferred, total]) });
        assert.equal(JSON.stringify(report.plan), JSON.stringify(dry.plan));
        assert.deepEqual(snapshot(to), snapshot(from));
        assert.deepEqual([report.created, report.deleted], [26, 3]);
        assert.deepEqual(figures.at(-1), [report.bytes, report.bytes]);
        assert.equal(statSync(join(to, 'a', 'file 3.txt')).mtimeMs, 1_000_003_000);

        const again = await run();
        assert.deepEqual(changes(again.plan), []);
        assert.equal(again.kept, 26);

        utimesSync(join(from, 'a', 'file 3.txt'), 5, 5);
        writeFileSync(join(from, 'a', 'file 4.txt'), 'another size');
        rmSync(join(from, 'link'));
        symlinkSync('a', join(from, 'link'));
        rmSync(join(from, 'a', 'deep'), { recursive: true });
        writeFileSync(join(from, 'a', 'deep'), 'now a file');
        assert.deepEqual(changes((await run()).plan), [
          'delete a/deep: type',
          'create a/deep: type',
          'delete a/deep/ümlaut: type',
          'update a/file 3.txt: mtime',
          'update a/file 4.txt: size',
          'update link: link',
        ]);
        assert.deepEqual(snapshot(to), snapshot(from));
      });
    }

    for (const direction of ['up', 'down'] as const) {
      test(`${direction}: N3: a link in the target is never written through, nor what it leads to removed`, async (t) => {
        const local = makeFolder(t);
        const remote = remoteFolder();
        const outside = makeFolder(t);
        const [from, to] = direction === 'up' ? [local, remote.disk] : [remote.disk, local];
        const [source, target] = direction === 'up' ? [local, remote.path] : [remote.path, local];
        writeFileSync(join(outside, 'f'), 'mine');
        mkdirSync(join(from, 'd'));
        writeFileSync(join(from, 'd', 'f'), 'theirs');
        writeFileSync(join(from, 'f'), 'theirs');
        for (const atomic of [true, false]) {
          symlinkSync(outside, join(to, 'd'));
          symlinkSync(join(outside, 'f'), join(to, 'f'));
          const { plan } = await sftp.mirror(source, target, { direction, atomic });
          assert.deepEqual(changes(plan), ['skip d: type', 'skip f: type']);
          assert.equal((await sftp.mirror(source, target, { direction, atomic, delete: true })).deleted, 2);
          assert.deepEqual(snapshot(to), snapshot(from));
          rmSync(join(to, 'd'), { recursive: true });
          rmSync(join(to, 'f'));
        }
        assert.equal(readFileSync(join(outside, 'f'), 'utf8'), 'mine');
      });
    }

    test('N9: special files are skipped and reported, and what cannot be read is reported too', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      execFileSync('mkfifo', [join(local, 'fifo')]);
      writeFileSync(join(local, 'f'), 'x');
      const { skipped, created } = await sftp.mirror(local, remote.path, { direction: 'up' });
      assert.deepEqual(
        [skipped.map(({ path, reason }) => [path, reason]), created],
        [[['fifo', 'special-file']], 1],
      );
    });

    test('the target is made with all that is above it, and a file in its place is an error', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      writeFileSync(join(remote.disk, 'f'), 'x');
      chmodSync(join(remote.disk, 'f'), 0o600);
      const target = join(local, 'new', 'below');
      const options = { direction: 'down', compare: 'checksum' } as const;
      assert.equal((await sftp.mirror(remote.path, target, options)).created, 1);
      assert.equal((await sftp.mirror(target, `${remote.path}/new/below`, { direction: 'up' })).created, 1);
      assert.equal(readFileSync(join(remote.disk, 'new', 'below', 'f'), 'utf8'), 'x');
      writeFileSync(join(local, 'file'), '');
      await assert.rejects(sftp.mirror(remote.path, join(local, 'file'), options), { code: 'ENOTDIR' });
      await assert.rejects(
        sftp.mirror(`${remote.path}/nothing`, target, { direction: 'down', delete: true }),
        {
          code: 'ENOENT',
        },
      );
      assert.deepEqual([...snapshot(target).keys()], ['f']);
    });

    for (const direction of ['up', 'down'] as const) {
      test(`T6: ${direction}: goes on over a new connection with what is left`, async (t) => {
        const own = await server.connect({ retry: { attempts: 3, delay: 1 } });
        t.after(() => own.close());
        const local = makeFolder(t);
        const remote = remoteFolder();
        const [from, to] = direction === 'up' ? [local, remote.disk] : [remote.disk, local];
        fill(from);
        writeFileSync(join(to, 'extra'), 'extra');
        let cuts = 0;
        const figures: number[][] = [];
        const [source, target] = direction === 'up' ? [local, remote.path] : [remote.path, local];
        const report = await own.mirror(source, target, {
          direction,
          delete: true,
          symlinks: 'copy',
          callback: (transferred, total, { filesDone }) => {
            figures.push([transferred, total]);
            if (filesDone < ([5, 12][cuts] ?? Number.POSITIVE_INFINITY)) return;
            cuts += 1;
            server.cut();
          },
        });
        assert.equal(cuts, 2);
        assert.deepEqual([report.created, report.deleted, report.failed], [26, 1, []]);
        assert.equal(
          report.bytes,
          report.plan.reduce((sum, { bytes }) => sum + bytes, 0),
        );
        const [transferred, total] = figures.at(-1) ?? [];
        assert.equal(transferred, total);
        // What a lost connection leaves under a temporary name goes with the next mirror.
        await own.mirror(source, target, { direction, delete: true, symlinks: 'copy' });
        assert.deepEqual(snapshot(to), snapshot(from));
      });
    }

    test('what cannot be meant is refused', async () => {
      const wrong: readonly (readonly [object, RegExp])[] = [
        [{}, /direction must be 'up' or 'down'/],
        [{ direction: 'up', compare: 'time' }, /compare must be/],
        [{ direction: 'up', symlinks: 'some' }, /symlinks must be/],
        [{ direction: 'up', filter: '*' }, /filter of mirror must be a function/],
        [{ direction: 'up', confirm: false }, /confirm of mirror must be a function .* confirmSize/],
        [{ direction: 'up', maxDelete: '1' }, /maxDelete must be a number/],
        [{ direction: 'up', plan: {} }, /plan must be a list of steps/],
        [{ direction: 'up', plan: [{ action: 'delete', path: 'x' }] }, /delete is not true/],
      ];
      for (const [options, message] of wrong) {
        await assert.rejects(sftp.mirror('.', '.', options as MirrorOptions), { name: 'TypeError', message });
      }
    });

    test('a plan that was looked at is carried out, and what would delete too much is refused', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      await using own = await server.connect();
      fill(local);
      writeFileSync(join(remote.disk, 'extra'), 'extra');
      const options: MirrorOptions = { direction: 'up', delete: true, symlinks: 'copy' };
      const mirror = (more: Partial<MirrorOptions>) =>
        own.mirror(local, remote.path, { ...options, ...more });
      await assert.rejects(mirror({ maxDelete: 0 }), { code: 'TOO_MANY_DELETIONS' });
      const { plan, dryRun } = await mirror({ confirm: () => false });
      assert.deepEqual([dryRun, [...snapshot(remote.disk).keys()]], [true, ['extra']]);
      const report = await mirror({
        plan: JSON.parse(JSON.stringify(plan)),
        maxDelete: 1,
        confirmSize: false,
      });
      assert.deepEqual([report.created, report.deleted], [26, 1]);
      assert.deepEqual(snapshot(remote.disk), snapshot(local));
    });
  });
}
