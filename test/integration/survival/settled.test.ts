import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Connection } from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

/** A server that takes its time for every WRITE, or answers none any more, and a local tree. */
async function setUp(t: TestContext, { delayMs }: { readonly delayMs: number }) {
  const local = makeFolder(t);
  const state = { begun: 0, underWay: 0, isFrozen: false };
  const failOn = async ({ kind }: { readonly kind: string }) => {
    if (state.isFrozen) await new Promise(() => {});
    if (kind !== 'write') return undefined;
    state.begun += 1;
    state.underWay += 1;
    await setTimeout(delayMs);
    state.underWay -= 1;
    return undefined;
  };
  const server = await startServer({ files: { 'target/bad/x': 'in the way' } }, { faults: { failOn } });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  mkdirSync(join(local, 'tree'));
  for (const name of ['a', 'b', 'bad', 'c']) writeFileSync(join(local, 'tree', name), name.repeat(50_000));
  return { sftp, state, tree: join(local, 'tree') };
}

describe('when a transfer has settled', () => {
  test('after a failure, everything that it has sent has been answered', async (t) => {
    const { sftp, state, tree } = await setUp(t, { delayMs: 150 });
    await assert.rejects(sftp.putR(tree, '/target'), { code: 'EISDIR' });
    assert.equal(state.underWay, 0);
    assert.ok(state.begun > 0);
    // The others of the tree were let finish.
    const { size } = await sftp.stat('/target/a');
    assert.equal(size, 50_000);
  });

  for (const [what, atomic] of [
    ['in place', false],
    ['under a temporary name', true],
  ] as const) {
    test(`after an abort, everything that it has sent has been answered, ${what}`, async (t) => {
      const { sftp, state, tree } = await setUp(t, { delayMs: 150 });
      const abort = new AbortController();
      const copying = sftp.put(join(tree, 'a'), '/up', { atomic, signal: abort.signal });
      while (state.underWay === 0) await setTimeout(5);
      abort.abort('enough');
      assert.equal(await copying.catch((reason) => reason), 'enough');
      assert.equal(state.underWay, 0);
      assert.ok(await sftp.isdir('/target'), 'the session goes on');
    });
  }

  /** Aborted while each kind of request is on its way, which the server carries out only then. */
  for (const [call, run] of Object.entries<(sftp: Connection, signal: AbortSignal) => Promise<unknown>>({
    writeFile: (sftp, signal) => sftp.writeFile('/old', 'new', { signal }),
    appendFile: (sftp, signal) => sftp.appendFile('/old', ' and new', { signal }),
    createWriteStream: (sftp, signal) =>
      pipeline(Readable.from(['n', 'ew']), sftp.createWriteStream('/old', { signal })),
    putfo: (sftp, signal) => sftp.putfo('new', '/old', { signal }),
  }))
    for (const kind of ['open', 'write'] as const) {
      test(`${call} that is aborted during ${kind} changes nothing any more`, async () => {
        const abort = new AbortController();
        const state = { isDone: false };
        const failOn = async (request: { readonly kind: string }) => {
          if (request.kind !== kind || abort.signal.aborted) return undefined;
          abort.abort('enough');
          await setTimeout(150);
          state.isDone = true;
          return undefined;
        };
        await using server = await startServer({ files: { old: 'old' } }, { faults: { failOn } });
        await using sftp = await connectToServer(server);
        await assert.rejects(run(sftp, abort.signal));
        assert.ok(state.isDone);
        const left = server.readFile('/old').toString();
        await sftp.stat('/');
        assert.equal(server.readFile('/old').toString(), left);
        assert.equal(server.counters.openHandles, 0);
      });
    }

  test('after an abort that a silent server does not answer, the session is closed', async (t) => {
    const { sftp, state, tree } = await setUp(t, { delayMs: 1 });
    writeFileSync(join(tree, 'large'), Buffer.alloc(5_000_000));
    const abort = new AbortController();
    const callback = () => {
      state.isFrozen = true;
      abort.abort('enough');
    };
    const copying = sftp.put(join(tree, 'large'), '/up', { signal: abort.signal, callback });
    assert.equal(await copying.catch((reason) => reason), 'enough');
    assert.equal(sftp.isConnected, false);
    const closed = { name: 'ConnectionLostError', code: 'ETIMEDOUT', message: /transfer was aborted/ };
    await assert.rejects(sftp.stat('/'), closed);
  });
});
