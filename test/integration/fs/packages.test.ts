/** Packages that know nothing of SFTP, on a server: the same as on a directory of this machine. */
import assert from 'node:assert/strict';
import nodeFs, { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import isomorphicGit from 'isomorphic-git';
import http from 'isomorphic-git/http/node';
import { remoteFs } from '../../../src/fs/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { type NodeFs, OTHER_JOBS, plantTree, SEARCHES } from '../../support/fs-jobs.js';
import { git, needsGit, startGitServer } from '../../support/git-server.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

const author = { name: 'Test', email: 'test@example.org' };

for (const { name, skip, start } of serverKinds) {
  describe(`Packages on ${name}`, { skip, timeout: 120_000 }, () => {
    async function serve(t: TestContext): Promise<ServerUnderTest> {
      const server = await start();
      t.after(() => server.stop());
      return server;
    }

    test('find, pack, extract, serve and store the same as on a local twin', async (t) => {
      const server = await serve(t);
      const twin = makeFolder(t);
      plantTree(twin);
      cpSync(twin, join(server.folder, 'tree'), {
        recursive: true,
        verbatimSymlinks: true,
        preserveTimestamps: true,
      });
      await using sftp = await server.connect();
      const fs = remoteFs(sftp);
      for (const job of [...SEARCHES, ...OTHER_JOBS]) {
        const expected = await job.run(nodeFs, twin);
        const actual = await job.run(fs as unknown as NodeFs, server.path('tree'));
        assert.deepEqual(actual, expected, job.name);
      }
      await fs.check();
      const [ours, theirs] = [snapshot(join(server.folder, 'tree')), snapshot(twin)];
      assert.deepEqual(ours, theirs);
    });

    test('clone, commit and push with isomorphic-git', { skip: needsGit }, async (t) => {
      const server = await serve(t);
      const folder = makeFolder(t);
      await using remote = await startGitServer(folder);
      await using sftp = await server.connect();
      const fs = remoteFs(sftp);
      const dir = server.path('clone');
      mkdirSync(join(server.folder, 'clone'));
      await isomorphicGit.clone({ fs, http, dir, url: remote.url });
      const clone = join(server.folder, 'clone');
      git(clone, 'fsck', '--strict');
      assert.equal(git(clone, 'status', '--porcelain'), '');
      await fs.promises.writeFile(`${dir}/new.txt`, 'one egg\n');
      await isomorphicGit.add({ fs, dir, filepath: 'new.txt' });
      const oid = await isomorphicGit.commit({ fs, dir, message: 'an egg', author });
      const matrix = await isomorphicGit.statusMatrix({ fs, dir });
      assert.ok(matrix.every(([, head, work, stage]) => head === 1 && work === 1 && stage === 1));
      const pushed = await isomorphicGit.push({ fs, http, dir, remote: 'origin', ref: 'main' });
      assert.equal(pushed.ok, true);
      assert.equal(git(clone, 'fsck', '--strict', '--full'), '');
      assert.equal(git(clone, 'status', '--porcelain'), '');
      assert.equal(git(remote.repository, 'rev-parse', 'main').trim(), oid);
      assert.equal(readFileSync(join(clone, 'new.txt'), 'utf8'), 'one egg\n');
      await fs.check();
    });
  });
}
