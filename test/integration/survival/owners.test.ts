/** Whose a file is that takes the place of another user's: his where nobody else can have put it there, else ours. */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, copyBetween } from '../../../src/index.js';
import { makeFolder } from '../../support/folder.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';
import { openConnection } from '../../support/stream-connection.js';

const NOBODY = 65534;
const DAEMON = 1;
const withoutRoot = process.getuid?.() === 0 ? false : 'needs root, for files of other users';

interface Report {
  readonly notPreserved: readonly { readonly error: unknown }[];
}

type Copy = (sftp: Connection, from: string, to: string) => Promise<Report | unknown>;

const COPIES: Readonly<Record<string, Copy>> = {
  put: (sftp, from, to) => sftp.put(join(from, 'f'), join(to, 'f')),
  putR: (sftp, from, to) => sftp.putR(from, to),
  'mirror up': (sftp, from, to) => sftp.mirror(from, to, { direction: 'up' }),
  copyBetween: (sftp, from, to) => copyBetween(sftp, from, sftp, to),
  copy: (sftp, from, to) => sftp.copy(join(from, 'f'), join(to, 'f')),
  get: (sftp, from, to) => sftp.get(join(from, 'f'), join(to, 'f')),
  getR: (sftp, from, to) => sftp.cd(from, () => sftp.getR('.', to)),
  'mirror down': (sftp, from, to) => sftp.mirror(from, to, { direction: 'down' }),
};

/** `from/f` is ours; `above/to/f` is of another user and another group, who may read it. */
async function setUp(t: TestContext, uid?: number) {
  const folder = makeFolder(t);
  const [from, above] = [join(folder, 'from'), join(folder, 'above')];
  const to = join(above, 'to');
  mkdirSync(from);
  mkdirSync(to, { recursive: true });
  writeFileSync(join(from, 'f'), 'new content');
  const refill = () => {
    writeFileSync(join(to, 'f'), 'old');
    chownSync(join(to, 'f'), NOBODY, DAEMON);
    chmodSync(join(to, 'f'), 0o664);
  };
  refill();
  chmodSync(folder, 0o755);
  const server = startPipeServer('/', [], uid);
  t.after(() => server[Symbol.asyncDispose]());
  const sftp = await openConnection(server.stream);
  t.after(() => sftp.close());
  return { sftp, folder, from, above, to, refill };
}

function ownerOf(file: string): readonly [number, number, string] {
  const { uid, gid, mode } = statSync(file);
  return [uid, gid, (mode & 0o777).toString(8)];
}

function refusals(report: unknown): readonly unknown[] {
  const { notPreserved = [] } = (report ?? {}) as Partial<Report>;
  return notPreserved.map(({ error }) => error);
}

describe('a file of another user that is replaced', { skip: withoutSftpServer || withoutRoot }, () => {
  test('stays his, with its group and its mode, where only we can have put it there', async (t) => {
    const { sftp, from, to, refill } = await setUp(t);
    for (const [name, copy] of Object.entries(COPIES)) {
      refill();
      const report = await copy(sftp, from, to);
      assert.equal(readFileSync(join(to, 'f'), 'utf8'), 'new content', name);
      assert.deepEqual([ownerOf(join(to, 'f')), refusals(report)], [[NOBODY, DAEMON, '664'], []], name);
    }
  });

  test('keeps its group alone where it was ours', async (t) => {
    const { sftp, from, to, refill } = await setUp(t);
    for (const [name, copy] of Object.entries(COPIES)) {
      refill();
      chownSync(join(to, 'f'), 0, DAEMON);
      chmodSync(join(to, 'f'), 0o640);
      const report = await copy(sftp, from, to);
      assert.deepEqual([ownerOf(join(to, 'f')), refusals(report)], [[0, DAEMON, '640'], []], name);
    }
  });

  const open: Readonly<Record<string, (above: string, to: string) => void>> = {
    'its directory is open to a group': (_, to) => chmodSync(to, 0o775),
    'its directory is open to all, and sticky': (_, to) => chmodSync(to, 0o1777),
    'its directory belongs to somebody else': (_, to) => chownSync(to, NOBODY, NOBODY),
    'the directory above belongs to somebody else': (above) => chownSync(above, NOBODY, NOBODY),
    'the directory above is open to all': (above) => chmodSync(above, 0o777),
  };
  for (const [where, change] of Object.entries(open)) {
    test(`becomes ours, without rights of its own, where ${where}; the report tells`, async (t) => {
      const { sftp, from, above, to, refill } = await setUp(t);
      change(above, to);
      for (const [name, copy] of Object.entries(COPIES)) {
        refill();
        const report = await copy(sftp, from, to);
        assert.deepEqual(ownerOf(join(to, 'f')), [0, 0, '644'], name);
        if (['put', 'copy', 'get'].includes(name)) continue;
        const [error, ...others] = refusals(report) as readonly NodeJS.ErrnoException[];
        assert.deepEqual([error?.code, others], ['EPERM', []], name);
        assert.match(
          String(error),
          /above\/to\/f' belonged to 65534:1 and belongs to 0:0 now: others may change/,
          name,
        );
      }
    });
  }

  test('becomes ours where a link is on the way to it', async (t) => {
    const { sftp, folder, from, above, to } = await setUp(t);
    symlinkSync(above, join(folder, 'link'));
    await sftp.put(join(from, 'f'), join(folder, 'link', 'to', 'f'));
    assert.deepEqual(ownerOf(join(to, 'f')), [0, 0, '644']);
  });

  test('becomes ours where we may not give it away, and the upload succeeds', async (t) => {
    const { sftp, from, above, to } = await setUp(t, NOBODY);
    for (const directory of [above, to]) chownSync(directory, NOBODY, NOBODY);
    chownSync(join(to, 'f'), 0, 0);
    // The folder itself is that of root.
    const report = await sftp.putR(from, to);
    assert.deepEqual(ownerOf(join(to, 'f')), [NOBODY, NOBODY, '644']);
    assert.match(String(refusals(report)[0]), /f' belonged to 0:0 and belongs to 65534:65534 now: .*denied/);
  });
});
