/** Programs that are ended in the middle of a transfer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { runKills, startTransfer } from '../../support/kill-run.js';

describe('L9: a program that is ended in the middle of a transfer', () => {
  test('by kill -9: final names are whole, one temporary file each is left, and the next run removes it', async () => {
    const { killed: _depends, mostLeft, ...figures } = await runKills({ kills: 5, seed: 1 });
    assert.ok(mostLeft <= 1);
    assert.deepEqual(figures, { kills: 5, broken: 0, unswept: 0, incomplete: 0 });
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`by ${signal}: a download leaves the old file and nothing beside it`, async (t) => {
      const folder = makeFolder(t);
      const server = await startServer({ files: { large: Buffer.alloc(64 * 1024 * 1024) } });
      t.after(() => server.close());
      const local = join(folder, 'file');
      writeFileSync(local, 'old');
      const { child } = await startTransfer(server, { kind: 'get', local, remote: '/large' });
      const exited = once(child, 'exit');
      child.kill(signal);
      assert.deepEqual(await exited, [null, signal]);
      assert.deepEqual(readdirSync(folder), ['file']);
      assert.equal(readFileSync(local, 'utf8'), 'old');
    });
  }

  test('a program that listens for SIGINT itself goes on', async (t) => {
    const folder = makeFolder(t);
    const server = await startServer({ files: { large: Buffer.alloc(16 * 1024 * 1024) } });
    t.after(() => server.close());
    const task = { kind: 'get', local: join(folder, 'file'), remote: '/large', listens: true } as const;
    const { child, lines } = await startTransfer(server, task);
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    assert.deepEqual(await exited, [0, null]);
    assert.deepEqual(lines, ['moving', 'heard']);
    assert.deepEqual(readdirSync(folder), ['file']);
  });
});
