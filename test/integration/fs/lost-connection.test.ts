/**
 * A connection that is cut in the middle of a package's job: the right result, or an error, or a failure that the view
 * tells of. Never a smaller result that looks like a right one.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import isomorphicGit from 'isomorphic-git';
import http from 'isomorphic-git/http/node';
import { type RemoteFs, type RemoteFsOptions, remoteFs } from '../../../src/fs/index.js';
import { startFaultProxy } from '../../support/fault-proxy.js';
import { makeFolder } from '../../support/folder.js';
import { type Job, type NodeFs, OTHER_JOBS, plantTree, SEARCHES } from '../../support/fs-jobs.js';
import { git, needsGit, startGitServer } from '../../support/git-server.js';
import { serverKinds } from '../../support/servers.js';

interface Run {
  readonly result: unknown;
  readonly error: unknown;
  readonly failure: Error | undefined;
  /** Bytes from the server before the job, and after it. */
  readonly from: number;
  readonly to: number;
}

for (const { name, skip, start } of serverKinds) {
  describe(`A connection that is cut during a job, with ${name}`, { skip, timeout: 240_000 }, () => {
    /** Runs a job through a proxy that cuts the first connection at a byte from the server. */
    async function prepare(t: TestContext, files: string) {
      const server = await start();
      t.after(() => server.stop());
      const root = server.folder;
      const proxy = await startFaultProxy(t, server.port);
      const run = async (job: Job, options: RemoteFsOptions, atByte?: number): Promise<Run> => {
        const base = join(root, 'tree');
        rmSync(base, { recursive: true, force: true });
        cpSync(files, base, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
        if (atByte !== undefined) proxy.queue.push({ kind: 'reset', direction: 'toClient', atByte });
        const before = proxy.passed.toClient;
        // The port of the proxy is none that is known.
        await using sftp = await server.connect({
          port: proxy.port,
          cnopts: { hostkeys: null, agent: false },
        });
        const fs = remoteFs(sftp, options);
        const from = proxy.passed.toClient - before;
        const [outcome] = await Promise.allSettled([job.run(fs as unknown as NodeFs, server.path('tree'))]);
        await Promise.allSettled([fs.check()]);
        return {
          result: outcome.status === 'fulfilled' ? outcome.value : undefined,
          error: outcome.status === 'rejected' ? outcome.reason : undefined,
          failure: fs.failure,
          from,
          to: proxy.passed.toClient - before,
        };
      };
      return { run, root };
    }

    function isTold({ result, error, failure }: Run, expected: unknown): boolean {
      return error !== undefined || failure !== undefined || isDeepStrictEqual(result, expected);
    }

    test('gives no smaller result without a failure, and none at all in a search that reconnects', async (t) => {
      const files = makeFolder(t);
      plantTree(files);
      const { run } = await prepare(t, files);
      for (const job of [...SEARCHES, ...OTHER_JOBS]) {
        const whole = await run(job, {});
        assert.equal(whole.error, undefined, job.name);
        const at = (part: number) => Math.floor(whole.from + (whole.to - whole.from) * part);
        const cut = await run(job, { retry: false }, at(0.4));
        assert.ok(isTold(cut, whole.result), `${job.name}: ${JSON.stringify(cut)}`);
        const repeated = await run(job, { retry: { delay: 1 } }, at(0.6));
        assert.ok(isTold(repeated, whole.result), `${job.name}, with retry: ${JSON.stringify(repeated)}`);
        if (!SEARCHES.includes(job)) continue;
        assert.deepEqual([repeated.result, repeated.failure], [whole.result, undefined], job.name);
      }
    });

    test('is told of by failure, check and onFailure where a package passes over it', async (t) => {
      const files = makeFolder(t);
      plantTree(files);
      const { run } = await prepare(t, files);
      const [glob] = SEARCHES;
      assert.ok(glob);
      const whole = await run(glob, {});
      const told: Error[] = [];
      const options = { retry: false, onFailure: (error: Error) => told.push(error) } as const;
      const cut = await run(glob, options, whole.from + 300);
      assert.equal(cut.error, undefined);
      assert.ok((cut.result as unknown[]).length < (whole.result as unknown[]).length);
      assert.deepEqual(told, [cut.failure]);
      assert.match(String(cut.failure), /^Error: ECONNRESET: connection reset by peer, \w+/);
    });

    test('never leaves a clone that is not whole without an error', { skip: needsGit }, async (t) => {
      const files = makeFolder(t);
      await using remote = await startGitServer(files);
      const empty = makeFolder(t);
      const { run, root } = await prepare(t, empty);
      const clone: Job = {
        name: 'isomorphic-git',
        run: async (fs, base) => {
          mkdirSync(join(root, 'tree'), { recursive: true });
          await isomorphicGit.clone({ fs: fs as unknown as RemoteFs, http, dir: base, url: remote.url });
          git(join(root, 'tree'), 'fsck', '--strict');
          return git(join(root, 'tree'), 'status', '--porcelain');
        },
      };
      const whole = await run(clone, {});
      assert.deepEqual([whole.result, whole.error], ['', undefined]);
      for (const part of [0.2, 0.5, 0.8]) {
        const cut = await run(
          clone,
          { retry: { delay: 1 } },
          Math.floor(whole.from + (whole.to - whole.from) * part),
        );
        assert.ok(isTold(cut, ''), `cut at ${part}: ${JSON.stringify(cut)}`);
      }
    });
  });
}
