/** Directories of another user, who exchanges what is in them for links while they are copied. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../src/index.js';
import { startServer } from '../../src/testing/index.js';
import {
  type Attacker,
  attackMs,
  makeAttacker,
  makePrivateFolder,
  makeSharedFolder,
  needsRoot,
  swapper,
} from '../support/attacker.js';
import { makeFolder } from '../support/folder.js';
import { connectToServer } from '../support/login.js';

const NAMES = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
const USUAL_MS = 2_500;
const withoutLinks = process.platform === 'win32' && 'few users may make links';

interface Round {
  readonly sftp: Connection;
  readonly local: string;
  readonly remote: string;
  /** Called with each entry after it was looked at, and before it is opened. */
  readonly filter?: (entry: { readonly path: string }) => boolean;
}

const UPLOADS: Readonly<Record<string, (round: Round) => Promise<unknown>>> = {
  putR: ({ sftp, local, remote, filter }) => sftp.putR(local, remote, { continueOnError: true, filter }),
  'putR with links as links': ({ sftp, local, remote, filter }) =>
    sftp.putR(local, remote, { continueOnError: true, symlinks: 'copy', filter }),
  'mirror up': ({ sftp, local, remote, filter }) =>
    sftp.mirror(local, remote, { direction: 'up', continueOnError: true, filter }),
  'mirror up with links as links': ({ sftp, local, remote, filter }) =>
    sftp.mirror(local, remote, { direction: 'up', continueOnError: true, symlinks: 'copy', filter }),
};

const DOWNLOADS: Readonly<Record<string, (round: Round) => Promise<unknown>>> = {
  getR: ({ sftp, local, remote, filter }) =>
    sftp.cd(remote, () => sftp.getR('.', local, { continueOnError: true, filter })),
  'getR in place': ({ sftp, local, remote, filter }) =>
    sftp.cd(remote, () =>
      sftp.getR('.', local, { continueOnError: true, atomic: false, preserveMode: true, filter }),
    ),
  'mirror down': ({ sftp, local, remote, filter }) =>
    sftp.mirror(remote, local, { direction: 'down', continueOnError: true, compare: () => false, filter }),
};

async function connectHere(t: TestContext): Promise<{ readonly sftp: Connection; readonly folder: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-remote-'));
  const server = await startServer({ root: folder });
  const sftp = await connectToServer(server);
  t.after(async () => {
    await sftp.close();
    await server.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  return { sftp, folder };
}

function fill(folder: string, content: string): void {
  for (const directory of ['.', 'x', 'x/y']) {
    mkdirSync(join(folder, directory), { recursive: true });
    for (const name of NAMES) writeFileSync(join(folder, directory, name), content);
  }
}

/** A tree of the attacker's. */
function makeTree(t: TestContext, { uid, gid }: Attacker): string {
  const local = makeSharedFolder(t);
  fill(local, 'harmless');
  execFileSync('chown', ['-R', `${uid}:${gid}`, local]);
  return local;
}

/** The attacker exchanges files and directories for links to `outside` while rounds follow each other. */
async function underAttack(
  attacker: Attacker,
  { tree, outside, ms }: { readonly tree: string; readonly outside: string; readonly ms: number },
  round: (index: number) => Promise<unknown>,
): Promise<void> {
  // The lower one first, as long as it can be reached.
  const stops = [
    await attacker.start(swapper(join(tree, 'x'), { b: join(outside, 'b'), y: outside })),
    await attacker.start(swapper(tree, { a: join(outside, 'a'), x: outside })),
  ];
  try {
    const endMs = performance.now() + ms;
    for (let index = 0; index < 3 || performance.now() < endMs; index += 1) {
      // What fails is up to the attacker.
      await round(index).catch((error) => assert.ok(typeof error.code === 'string', error));
    }
  } finally {
    for (const stop of stops) await stop();
  }
}

function textsIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile())
    .map((path) => readFileSync(path, 'utf8'));
}

