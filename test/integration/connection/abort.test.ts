import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type Faults, startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';
import { serverKinds } from '../../support/servers.js';

const SIZE = 8 * 1024 * 1024;

/** What an abort is to stop; `remote` gives a path of the server, `local` one of this machine. */
interface Paths {
  remote(name: string): string;
  local(name: string): string;
}

type Options = { readonly signal: AbortSignal; readonly callback?: () => void };
type Call = (sftp: Connection, paths: Paths, options: Options) => Promise<unknown>;

const transfers: Readonly<Record<string, Call>> = {
  get: (sftp, { remote, local }, options) => sftp.get(remote('large'), local('down'), options),
  put: (sftp, { remote, local }, options) =>
    sftp.put(local('large'), remote('up'), { ...options, atomic: true }),
  getR: (sftp, { remote, local }, options) =>
    sftp.cd(remote('tree'), () => sftp.getR('.', local('tree'), options)),
  putR: (sftp, { remote, local }, options) =>
    sftp.putR(local('tree'), remote('tree'), { ...options, atomic: true }),
};

/** The reason of an abort is the caller's: the usual one has a read-only message, and others may be frozen. */
function withReasons(calls: Readonly<Record<string, Call>>): readonly [string, Call, string, unknown][] {
  const frozen = Object.freeze(new Error('enough'));
  return Object.entries(calls).flatMap(([what, call]): [string, Call, string, unknown][] => [
    [what, call, 'the usual reason', undefined],
    [what, call, 'a reason that nobody may change', frozen],
  ]);
}

function fill(root: string): void {
  mkdirSync(join(root, 'tree/below'), { recursive: true });
  writeFileSync(join(root, 'large'), Buffer.alloc(SIZE, 'x'));
  for (let index = 0; index < 20; index += 1) {
    writeFileSync(join(root, 'tree/below', `${index}`), Buffer.alloc(SIZE / 20, `${index}`));
  }
}

for (const { name, skip, start } of serverKinds) {
  describe(`aborting with ${name}`, { skip }, () => {
    for (const [what, call, kind, reason] of withReasons(transfers)) {
      test(`L8: in the middle of ${what}: ${kind}, nothing left, and the session goes on`, async (t) => {
        const server = await start();
        t.after(() => server.stop());
        const folder = makeFolder(t);
        for (const root of [server.folder, folder]) fill(root);
        const paths = {
          remote: (path: string) => server.path(path),
          local: (path: string) => join(folder, path),
        };
        const sftp = await server.connect();
        t.after(() => sftp.close());
        const earlier = [snapshot(folder), snapshot(server.folder)];
        const abort = new AbortController();
        const callback = () => abort.abort(reason);
        const error = await call(sftp, paths, { signal: abort.signal, callback }).catch((thrown) => thrown);
        assert.equal(error, abort.signal.reason);
        assert.equal(error.name, reason === undefined ? 'AbortError' : 'Error');
        // Two round trips, and what was sent before them has been carried out.
        assert.equal((await sftp.stat(server.path('large'))).size, SIZE);
        assert.equal((await sftp.stat(server.path('large'))).size, SIZE);
        // Files of a tree that were complete by then are there: they are identical, as both sides are.
        assert.deepEqual([snapshot(folder), snapshot(server.folder)], earlier);
        await call(sftp, paths, { signal: new AbortController().signal });
      });

      test(`L8: ${what} with a signal that has aborted before sends nothing`, async (t) => {
        const server = await start();
        t.after(() => server.stop());
        const folder = makeFolder(t);
        for (const root of [server.folder, folder]) fill(root);
        const sftp = await server.connect();
        t.after(() => sftp.close());
        const earlier = [snapshot(folder), snapshot(server.folder)];
        const paths = {
          remote: (path: string) => server.path(path),
          local: (path: string) => join(folder, path),
        };
        const signal = AbortSignal.abort('enough');
        assert.equal(await call(sftp, paths, { signal }).catch((thrown) => thrown), 'enough');
        assert.deepEqual([snapshot(folder), snapshot(server.folder)], earlier);
      });
    }
  });
}

/** The embedded server, whose every request can be held back and whose handles are counted. */
async function setUp(t: TestContext, faults: Faults) {
  const remote = makeFolder(t);
  const folder = makeFolder(t);
  for (const root of [remote, folder]) fill(root);
  const server = await startServer({ root: remote }, { faults });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  const paths: Paths = { remote: (name) => `/${name}`, local: (name) => join(folder, name) };
  return { server, sftp, paths, snapshots: () => [snapshot(folder), snapshot(remote)] };
}

