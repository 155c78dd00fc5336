/** `preserveMode` of mirrors: the permissions of both trees are equal afterwards, and the plan tells which change. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Connection, MirrorOptions, MirrorStep } from '../../../src/index.js';
import { makeFolder, snapshot } from '../../support/folder.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';
import { serverKinds } from '../../support/servers.js';
import { openConnection } from '../../support/stream-connection.js';

const onWindows = process.platform === 'win32' && 'POSIX permissions';
const NOBODY = 65534;
const withoutRoot = process.getuid?.() === 0 ? false : 'needs root, for a server that runs as another user';

type Modes = Readonly<Record<string, number>>;

/** Files hold their own names and have one time; names that end with a slash are directories. */
function make(folder: string, modes: Modes): void {
  for (const name of Object.keys(modes)) {
    const path = join(folder, name);
    if (name.endsWith('/')) mkdirSync(path);
    else {
      writeFileSync(path, name);
      utimesSync(path, 1000, 1000);
    }
  }
  for (const [name, mode] of Object.entries(modes).reverse()) chmodSync(join(folder, name), mode);
}

function modesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true }) as string[];
  return Object.fromEntries(
    names.sort().map((name) => [name, (statSync(join(folder, name)).mode & 0o7777).toString(8)]),
  );
}

function changes(plan: readonly MirrorStep[]): string[] {
  return plan
    .filter(({ action }) => action !== 'keep')
    .map(({ action, path, reason, mode }) => `${action} ${path}: ${reason} ${mode?.toString(8)}`);
}

for (const { name, skip, start } of serverKinds) {
  describe(`permissions in mirrors with ${name}`, { skip: skip || onWindows }, () => {
    async function setUp(t: TestContext, direction: 'up' | 'down') {
      const server = await start();
      t.after(() => server.stop());
      const sftp = await server.connect();
      t.after(() => sftp.close());
      const [local, remote] = [makeFolder(t), join(server.folder, 'tree')];
      mkdirSync(remote);
      const [from, to] = direction === 'up' ? [local, remote] : [remote, local];
      const [source, target] =
        direction === 'up' ? [local, server.path('tree')] : [server.path('tree'), local];
      const run = (options: Partial<MirrorOptions> = {}) =>
        sftp.mirror(source, target, { direction, preserveMode: true, ...options });
      return { from, to, run };
    }

    for (const direction of ['up', 'down'] as const) {
      test(`${direction}: they become equal where nothing else differs, as the dry run has told`, async (t) => {
        const { from, to, run } = await setUp(t, direction);
        make(from, { 'd/': 0o750, 'd/e/': 0o555, 'd/e/f': 0o444, g: 0o755, h: 0o600, same: 0o640 });
        make(to, { 'd/': 0o755, 'd/e/': 0o700, 'd/e/f': 0o644, g: 0o644, h: 0o644, same: 0o640 });
        const expected = [
          'update d: mode 750',
          'update d/e: mode 555',
          'update d/e/f: mode 444',
          'update g: mode 755',
          'update h: mode 600',
        ];
        assert.deepEqual(changes((await run({ preserveMode: false })).plan), []);
        const before = modesOf(to);
        const dry = await run({ dryRun: true });
        assert.deepEqual([changes(dry.plan), dry.updated, dry.bytes], [expected, 5, 0]);
        assert.deepEqual(modesOf(to), before);

        const { plan, updated, kept, bytes, notPreserved } = await run();
        assert.deepEqual([changes(plan), updated, kept, bytes, notPreserved], [expected, 5, 1, 0, []]);
        assert.deepEqual(modesOf(to), modesOf(from));
        assert.deepEqual(changes((await run()).plan), []);
      });

      test(`${direction}: what is new or changed has them too, and special bits stay behind`, async (t) => {
        const { from, to, run } = await setUp(t, direction);
        make(from, { 'new/': 0o1711, 'new/f': 0o4755, old: 0o755, 'shared/': 0o755 });
        make(to, { old: 0o600, 'shared/': 0o2700 });
        utimesSync(join(to, 'old'), 5, 5);
        const { plan, created, updated } = await run();
        assert.deepEqual(changes(plan), [
          'create new: missing 711',
          'create new/f: missing 755',
          'update old: mtime 755',
          'update shared: mode 2755',
        ]);
        assert.deepEqual([created, updated], [2, 2]);
        assert.deepEqual(modesOf(to), { new: '711', 'new/f': '755', old: '755', shared: '2755' });
      });
    }
  });
}

describe('directories that may not be written to, in mirrors up', {
  skip: withoutSftpServer || withoutRoot,
}, () => {
  /** A server that runs as somebody whom permissions concern. */
  async function setUp(t: TestContext, modes: { readonly from: Modes; readonly to: Modes }) {
    const folder = makeFolder(t);
    chmodSync(folder, 0o755);
    const [from, to] = [join(folder, 'from'), join(folder, 'to')];
    for (const directory of [from, to]) mkdirSync(directory);
    make(from, modes.from);
    make(to, modes.to);
    for (const name of ['', ...readdirSync(to, { recursive: true })]) {
      chownSync(join(to, String(name)), NOBODY, NOBODY);
    }
    const server = startPipeServer('/', [], NOBODY);
    t.after(() => server[Symbol.asyncDispose]());
    const sftp: Connection = await openConnection(server.stream);
    t.after(() => sftp.close());
    return { from, to, sftp };
  }

  test('take changes, and are as before afterwards', async (t) => {
    const { from, to, sftp } = await setUp(t, {
      from: { 'd/': 0o555, 'd/changed': 0o444, 'd/e/': 0o500, 'd/e/new': 0o400, 'still/': 0o555 },
      to: { 'd/': 0o555, 'd/changed': 0o444, 'd/e/': 0o500, 'd/extra': 0o444, 'still/': 0o555 },
    });
    lutimesSync(join(to, 'd', 'changed'), 5, 5);
    const options = { direction: 'up', preserveMode: true, delete: true } as const;
    const { plan, notPreserved } = await sftp.mirror(from, to, options);
    assert.deepEqual(changes(plan), [
      'update d/changed: mtime 444',
      'create d/e/new: missing 400',
      'delete d/extra: extra undefined',
    ]);
    assert.deepEqual([snapshot(to), modesOf(to), notPreserved], [snapshot(from), modesOf(from), []]);
    assert.deepEqual(changes((await sftp.mirror(from, to, options)).plan), []);
  });

  test('of somebody else are told as not preserved, and the mirror goes on', async (t) => {
    const { from, to, sftp } = await setUp(t, {
      from: { 'd/': 0o700, f: 0o755 },
      to: { 'd/': 0o755, f: 0o644 },
    });
    for (const name of ['d', 'f']) chownSync(join(to, name), 0, 0);
    const { notPreserved, updated } = await sftp.mirror(from, to, { direction: 'up', preserveMode: true });
    assert.deepEqual(
      [notPreserved.map(({ step, error }) => [step.path, (error as { code: string }).code]), updated],
      [
        [
          ['d', 'EACCES'],
          ['f', 'EACCES'],
        ],
        2,
      ],
    );
    assert.deepEqual(modesOf(to), { d: '755', f: '644' });
  });
});