describe('a tree whose owner exchanges files and directories for links', { skip: needsRoot }, () => {
  for (const [name, upload] of Object.entries(UPLOADS)) {
    test(`X4: ${name} sends nothing that lies outside of it`, async (t) => {
      const attacker = makeAttacker(t);
      const outside = makePrivateFolder(t, NAMES);
      const tree = makeTree(t, attacker);
      const { sftp, folder } = await connectHere(t);
      await underAttack(attacker, { tree, outside, ms: attackMs(USUAL_MS) }, (index) =>
        upload({ sftp, local: tree, remote: `/${index}` }),
      );
      const texts = new Set(textsIn(folder));
      assert.deepEqual([...texts], ['harmless']);
    });
  }

  for (const [name, download] of Object.entries(DOWNLOADS)) {
    test(`X7: ${name} writes nothing outside of it`, async (t) => {
      const attacker = makeAttacker(t);
      const outside = makePrivateFolder(t, NAMES);
      const tree = makeTree(t, attacker);
      const { sftp, folder } = await connectHere(t);
      fill(join(folder, 'source'), 'from the server');
      await underAttack(attacker, { tree, outside, ms: attackMs(USUAL_MS) }, () =>
        download({ sftp, local: tree, remote: '/source' }),
      );
      assert.ok(textsIn(tree).includes('from the server'));
      assert.deepEqual(readdirSync(outside).sort(), NAMES);
      assert.deepEqual(
        textsIn(outside).sort(),
        NAMES.map((file) => `secret ${file}`),
      );
    });
  }
});

/** At the very moment, which the attacker above has to hit: the filter is called between the look and the opening. */
describe('a tree that is exchanged between the look and the opening', { skip: withoutLinks }, () => {
  for (const [name, upload] of Object.entries(UPLOADS)) {
    test(`X4: ${name} sends nothing of what a link in the place of a file or directory leads to`, async (t) => {
      const outside = makeFolder(t);
      for (const file of NAMES) writeFileSync(join(outside, file), 'secret');
      const { sftp, folder } = await connectHere(t);
      const links = { a: join(outside, 'a'), 'x/b': join(outside, 'b'), 'x/y': outside };
      for (const [index, [exchanged, target]] of Object.entries(links).entries()) {
        const local = makeFolder(t);
        fill(local, 'harmless');
        let isExchanged = false;
        const filter = ({ path }: { readonly path: string }): boolean => {
          if (path !== exchanged || isExchanged) return true;
          renameSync(join(local, path), join(local, '.real'));
          symlinkSync(target, join(local, path));
          isExchanged = true;
          return true;
        };
        const ended = upload({ sftp, local, remote: `/${index}`, filter });
        await ended.catch((error) => assert.match(error.code, /^(ELOOP|ENOTDIR)$/));
        assert.ok(isExchanged);
      }
      const texts = new Set(textsIn(folder));
      assert.deepEqual([...texts], ['harmless']);
    });
  }

  for (const [name, download] of Object.entries(DOWNLOADS)) {
    test(`X7: ${name} writes nothing to what a link in the place of a directory leads to`, async (t) => {
      const [local, outside] = [makeFolder(t), makeFolder(t)];
      for (const file of NAMES) writeFileSync(join(outside, file), 'secret');
      const { sftp, folder } = await connectHere(t);
      fill(local, 'harmless');
      fill(join(folder, 'source'), 'from the server');
      let isExchanged = false;
      const filter = ({ path }: { readonly path: string }): boolean => {
        if (path !== 'x/b' || isExchanged) return true;
        renameSync(join(local, 'x'), join(local, '.real'));
        symlinkSync(outside, join(local, 'x'));
        isExchanged = true;
        return true;
      };
      const ended = download({ sftp, local, remote: '/source', filter });
      await ended.catch((error) => assert.match(error.code, /^(ELOOP|ENOTDIR|EEXIST)$/));
      assert.ok(isExchanged);
      assert.deepEqual(
        textsIn(outside),
        NAMES.map(() => 'secret'),
      );
    });
  }
});
