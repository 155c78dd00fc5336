/** What the options of trees tell and decide, and the signal that tells the end of a connection. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';

const FILES = { 'pub/site/a.txt': 'a', 'pub/site/sub/b.txt': 'bb' };

async function connectTo(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-tree-'));
  const server = await startServer({ files: FILES });
  const sftp = await connectToServer(server);
  t.after(async () => {
    await sftp.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { sftp, server, folder };
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

test('getR with into writes the content of a directory right into the local one', async (t) => {
  const { sftp, folder } = await connectTo(t);
  await sftp.getR('pub/site', join(folder, 'kept'));
  await sftp.getR('pub/site', join(folder, 'plain'), { into: true });
  assert.deepEqual(filesIn(join(folder, 'kept')), [
    'pub',
    'pub/site',
    'pub/site/a.txt',
    'pub/site/sub',
    'pub/site/sub/b.txt',
  ]);
  assert.deepEqual(filesIn(join(folder, 'plain')), ['a.txt', 'sub', 'sub/b.txt']);
});

test('onFile hears of every file of a tree when it has been copied, with source and target', async (t) => {
  const { sftp, folder } = await connectTo(t);
  const seen: string[] = [];
  const onFile = ({
    type,
    path,
    target,
    bytes,
  }: {
    type: string;
    path: string;
    target: string;
    bytes: number;
  }) => void seen.push(`${type} ${path} ${target.replace(folder, '')} ${bytes}`);
  await sftp.getR('pub/site', folder, { into: true, onFile });
  await sftp.putR(folder, 'copy', {
    onFile: ({ path, target }) => seen.push(`${path.replace(folder, '')} ${target}`),
  });
  assert.deepEqual(seen.sort(), [
    '/a.txt copy/a.txt',
    '/sub/b.txt copy/sub/b.txt',
    'file pub/site/a.txt /a.txt 1',
    'file pub/site/sub/b.txt /sub/b.txt 2',
  ]);
});

test('what onFile throws ends the tree and comes out as it was thrown', async (t) => {
  const { sftp, folder } = await connectTo(t);
  const reason = new Error('no more');
  const onFile = () => {
    throw reason;
  };
  const copying = sftp.getR('pub', folder, { onFile, continueOnError: true });
  await assert.rejects(copying, (error: unknown) => error === reason);
  await assert.rejects(sftp.getR('pub', folder, { onFile: 5 as never }), {
    name: 'TypeError',
    message: 'The option onFile of getR must be a function, not number',
  });
});

test('the signal ended aborts with the reason when the connection is lost, or closed', async (t) => {
  const { sftp, server } = await connectTo(t);
  const other = await connectToServer(server);
  assert.equal(sftp.ended.aborted, false);
  const lost = once(sftp.ended, 'abort');
  await other.close();
  assert.equal(other.ended.reason.code, 'CLOSED');
  await server.close();
  await lost;
  assert.equal(sftp.ended.reason.name, 'ConnectionLostError');
});
