/** The everyday operations where the server knows no extensions, or is odd. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type ServerOptions, startServer, type TestServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';

const FILES = { 'a.txt': 'content', 'd/e/f.txt': 'f', 'd/g.txt': 'g', link: { target: 'd' } };

async function start(
  t: TestContext,
  options: ServerOptions = {},
): Promise<{ readonly server: TestServer; readonly sftp: Connection }> {
  const server = await startServer({ files: FILES }, options);
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  return { server, sftp };
}

describe('A server without extensions', () => {
  test('has its files copied through the client', async (t) => {
    const { server, sftp } = await start(t, { extensions: [] });
    await sftp.copy('a.txt', 'b.txt');
    await sftp.copy('a.txt', 'd/g.txt', { atomic: false });
    assert.equal(server.readFile('/b.txt').toString(), 'content');
    assert.equal(server.readFile('/d/g.txt').toString(), 'content');
    assert.deepEqual(server.listNames('/'), ['a.txt', 'b.txt', 'd', 'link']);
    assert.equal(server.counters.openHandles, 0);
  });

  test('is told apart by UnsupportedError with the name of what is missing', async (t) => {
    const { sftp } = await start(t, { extensions: [] });
    const missing = (extension: string) => ({ name: 'UnsupportedError', code: 'ENOTSUP', extension });
    await assert.rejects(sftp.statvfs(), missing('statvfs@openssh.com'));
    await assert.rejects(sftp.hardlink('a.txt', 'b'), missing('hardlink@openssh.com'));
    await assert.rejects(sftp.posixRename('a.txt', 'b'), missing('posix-rename@openssh.com'));
    await assert.rejects(sftp.expandPath('~root'), missing('home-directory'));
    await assert.rejects(sftp.homeDirectory('root'), missing('home-directory'));
  });

  test('has the first directory for a home', async (t) => {
    const { sftp } = await start(t, { extensions: [], home: '/d' });
    assert.equal(await sftp.homeDirectory(), '/d');
    assert.equal(await sftp.expandPath('~/e'), '/d/e');
  });
});

describe('copy', () => {
  test('goes through the client where copy-data was announced and is not supported (P21)', async (t) => {
    const failOn = ({ extension }: { readonly extension: string | undefined }) =>
      extension === 'copy-data' ? 8 : undefined;
    const { server, sftp } = await start(t, { faults: { failOn } });
    await sftp.copy('a.txt', 'b.txt');
    assert.equal(server.readFile('/b.txt').toString(), 'content');
    assert.deepEqual(server.listNames('/'), ['a.txt', 'b.txt', 'd', 'link']);
  });

  test('leaves nothing behind where the disk is full', async (t) => {
    const failOn = ({ extension }: { readonly extension: string | undefined }) =>
      extension === 'copy-data' ? 'ENOSPC' : undefined;
    const { server, sftp } = await start(t, { faults: { failOn } });
    await assert.rejects(sftp.copy('a.txt', 'd/g.txt'), {
      name: 'TransferError',
      code: 'FAILURE',
      side: 'remote',
    });
    assert.equal(server.readFile('/d/g.txt').toString(), 'g');
    assert.deepEqual(server.listNames('/d'), ['e', 'g.txt']);
    assert.equal(server.counters.openHandles, 0);
  });
});

describe('walk', () => {
  test('asks for the type of what a server lists without one', async (t) => {
    const { sftp } = await start(t, { faults: { noLongname: true } });
    const paths: string[] = [];
    for await (const { path, attributes } of sftp.walk('.')) paths.push(`${path} ${attributes.type}`);
    assert.deepEqual(paths, [
      './a.txt file',
      './d directory',
      './d/e directory',
      './d/e/f.txt file',
      './d/g.txt file',
      './link symlink',
    ]);
  });

  test('works one request after the other, one name at a time', async (t) => {
    const { server, sftp } = await start(t, { faults: { maxNames: 1, oneAtATime: true, maxHandles: 2 } });
    const paths: string[] = [];
    for await (const { path } of sftp.walk('d')) paths.push(path);
    assert.deepEqual(paths, ['d/e', 'd/e/f.txt', 'd/g.txt']);
    assert.equal(server.counters.openHandles, 0);
  });

  test('has several listings on the way, so that turns of the line count per level', async (t) => {
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`w/${index}/x`, '']));
    const server = await startServer({ files });
    t.after(() => server.close());
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    const { sftpClient } = sftp;
    const opendir = sftpClient.opendir.bind(sftpClient);
    let most = 0;
    let waiting = 0;
    sftpClient.opendir = async (...call) => {
      waiting += 1;
      most = Math.max(most, waiting);
      return opendir(...call).finally(() => {
        waiting -= 1;
      });
    };
    let count = 0;
    for await (const _ of sftp.walk('w')) count += 1;
    assert.equal(count, 40);
    assert.equal(most, 20);
  });

  test('leaves no handle open when the loop is left', async (t) => {
    const { server, sftp } = await start(t);
    for await (const _ of sftp.walk('.')) break;
    // A handle that comes after the end is closed when it comes, which is before the first answer here.
    for (let turn = 0; turn < 2; turn += 1) await sftp.stat('.');
    assert.equal(server.counters.openHandles, 0);
  });
});

describe('symlink', () => {
  test('with order: draft sends the paths as the draft has them', async (t) => {
    const { server, sftp } = await start(t);
    // This server reads them as OpenSSH does, so that it sees them the other way round.
    await sftp.symlink('/new-link', '/target-that-is-none', { order: 'draft' });
    assert.ok(server.listNames('/').includes('new-link'));
  });
});
