import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { openBelow } from '../../support/processes.js';

test('a mirror that ends before it has begun keeps no local directory open', async (t) => {
  const server = await startServer({ files: { file: 'in the way of a directory' } });
  t.after(() => server.close());
  await using sftp = await connectToServer(server);
  const folder = makeFolder(t);
  await assert.rejects(sftp.mirror(folder, '/file', { direction: 'up' }));
  // It is closed in the background.
  const deadline = performance.now() + 5000;
  while (openBelow(folder, process.pid) > 0 && performance.now() < deadline) await new Promise(setImmediate);
  assert.equal(openBelow(folder, process.pid), 0);
});
