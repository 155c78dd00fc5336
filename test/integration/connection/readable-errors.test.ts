/** What a terminal would act on stands in no message, whichever side a name came from. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { type Connection, cd, FileAttributes, walktree } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const EVIL = 'a\x1b[2J\u202eb';
const LONG = EVIL.repeat(60);

function checkError(error: unknown): true {
  assert.ok(error instanceof Error);
  for (const text of [error.message, String(error), String(error.stack).replaceAll('\n', ' ')]) {
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u);
  }
  // The fields hold the path as it is, which these two show in their own way.
  for (const text of [inspect(error), JSON.stringify(error)]) assert.ok(!text.includes('\x1b'), text);
  return true;
}

describe('errors and reports', () => {
  let server: TestServer;
  let sftp: Connection;
  before(async () => {
    server = await startServer({ files: { file: 'content', [`tree/${EVIL}/x`]: '1', 'flat/y': '1' } });
    sftp = await connectToServer(server);
  });
  after(async () => {
    await sftp?.close();
    await server?.close();
  });

  test('X15: a local name with escape sequences is escaped in every error', async (t) => {
    const local = makeFolder(t);
    writeFileSync(join(local, EVIL), '');
    symlinkSync(EVIL + EVIL, join(local, EVIL + EVIL));
    const calls: readonly (() => unknown)[] = [
      () => sftp.put(join(local, LONG), 'x'),
      () => sftp.put(join(local, EVIL, 'below'), 'x'),
      () => sftp.put(join(local, EVIL + EVIL), 'x'),
      () => sftp.put(join(local, `${EVIL}gone`), 'x'),
      () => sftp.get('file', join(local, LONG)),
      () => sftp.get('file', join(local, EVIL, 'below')),
      () => sftp.get('file', join(local, `${EVIL}gone`, 'x')),
      () => sftp.putR(join(local, LONG), 'x'),
      () => sftp.putR(join(local, EVIL), 'x'),
      () => sftp.getR('flat', join(local, EVIL)),
      () => sftp.getD('flat', join(local, EVIL)),
      () => sftp.mirror(join(local, LONG), 'x', { direction: 'up' }),
      () => sftp.mirror('flat', join(local, EVIL, 'below'), { direction: 'down' }),
      () => walktree(join(local, EVIL), nothing, nothing, nothing),
      () => cd(join(local, `${EVIL}gone`), nothing),
    ];
    for (const call of calls) await assert.rejects(async () => call(), checkError, String(call));
  });

  test('X15: the failures of a report are escaped, and their paths are what they are', async (t) => {
    const local = makeFolder(t);
    mkdirSync(join(local, 'tree'));
    writeFileSync(join(local, 'tree', EVIL), 'a file is in the way');
    const { failed } = await sftp.getD('tree', join(local, 'tree'), { continueOnError: true });
    const report = await sftp.getR('tree', local, { continueOnError: true });
    assert.deepEqual(failed, []);
    assert.equal(report.failed.length, 1);
    for (const { error, path } of report.failed) {
      checkError(error);
      assert.ok(path.includes(EVIL));
    }
  });

  test('X15: String(attributes) shows a name escaped', () => {
    assert.match(String(new FileAttributes({}, { filename: Buffer.from(EVIL) })), / a\\x1b\[2J\\u202eb$/);
  });
});

function nothing(): void {}
