import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Connection, copyBetween } from '../../../src/index.js';
import { snapshot } from '../../support/folder.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

/** Every kind of server to every other. */
const PAIRS = serverKinds.flatMap((from) => serverKinds.map((to) => ({ from, to })));

for (const { from, to } of PAIRS) {
  describe(`copyBetween, ${from.name} to ${to.name}`, { skip: from.skip || to.skip }, () => {
    let one: ServerUnderTest;
    let other: ServerUnderTest;
    let a: Connection;
    let b: Connection;
    before(async () => {
      [one, other] = await Promise.all([from.start(), to.start()]);
      [a, b] = await Promise.all([one.connect(), other.connect()]);
    });
    after(async () => {
      await Promise.all([a?.close(), b?.close()]);
      await Promise.all([one?.stop(), other?.stop()]);
    });

    test('copies a file, with its time where told to, atomically or not', async () => {
      const content = randomBytes(3_000_001);
      writeFileSync(join(one.folder, 'file'), content);
      utimesSync(join(one.folder, 'file'), 1000, 1000);
      for (const atomic of [true, false]) {
        const figures: number[][] = [];
        const report = await copyBetween(a, one.path('file'), b, other.path(`copy ${atomic}`), {
          atomic,
          preserveMtime: true,
          callback: (transferred, total, { filesDone, filesKnown }) =>
            figures.push([transferred, total, filesDone, filesKnown]),
        });
        assert.deepEqual([report.files, report.bytes], [1, content.length]);
        assert.deepEqual(figures.at(-1), [content.length, content.length, 1, 1]);
        assert.deepEqual(readFileSync(join(other.folder, `copy ${atomic}`)), content);
        assert.equal(statSync(join(other.folder, `copy ${atomic}`)).mtimeMs, 1_000_000);
      }
    });

    test('copies a tree, and makes the directory', async () => {
      const tree = join(one.folder, 'tree');
      mkdirSync(join(tree, 'a', 'empty'), { recursive: true });
      for (let number = 0; number < 30; number += 1)
        writeFileSync(join(tree, 'a', `f${number}`), `${number}`);
      const report = await copyBetween(a, one.path('tree'), b, other.path('new/tree'));
      assert.deepEqual([report.files, report.directories], [30, 2]);
      assert.deepEqual(snapshot(join(other.folder, 'new', 'tree')), snapshot(tree));
    });

    test('an abort ends it with the reason, leaves nothing, and both connections usable', async () => {
      writeFileSync(join(one.folder, 'large'), Buffer.alloc(20_000_000));
      const controller = new AbortController();
      const copying = copyBetween(a, one.path('large'), b, other.path('aborted'), {
        signal: controller.signal,
        callback: () => controller.abort(new Error('enough')),
      });
      await assert.rejects(copying, /enough/);
      assert.ok(await a.exists(one.path('large')));
      assert.ok(!(await b.exists(other.path('aborted'))));
    });

    for (const atomic of [true, false]) {
      test(`T6: goes on over new connections, whichever was lost, ${atomic ? 'atomic' : 'in place'}`, async (t) => {
        const retry = { attempts: 3, delay: 1 };
        const [here, there] = await Promise.all([from.start(), to.start()]);
        t.after(() => Promise.all([here.stop(), there.stop()]));
        const [source, target] = await Promise.all([here.connect(), there.connect({ retry })]);
        t.after(() => Promise.all([source.close(), target.close()]));
        const name = `cut ${atomic}`;
        const tree = join(here.folder, name);
        mkdirSync(join(tree, 'd'), { recursive: true });
        const size = 4_000_000;
        writeFileSync(join(tree, 'large'), randomBytes(size));
        for (let number = 0; number < 10; number += 1)
          writeFileSync(join(tree, 'd', `f${number}`), `${number}`);
        const cuts = [here, there];
        const figures: (readonly number[])[] = [];
        const callback = (transferred: number, total: number) => {
          figures.push([transferred, total]);
          if (transferred > size / 2) cuts.shift()?.cut();
        };
        const report = await copyBetween(source, here.path(name), target, there.path(name), {
          atomic,
          retry,
          callback,
        });
        assert.equal(cuts.length, 0);
        assert.deepEqual([report.files, report.failed], [11, []]);
        assert.deepEqual(snapshot(join(there.folder, name)), snapshot(tree));
        assert.deepEqual(figures.at(-1), [size + 10, size + 10]);
        cuts.push(there, here);
        await copyBetween(source, here.path(`${name}/large`), target, there.path(`${name}/again`), {
          atomic,
          callback,
        });
        assert.equal(cuts.length, 0);
        assert.deepEqual(readFileSync(join(there.folder, name, 'again')), readFileSync(join(tree, 'large')));
        const left = [...snapshot(there.folder).keys()].filter((path) => path.includes('.tsftp-'));
        assert.deepEqual(left, []);
      });
    }

    test('a source that is not there is an error, and makes nothing', async () => {
      await assert.rejects(copyBetween(a, one.path('nothing'), b, other.path('n')), { code: 'ENOENT' });
      assert.ok(!(await b.exists(other.path('n'))));
    });

    test('over one connection too, but neither onto nor into itself', async () => {
      mkdirSync(join(one.folder, 'self'));
      writeFileSync(join(one.folder, 'self', 'f'), 'content');
      symlinkSync('self', join(one.folder, 'alias'));
      await copyBetween(a, one.path('self/f'), a, one.path('self/g'));
      assert.equal(readFileSync(join(one.folder, 'self', 'g'), 'utf8'), 'content');
      for (const [source, target] of [
        ['self/f', 'self/f'],
        ['self/f', 'alias/f'],
        ['self', 'alias/deeper'],
        ['self', 'self/deeper'],
        ['self', 'alias/still/deeper'],
      ] as const) {
        const copying = copyBetween(a, one.path(source), a, one.path(target), { atomic: false });
        await assert.rejects(copying, { name: 'SftpError', code: 'EINVAL' });
      }
      assert.deepEqual([...snapshot(join(one.folder, 'self')).keys()], ['f', 'g']);
    });

    test('over two connections to one server, neither onto nor into itself', async () => {
      const again = await one.connect();
      try {
        mkdirSync(join(one.folder, 'both'));
        writeFileSync(join(one.folder, 'both', 'f'), 'content');
        linkSync(join(one.folder, 'both', 'f'), join(one.folder, 'both', 'hard'));
        for (const name of ['f', 'hard']) {
          await copyBetween(a, one.path('both/f'), again, one.path(`both/${name}`), { atomic: false });
          assert.equal(readFileSync(join(one.folder, 'both', 'f'), 'utf8'), 'content');
        }
        for (const target of ['both', 'both/deeper']) {
          const copying = copyBetween(a, one.path('both'), again, one.path(target), { atomic: false });
          await assert.rejects(copying, { name: 'SftpError', code: 'EINVAL' });
        }
        assert.deepEqual([...snapshot(join(one.folder, 'both')).keys()], ['f', 'hard']);
      } finally {
        await again.close();
      }
    });

    test('takes connections only', async () => {
      await assert.rejects(copyBetween(a, 'x', {} as Connection, 'y'), /b must be a Connection/);
    });
  });
}
