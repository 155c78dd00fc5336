/** Mirrors that meet a directory that nobody may list, or that is gone when its turn comes. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { MirrorEntry, MirrorReport } from '../../../src/index.js';
import { planMirror } from '../../../src/jobs/index.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';
import { serverKinds } from '../../support/servers.js';
import { openConnection } from '../../support/stream-connection.js';

const NOBODY = 65534;
const withoutRoot = process.getuid?.() === 0 ? false : 'needs root, for a server that runs as another user';

/** Files hold their own names. */
function make(folder: string, ...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), name);
  }
}

function failuresOf({ failed }: MirrorReport): string[] {
  return failed.map(
    ({ step: { path, reason }, error }) => `${path}: ${reason} ${(error as { code?: string }).code}`,
  );
}

function inOrder(isUp: boolean, local: string, remote: string): readonly [string, string] {
  return isUp ? [local, remote] : [remote, local];
}

function namesBelow(folder: string): string[] {
  return [...snapshot(folder).keys()].sort();
}

for (const { name, skip, start } of serverKinds) {
  describe(`a directory that is gone meanwhile, with ${name}`, { skip }, () => {
    for (const direction of ['up', 'down'] as const) {
      for (const side of ['source', 'target'] as const) {
        test(`${direction}, on the side of the ${side}`, async (t) => {
          const server = await start();
          t.after(() => server.stop());
          await using sftp = await server.connect();
          const isUp = direction === 'up';
          const [local, remote] = [makeFolder(t), join(server.folder, 'tree')];
          const [from, to] = inOrder(isUp, local, remote);
          const paths = inOrder(isUp, local, server.path('tree'));
          const sideOfIt = side === 'source' ? from : to;
          make(from, 'gone/new', 'last', 'other/new');
          make(to, 'extra', 'gone/old');
          // It is asked when the parent directory has been listed, and before anything below is.
          const filter = ({ path }: MirrorEntry) => {
            if (path === 'gone') rmSync(join(sideOfIt, 'gone'), { recursive: true, force: true });
            return true;
          };
          const options = { direction, delete: true } as const;
          const report = await sftp.mirror(...paths, { ...options, filter, continueOnError: true });
          assert.deepEqual(failuresOf(report), ['gone: unreadable ENOENT']);
          assert.deepEqual([report.created, report.deleted], [3, 0]);
          const kept = sideOfIt === from ? ['gone', 'gone/old'] : [];
          assert.deepEqual(namesBelow(to), ['extra', ...kept, 'last', 'other', 'other/new']);
          make(sideOfIt, 'gone/again');
          await assert.rejects(sftp.mirror(...paths, { ...options, filter }), { code: 'ENOENT' });
        });
      }
    }
  });
}

describe('a directory that may not be listed', { skip: withoutSftpServer || withoutRoot }, () => {
  test('up: it is left alone on both sides, and told', async (t) => {
    const [local, folder] = [makeFolder(t), makeFolder(t)];
    chmodSync(folder, 0o777);
    await using server = startPipeServer('/', [], NOBODY);
    await using sftp = await openConnection(server.stream);
    make(local, 'a', 'closed/new', 'z/new');
    make(folder, 'closed/old', 'extra', 'forgotten/old');
    for (const name of ['closed', 'forgotten']) chmodSync(join(folder, name), 0);
    const report = await sftp.mirror(local, folder, { direction: 'up', delete: true, continueOnError: true });
    assert.deepEqual(failuresOf(report), ['closed: unreadable EACCES', 'forgotten: unreadable EACCES']);
    assert.deepEqual([report.created, report.deleted], [3, 0]);
    const kept = ['closed', 'closed/old', 'extra', 'forgotten', 'forgotten/old'];
    assert.deepEqual(namesBelow(folder), ['a', ...kept, 'z', 'z/new']);
  });

  test('down: it is left alone on both sides, and told', async (t) => {
    const [folder, local] = [makeFolder(t), makeFolder(t)];
    chmodSync(folder, 0o755);
    await using server = startPipeServer('/', [], NOBODY);
    await using sftp = await openConnection(server.stream);
    make(folder, 'a', 'closed/new', 'z/new');
    make(local, 'closed/old', 'extra');
    chmodSync(join(folder, 'closed'), 0);
    const options = { direction: 'down', delete: true } as const;
    for (const dryRun of [true, false]) {
      const report = await sftp.mirror(folder, local, { ...options, dryRun, continueOnError: true });
      assert.deepEqual(failuresOf(report), ['closed: unreadable EACCES']);
      assert.deepEqual([report.created, report.deleted], [3, 0]);
      assert.equal(existsSync(join(local, 'z')), !dryRun);
    }
    assert.deepEqual(namesBelow(local), ['a', 'closed', 'closed/old', 'extra', 'z', 'z/new']);
    await assert.rejects(sftp.mirror(folder, local, options), { code: 'EACCES' });
  });
});

test('planMirror ends with the error of a directory that cannot be listed', async (t) => {
  const failOn = ({ kind, path }: { readonly kind: string; readonly path: string | undefined }) =>
    kind === 'opendir' && path === '/d/closed' ? 'EACCES' : undefined;
  const server = await startServer({ files: { 'd/a': 'a', 'd/closed/f': 'f' } }, { faults: { failOn } });
  t.after(() => server.close());
  await using sftp = await connectToServer(server);
  const plan = async () => {
    for await (const { path } of planMirror(sftp, '/d', makeFolder(t), { direction: 'down' })) {
      assert.equal(path, 'a');
    }
  };
  await assert.rejects(plan, { code: 'EACCES' });
});