async function isQuiet(sftp: Connection, server: TestServer): Promise<void> {
  await sftp.stat('/');
  await sftp.stat('/');
  assert.equal(server.counters.openHandles, 0, 'every handle is closed');
}

describe('aborting at any request', () => {
  for (const [what, call] of Object.entries(transfers)) {
    test(`L8: ${what} is aborted at its first, second … request`, { timeout: 120_000 }, async (t) => {
      let abort = new AbortController();
      let left = Number.POSITIVE_INFINITY;
      const failOn = () => {
        left -= 1;
        if (left === 0) abort.abort('enough');
        return undefined;
      };
      const { server, sftp, paths, snapshots } = await setUp(t, { failOn });
      const earlier = snapshots();
      for (const at of [1, 2, 3, 4, 5, 7, 10, 15, 25, 40, 80]) {
        abort = new AbortController();
        left = at;
        const outcome = await call(sftp, paths, { signal: abort.signal }).catch((thrown) => thrown);
        left = Number.POSITIVE_INFINITY;
        if (outcome !== 'enough') break;
        await isQuiet(sftp, server);
        assert.deepEqual(snapshots(), earlier, `after the abort at request ${at}`);
      }
    });

    test(`L8: ${what} settles at once where the server answers nothing any more`, async (t) => {
      let isFrozen = false;
      let onFrozen = () => {};
      const frozen = new Promise<void>((resolve) => {
        onFrozen = resolve;
      });
      let seen = 0;
      const failOn = () => {
        seen += 1;
        if (seen < 12) return undefined;
        isFrozen = true;
        onFrozen();
        return new Promise<undefined>(() => {});
      };
      const { sftp, paths } = await setUp(t, { failOn });
      const abort = new AbortController();
      const pending = call(sftp, paths, { signal: abort.signal }).catch((thrown) => thrown);
      await frozen;
      assert.equal(isFrozen, true);
      abort.abort('enough');
      assert.equal(await pending, 'enough');
    });
  }

  test('listdir settles at once too, and its handle is closed', async (t) => {
    const abort = new AbortController();
    const failOn = ({ kind }: { kind: string }) => {
      if (kind === 'readdir') abort.abort('enough');
      return undefined;
    };
    const { server, sftp } = await setUp(t, { failOn });
    assert.equal(await sftp.listdir('/', { signal: abort.signal }).catch((thrown) => thrown), 'enough');
    await isQuiet(sftp, server);
  });

  test('one signal stops many calls, and the session goes on', async (t) => {
    const abort = new AbortController();
    let isOn = false;
    const failOn = () => (isOn && !abort.signal.aborted ? new Promise<undefined>(() => {}) : undefined);
    const { server, sftp } = await setUp(t, { failOn: () => failOn() });
    isOn = true;
    const pending = Array.from({ length: 1000 }, () =>
      sftp.stat('/', { signal: abort.signal }).catch((thrown) => thrown),
    );
    abort.abort('enough');
    assert.deepEqual(new Set(await Promise.all(pending)), new Set(['enough']));
    isOn = false;
    await isQuiet(sftp, server);
  });

  test('connecting is aborted before, during, and at its first directory', async (t) => {
    const abort = new AbortController();
    const server = await startServer(
      { files: { 'start/': '' } },
      {
        faults: {
          failOn: () => {
            abort.abort('enough');
            return new Promise<undefined>(() => {});
          },
        },
      },
    );
    t.after(() => server.close());
    const connecting = connectToServer(server, { defaultPath: '/start', signal: abort.signal });
    assert.equal(await connecting.catch((thrown) => thrown), 'enough');
    const during = new AbortController();
    const pending = connectToServer(server, { signal: during.signal }).catch((thrown) => thrown);
    during.abort('stop');
    assert.equal(await pending, 'stop');
    const sessions = server.counters.connections;
    const never = connectToServer(server, { signal: AbortSignal.abort('no') });
    assert.equal(await never.catch((thrown) => thrown), 'no');
    assert.equal(server.counters.connections, sessions);
  });

  test('the timeout of connecting counts for the first directory too', async (t) => {
    const server = await startServer(
      { files: { 'start/': '' } },
      { faults: { failOn: () => new Promise<undefined>(() => {}) } },
    );
    t.after(() => server.close());
    await assert.rejects(connectToServer(server, { defaultPath: '/start', connectTimeout: 500 }), {
      name: 'ConnectionError',
      code: 'ETIMEDOUT',
      message: /accepted the login, but had not opened the SFTP session within 500 ms/,
    });
  });
});
