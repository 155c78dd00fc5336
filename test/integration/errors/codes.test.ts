/** The code of every call beside that of `node:fs` on the same tree, on OpenSSH's server and on the embedded one. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import {
  codeOf,
  type More,
  plantTree,
  ROWS,
  type Row,
  SITUATIONS,
  type Situation,
  type Tree,
} from '../../support/code-table.js';
import { connectToServer } from '../../support/login.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';
import { openConnection } from '../../support/stream-connection.js';

interface Exception {
  readonly calls: readonly string[];
  readonly node: string;
  readonly ours: string;
  readonly why: string;
}

const MAKING = ['makedirs', 'putR', 'mirror up'];

/** Where a call does not come out as Node's does. */
const EXCEPTIONS: readonly Exception[] = [
  {
    calls: ['normalize'],
    node: 'ENOENT',
    ours: 'ok',
    why: 'a server gives the absolute form of a path whose last name is missing',
  },
  {
    calls: MAKING,
    node: 'EEXIST',
    ours: 'ENOTDIR',
    why: 'a file in the way of a directory is told as such',
  },
  {
    calls: MAKING,
    node: 'ENOENT',
    ours: 'EROFS',
    why: "Node's mkdir with `recursive` does not tell that the disk is read-only",
  },
  { calls: ['rmtree'], node: 'ok', ours: 'ENOTDIR', why: 'rmtree removes directories only' },
  { calls: ['rmtree'], node: 'EROFS', ours: 'ENOTDIR', why: 'rmtree looks at the type first' },
  {
    calls: ['chown', 'hardlink from'],
    node: 'EPERM',
    ours: 'EACCES',
    why: 'SFTP has one status for EPERM and EACCES',
  },
  {
    calls: ['rename from'],
    node: 'EROFS',
    ours: 'ENOENT',
    why: 'OpenSSH looks at the file before it renames',
  },
  {
    calls: ['rename to another disk'],
    node: 'EXDEV',
    ours: 'ENOENT',
    why: 'OpenSSH looks at the file before it renames',
  },
  {
    calls: ['rename from'],
    node: 'ok',
    ours: 'ENOSPC',
    why: 'OpenSSH gives the file a second name for a moment, and tmpfs counts names',
  },
  {
    calls: ['rename to another disk', 'posixRename to another disk'],
    node: 'EXDEV',
    ours: 'ENAMETOOLONG',
    why: 'the name is told first: it is wrong on every disk',
  },
];

const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;
const skip = process.platform === 'linux' ? withoutSftpServer : 'needs Linux, whose codes these are';

describe('the code of a failure', { skip, timeout: 300_000 }, () => {
  let tree: Tree;
  let nodes: Codes;

  before(async () => {
    tree = plantTree(isRoot ? NOBODY : (process.geteuid?.() ?? 0));
    if (isRoot) process.seteuid?.(NOBODY);
    for (const situation of ['file', 'file on a full disk'] as const) tree.restore(situation);
    nodes = await collect(
      tree,
      (name) => join(tree.root, name),
      ({ node }, path, more) => node(path, more),
    );
  });
  after(() => {
    if (isRoot) process.seteuid?.(0);
    tree?.remove();
  });

  async function compare(sftp: Connection, nameOf: (name: string) => string): Promise<void> {
    const codes = await collect(tree, nameOf, ({ ours }, path, more) => ours(sftp, path, more));
    const unused = new Set(EXCEPTIONS);
    const differences: string[] = [];
    for (const [cell, { call, code: ours }] of codes) {
      const node = nodes.get(cell)?.code;
      if (node === ours) continue;
      const exception = EXCEPTIONS.find(
        (each) => each.calls.includes(call) && each.node === node && each.ours === ours,
      );
      if (exception === undefined) differences.push(`${cell}: Node ${node}, ours ${ours}`);
      else unused.delete(exception);
    }
    assert.deepEqual(differences, []);
    if (tree.hasDisks) assert.deepEqual([...unused], [], 'an exception that is none');
  }

  test("is that of Node on OpenSSH's server, but for the exceptions that are named", async (t: TestContext) => {
    const server = startPipeServer(tree.root);
    t.after(() => server[Symbol.asyncDispose]());
    const sftp = await openConnection(server.stream);
    await compare(sftp, (name) => join(tree.root, name));
    await sftp.close();
  });

  test('is the same on the embedded server', async () => {
    await using server = await startServer({ root: tree.root });
    await using sftp = await connectToServer(server);
    await compare(sftp, (name) => `/${name}`);
  });

  test('covers the disks that are full or read-only', (t) => {
    if (!tree.hasDisks) t.skip('needs the right to mount a tmpfs');
  });
});

type Codes = ReadonlyMap<string, { readonly call: string; readonly code: string }>;

async function collect(
  tree: Tree,
  nameOf: (name: string) => string,
  act: (row: Row, path: string, more: More) => unknown,
): Promise<Codes> {
  const codes = new Map<string, { readonly call: string; readonly code: string }>();
  for (const [call, row] of Object.entries(ROWS)) {
    for (const [situation, path] of Object.entries(SITUATIONS) as [Situation, string][]) {
      if (situation.endsWith('disk') && !tree.hasDisks) continue;
      const [disk = ''] = /^(read-only|full)\//.exec(path) ?? [];
      const more = {
        other: nameOf(`${disk}other`),
        fresh: nameOf(`${disk}fresh`),
        away: nameOf(disk === '' ? 'full/away' : 'away'),
        local: tree.local,
      };
      const code = await codeOf(() => act(row, nameOf(path), more));
      if (row.changes && (code === 'ok' || situation.endsWith('full disk'))) tree.restore(situation);
      codes.set(`${call}: ${situation}`, { call, code });
    }
  }
  return codes;
}
