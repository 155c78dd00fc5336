/** What is new in a directory, scan after scan. */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type ScanOptions, type ScanState, type ScanStore, scan } from '../../../src/jobs/index.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

async function open(t: TestContext): Promise<{
  readonly sftp: Connection;
  readonly root: string;
  write(name: string, content: string, mtime?: number): void;
}> {
  const root = makeFolder(t);
  mkdirSync(join(root, 'in'));
  const server = await startServer({ root });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  const write = (name: string, content: string, mtime = 1_700_000_000) => {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), content);
    utimesSync(join(root, name), mtime, mtime);
  };
  return { sftp, root, write };
}

/** Scans again and again, with the state as JSON in between. */
function scanner(sftp: Connection, options: ScanOptions = {}) {
  let state: ScanState | undefined;
  return async () => {
    const result = await scan(sftp, '/in', { settle: 0, ...options, ...(state && { state }) });
    state = JSON.parse(JSON.stringify(result.state)) as ScanState;
    return result.files.map(({ path }) => path);
  };
}

function memoryStore(): ScanStore & { saved: { state: ScanState; version: string } | undefined } {
  return {
    saved: undefined,
    async get() {
      return this.saved;
    },
    async set(_, state, version) {
      if (this.saved?.version !== version) return false;
      this.saved = { state, version: String(Number(version ?? 0) + 1) };
      return true;
    },
  };
}

describe('scan', () => {
  for (const strategy of ['entities', 'timestamp'] as const) {
    test(`with ${strategy} finds what is new or changed, and nothing twice`, async (t) => {
      const { sftp, root, write } = await open(t);
      const next = scanner(sftp, { strategy });
      write('in/a', '1');
      write('in/b', '2');
      write('in/.tsftp-000000000000-000000000000.part', 'unfinished');
      assert.deepEqual(await next(), ['a', 'b']);
      assert.deepEqual(await next(), []);
      write('in/a', 'longer');
      write('in/c', '3', 1_700_000_100);
      rmSync(join(root, 'in/b'));
      assert.deepEqual(await next(), ['a', 'c']);
      assert.deepEqual(await next(), []);
      write('in/late', '4', 1_699_999_000);
      assert.deepEqual(await next(), ['late']);
    });

    test(`with ${strategy} is not misled by a file of the future`, async (t) => {
      const { sftp, write } = await open(t);
      const next = scanner(sftp, { strategy });
      const nowS = Math.floor(Date.now() / 1000);
      write('in/future', 'x', nowS + 400 * 86_400);
      assert.deepEqual(await next(), ['future']);
      write('in/new', 'x', nowS + 86_400);
      assert.deepEqual(await next(), ['new']);
      assert.deepEqual(await next(), []);
    });
  }

  test('finds files that are moved in with an old time', async (t) => {
    const { sftp, root, write } = await open(t);
    const next = scanner(sftp);
    write('in/a', '1');
    assert.deepEqual(await next(), ['a']);
    write('elsewhere/old', '0', 1_000_000);
    renameSync(join(root, 'elsewhere/old'), join(root, 'in/old'));
    assert.deepEqual(await next(), ['old']);
  });

  for (const strategy of ['entities', 'timestamp'] as const) {
    test(`with ${strategy} waits until a file is complete`, async (t) => {
      const { sftp, write } = await open(t);
      const next = scanner(sftp, { settle: 40, strategy });
      const pause = () => new Promise((resolve) => setTimeout(resolve, 50));
      write('in/a', '1');
      assert.deepEqual(await next(), []);
      write('in/a', '12');
      await pause();
      assert.deepEqual(await next(), []);
      await pause();
      assert.deepEqual(await next(), ['a']);
      assert.deepEqual(await next(), []);
    });
  }

  test('goes into directories, filters, and gives the same ids each time', async (t) => {
    const { sftp, write } = await open(t);
    write('in/d/a', '1');
    write('in/d/b', '1');
    const options = {
      settle: 0,
      recursive: true,
      filter: ({ path }: { readonly path: string }) => !path.endsWith('b'),
    };
    const [first, second] = [await scan(sftp, '/in', options), await scan(sftp, '/in', options)];
    assert.deepEqual(
      first.files.map(({ path }) => path),
      ['d/a'],
    );
    assert.deepEqual(first.files, second.files);
  });

  test('saves its state only where nobody else has meanwhile', async (t) => {
    const { sftp, write } = await open(t);
    const store = memoryStore();
    write('in/a', '1');
    const [one, other] = [
      await scan(sftp, '/in', { settle: 0, store }),
      await scan(sftp, '/in', { settle: 0, store }),
    ];
    await one.commit();
    await assert.rejects(other.commit(), { code: 'STATE_CONFLICT' });
    const { files, commit } = await scan(sftp, '/in', { settle: 0, store });
    assert.deepEqual(files, []);
    await commit();
    assert.equal(store.saved?.version, '2');
  });

  test('refuses a state of another strategy, and both state and store', async (t) => {
    const { sftp } = await open(t);
    const { state } = await scan(sftp, '/in');
    await assert.rejects(scan(sftp, '/in', { state, strategy: 'timestamp' }), TypeError);
    await assert.rejects(scan(sftp, '/in', { state, store: memoryStore() }), TypeError);
    await assert.rejects(scan(sftp, '/in', { state: {} as ScanState }), TypeError);
    await assert.rejects((await scan(sftp, '/in')).commit(), TypeError);
  });
});
