/** Servers that can handle only one request at a time, or one READDIR. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Connection, ConnectOptions } from '../../../src/index.js';
import { copyBetween } from '../../../src/index.js';
import { type Faults, startServer, type TestServer } from '../../../src/testing/index.js';
import { declareCompactSuite } from '../../support/compact-suite.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const LARGE = 200_000;
const FILES = {
  large: 'x'.repeat(LARGE),
  ...Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`tree/d${index % 3}/file-${index}`, 'x'])),
};

async function open(
  t: TestContext,
  faults: Faults,
  options: ConnectOptions = {},
): Promise<{ readonly server: TestServer; readonly sftp: Connection; readonly folder: string }> {
  const server = await startServer({ files: FILES }, { faults });
  t.after(() => server.close());
  const sftp = await connectToServer(server, options);
  t.after(() => sftp.close());
  return { server, sftp, folder: makeFolder(t) };
}

async function count(entries: AsyncIterable<unknown>): Promise<number> {
  let found = 0;
  for await (const _ of entries) found += 1;
  return found;
}

describe('a server that fails when two requests are in flight', () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ files: {} }, { faults: { noPipelining: true } });
  });
  after(() => server?.close());
  declareCompactSuite(() => ({
    root: '/',
    connect: () => connectToServer(server, { concurrency: 1 }),
  }));

  test('refuses a client that does not know of that', async (t) => {
    const { sftp } = await open(t, { noPipelining: true });
    await assert.rejects(Promise.all([sftp.stat('large'), sftp.stat('tree')]), { code: 'FAILURE' });
  });

  test('is served by every call, streams and calls side by side included, with concurrency: 1', async (t) => {
    const { server, sftp, folder } = await open(t, { noPipelining: true }, { concurrency: 1 });
    const contents = await Promise.all([
      text(sftp.createReadStream('large')),
      sftp.readFile('large', 'utf8'),
      sftp.getR('tree', folder).then(() => 'x'.repeat(LARGE)),
    ]);
    for (const content of contents) assert.equal(content.length, LARGE);
    assert.equal(await count(sftp.walk('tree')), 33);
    assert.equal((await sftp.glob('tree/*/file-*')).length, 30);
    await sftp.rmtree('tree');
    assert.deepEqual(server.listNames('/'), ['large']);
  });

  test('is served by transfers to which alone concurrency: 1 is given', async (t) => {
    const { server, sftp, folder } = await open(t, { noPipelining: true });
    const [concurrency, one] = [1, { concurrency: 1 }];
    await sftp.stat('large');
    await sftp.get('large', join(folder, 'got'), one);
    await sftp.put(join(folder, 'got'), 'put', one);
    await sftp.put(join(folder, 'got'), 'put', { concurrency, atomic: true });
    await sftp.getfo('large', { write: () => {} }, one);
    await sftp.putfo('x'.repeat(LARGE), 'putfo', one);
    await sftp.getR('tree', join(folder, 'down'), one);
    await sftp.putR(join(folder, 'down/tree'), 'up', one);
    await sftp.mirror(join(folder, 'down/tree'), 'mirrored', { concurrency, direction: 'up' });
    await copyBetween(sftp, 'tree', sftp, 'between', one);
    assert.equal(readFileSync(join(folder, 'got'), 'utf8').length, LARGE);
    for (const copy of ['up', 'mirrored', 'between']) {
      assert.equal(await count(sftp.walk(copy, { maxDepth: 1 })), 3, copy);
      for (const name of ['d0', 'd1', 'd2']) assert.equal(server.listNames(`/${copy}/${name}`).length, 10);
    }
    assert.deepEqual([server.readFile('/put').length, server.readFile('/putfo').length], [LARGE, LARGE]);
  });
});

describe('a server that answers READDIRs at the same time with the same names', () => {
  for (const maxNames of [1, 4, 100]) {
    test(`has every name listed once by every call (${maxNames} to a reply)`, async (t) => {
      const { server, sftp, folder } = await open(t, { repeatsNames: true, maxNames });
      const names = Array.from({ length: 10 }, (_, index) => `file-${3 * index}`).sort();
      assert.deepEqual(await sftp.listdir('tree/d0'), names);
      const attributes = await sftp.listdirAttr('tree/d0');
      assert.deepEqual(
        attributes.map(({ filename }) => filename),
        names,
      );
      assert.equal(await count(sftp.walk('tree')), 33);
      assert.equal((await sftp.glob('tree/d?/*')).length, 30);
      const { files, failed } = await sftp.getR('tree', folder);
      assert.deepEqual([files, failed], [30, []]);
      mkdirSync(join(folder, 'mirrored'));
      writeFileSync(join(folder, 'mirrored/extra'), '');
      await sftp.mirror('tree', join(folder, 'mirrored'), { direction: 'down', delete: true });
      assert.deepEqual(snapshot(join(folder, 'mirrored')), snapshot(join(folder, 'tree')));
      await sftp.rmtree('tree');
      assert.deepEqual(server.listNames('/'), ['large']);
      assert.equal(server.counters.openHandles, 0);
    });
  }

  test('is asked one request at a time once that has shown', async (t) => {
    const { server, sftp } = await open(t, { repeatsNames: true, maxNames: 1 });
    await sftp.listdir('tree/d0');
    const before = server.counters.requests.opendir ?? 0;
    await sftp.listdir('tree/d1');
    assert.equal((server.counters.requests.opendir ?? 0) - before, 1);
  });
});

test('A listing that says nothing of types has them asked for', async (t) => {
  const { sftp } = await open(t, { oddLongname: true, noFileType: true });
  const entries = await sftp.listdirAttr('.');
  assert.deepEqual(
    entries.map(({ filename, type }) => [filename, type]),
    [
      ['large', 'file'],
      ['tree', 'directory'],
    ],
  );
  assert.ok(entries[0]?.longname.endsWith('large'));
});

test('A REALPATH that finds nothing does not keep trees from being copied', async (t) => {
  const { sftp, folder } = await open(t, { noRealpath: 'ENOENT' });
  await sftp.symlink('d0', 'tree/link');
  const { files } = await sftp.getR('tree', folder, { symlinks: 'follow' });
  assert.equal(files, 40);
  const { created } = await sftp.mirror('tree', join(folder, 'mirrored'), {
    direction: 'down',
    symlinks: 'follow',
  });
  assert.equal(created, 44);
});
