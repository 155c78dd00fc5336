import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type SeenRequest, startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

for (const { name, skip, start } of serverKinds) {
  describe(`the mode of an upload with ${name}`, { skip: skip || process.platform === 'win32' }, () => {
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
    const modeOf = (file: string) => (statSync(join(server.folder, file)).mode & 0o7777).toString(8);

    test('it is what was asked for, of new files and of those that are replaced, in every way to write', async (t) => {
      const folder = makeFolder(t);
      mkdirSync(join(folder, 'tree', 'sub'), { recursive: true });
      const files = ['local', 'tree/a', 'tree/sub/b'].map((file) => join(folder, file));
      for (const file of files) writeFileSync(file, 'x'.repeat(100_000), { mode: 0o600 });
      const [local = ''] = files;
      for (const old of ['old', 'in place', 'stream']) {
        writeFileSync(join(server.folder, old), 'old');
        chmodSync(join(server.folder, old), 0o644);
      }
      await sftp.put(local, server.path('new'), { mode: 640 });
      await sftp.put(local, server.path('atomic'), { mode: '0604', atomic: true });
      await sftp.put(local, server.path('shared'), { mode: 666 });
      await sftp.put(local, server.path('closed'), { mode: '400' });
      await sftp.put(local, server.path('old'), { mode: 0o600 });
      await sftp.put(local, server.path('in place'), { mode: 600, atomic: false });
      await sftp.putfo('content', server.path('stream'), { mode: 600 });
      await sftp.putfo('content', server.path('stream 2'), { mode: 640, atomic: true });
      await sftp.putR(join(folder, 'tree'), server.path('tree'), { mode: 640 });
      await sftp.putD(join(folder, 'tree'), server.path('tree'), { mode: 600 });
      assert.deepEqual(
        [
          'new',
          'atomic',
          'shared',
          'closed',
          'old',
          'in place',
          'stream',
          'stream 2',
          'tree/a',
          'tree/sub/b',
        ].map(modeOf),
        ['640', '604', '666', '400', '600', '600', '600', '640', '600', '640'],
      );
    });

    test('readFile reads a part, both ends included', async () => {
      writeFileSync(join(server.folder, 'digits'), '0123456789');
      const path = server.path('digits');
      assert.equal(await sftp.readFile(path, { encoding: 'utf8', start: 2, end: 4 }), '234');
      assert.equal(await sftp.readFile(path, { encoding: 'utf8', start: 8 }), '89');
      assert.equal(await sftp.readFile(path, { encoding: 'utf8', end: 0 }), '0');
      assert.equal(await sftp.readFile(path, { encoding: 'utf8', start: 20, end: 30 }), '');
      await using file = await sftp.open(path);
      assert.equal(await file.readFile({ encoding: 'latin1', start: 5, end: 6 }), '56');
      await assert.rejects(sftp.readFile(path, { start: 3, end: 2 }), RangeError);
    });

    test('options stand where a path may be left out', async (t) => {
      const folder = makeFolder(t);
      writeFileSync(join(folder, 'by name'), 'content');
      await sftp.cd(server.path('.'), async () => {
        await sftp.put(join(folder, 'by name'), { mode: 600 });
        assert.equal(modeOf('by name'), '600');
        await sftp.mkdir('made', { mode: 700 });
        await sftp.makedirs('made/below/it', { mode: '750' });
        assert.deepEqual([modeOf('made'), modeOf('made/below/it')], ['700', '750']);
        const twice = { name: 'TypeError', message: /are given twice: give them as the last argument/ };
        await assert.rejects(sftp.put('x', { mode: 600 }, { mode: 600 }), twice);
        await assert.rejects(sftp.get('x', { signl: 1 } as object), { message: /did you mean 'signal'/ });
      });
    });

    test('rename replaces with overwrite, and only then', async () => {
      const paths = ['first', 'second'].map((file) => server.path(file)) as [string, string];
      writeFileSync(join(server.folder, 'first'), 'first');
      writeFileSync(join(server.folder, 'second'), 'second');
      await assert.rejects(sftp.rename(...paths), { code: 'EEXIST' });
      await sftp.rename(...paths, { overwrite: true });
      assert.equal(await sftp.readFile(paths[1], 'utf8'), 'first');
      assert.equal(await sftp.exists(paths[0]), false);
      await assert.rejects(sftp.rename(...paths, { overwrite: true }), { code: 'ENOENT' });
      assert.equal(await sftp.readFile(paths[1], 'utf8'), 'first');
    });
  });
}

describe('without help of the server', () => {
  test('rename with overwrite lets the old file step aside, and brings it back after a failure', async (t) => {
    let refuse = (_request: SeenRequest): string | undefined => undefined;
    const server: TestServer = await startServer(
      { files: { new: 'new', old: 'old', 'd/x': 'x' } },
      { faults: { failOn: (request) => refuse(request) }, extensions: [] },
    );
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    refuse = ({ kind, path }) => (kind === 'rename' && path?.endsWith('new') ? 'EACCES' : undefined);
    await assert.rejects(sftp.rename('new', 'old', { overwrite: true }), { code: 'EACCES' });
    assert.deepEqual(await sftp.listdir(), ['d', 'new', 'old']);
    assert.equal(await sftp.readFile('old', 'utf8'), 'old');
    refuse = () => undefined;
    await assert.rejects(sftp.rename('new', 'd', { overwrite: true }), { code: 'EEXIST' });
    await sftp.rename('new', 'old', { overwrite: true });
    assert.deepEqual(await sftp.listdir(), ['d', 'old']);
    assert.equal(await sftp.readFile('old', 'utf8'), 'new');
  });

  test('no one else may read for a moment what is to be closed to them', async (t) => {
    const opened: (string | undefined)[] = [];
    const server = await startServer(
      { files: { old: 'old' } },
      { faults: { failOn: ({ kind, path }) => void opened.push(`${kind} ${path}`) } },
    );
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    opened.length = 0;
    await sftp.putfo('secret', 'old', { mode: 600 });
    const kinds = opened.map((line) => line?.split(' ')[0]);
    assert.ok(kinds.indexOf('fsetstat') > 0, String(kinds));
    assert.ok(kinds.indexOf('fsetstat') < kinds.indexOf('write'), String(kinds));
  });
});
