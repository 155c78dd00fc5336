/** The answers of the embedded server, word for word beside those of OpenSSH's `sftp-server` on an equal tree. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, duplexPair } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { SftpStatusError } from '../../../src/errors.js';
import { Session } from '../../../src/session/session.js';
import { OPEN_FLAGS, SftpClient } from '../../../src/session/sftp-client.js';
import type { Backend } from '../../../src/testing/backends/backend.js';
import { openDirectoryBackend } from '../../../src/testing/backends/directory.js';
import { createMemoryBackend } from '../../../src/testing/backends/initial-files.js';
import { createCounters } from '../../../src/testing/counters.js';
import { usualExtensions } from '../../../src/testing/sftp/extension-handlers.js';
import { serveSftp } from '../../../src/testing/sftp/sftp-service.js';
import { startPipeServer, withoutSftpServer } from '../../support/pipe-server.js';

const { READ, WRITE, CREAT, TRUNC, EXCL, APPEND } = OPEN_FLAGS;

const PATHS = [
  '.',
  'missing',
  'missing/x',
  'file',
  'file/',
  'file/x',
  'dir',
  'dir/',
  'empty',
  'link',
  'link-to-dir',
  'dangling',
  'dangling/x',
  'loop',
  'loop/x',
  'closed',
  'denied',
  'denied/x',
  'n'.repeat(256),
  `dir/${'n'.repeat(256)}`,
] as const;

type Ask = (client: SftpClient, path: string) => Promise<unknown>;

const opening =
  (flags: number): Ask =>
  async (client, path) =>
    client.close(await client.open(path, flags));

/** Each in a tree of its own; `other` is a file, `empty-too` a directory. */
const REQUESTS: Readonly<Record<string, Ask>> = {
  'OPEN for reading': opening(READ),
  'OPEN for both': opening(READ | WRITE),
  'OPEN without flags': opening(0),
  'OPEN w': opening(WRITE | CREAT | TRUNC),
  'OPEN a': opening(WRITE | CREAT | APPEND),
  'OPEN wx': opening(WRITE | CREAT | EXCL),
  'OPEN with EXCL alone': opening(WRITE | EXCL),
  'READ behind OPEN': async (client, path) => client.read(await client.open(path, READ), 0, 10),
  'READ of what is open for writing': async (client, path) =>
    client.read(await client.open(path, WRITE), 0, 10),
  'WRITE of what is open for reading': async (client, path) =>
    client.write(await client.open(path, READ), 0, [Buffer.from('x')]),
  'FSTAT of what is open for reading': async (client, path) => client.fstat(await client.open(path, READ)),
  'FSETSTAT with a size of what is open for reading': async (client, path) =>
    client.fsetstat(await client.open(path, READ), { size: 1 }),
  'READ of a directory handle': async (client, path) => client.read(await client.opendir(path), 0, 10),
  'READDIR of a file handle': async (client, path) => client.readdir(await client.open(path, READ)),
  'FSTAT of a directory handle': async (client, path) => client.fstat(await client.opendir(path)),
  'CLOSE twice': async (client, path) => {
    const handle = await client.open(path, READ);
    await client.close(handle);
    await client.close(handle);
  },
  'READ of a closed handle': async (client, path) => {
    const handle = await client.open(path, READ);
    await client.close(handle);
    await client.read(handle, 0, 1);
  },
  'FSYNC of a closed handle': async (client, path) => {
    const handle = await client.open(path, READ);
    await client.close(handle);
    await client.fsync(handle);
  },
  OPENDIR: async (client, path) => client.close(await client.opendir(path)),
  STAT: (client, path) => client.stat(path),
  LSTAT: (client, path) => client.lstat(path),
  'SETSTAT with a mode': (client, path) => client.setstat(path, { mode: 0o755 }),
  'SETSTAT with a size': (client, path) => client.setstat(path, { size: 1 }),
  'SETSTAT with times': (client, path) => client.setstat(path, { atime: 1, mtime: 1 }),
  'lsetstat with a mode': (client, path) => client.lsetstat(path, { mode: 0o755 }),
  'lsetstat with a size': (client, path) => client.lsetstat(path, { size: 1 }),
  'lsetstat with times': (client, path) => client.lsetstat(path, { atime: 1, mtime: 1 }),
  REMOVE: (client, path) => client.remove(path),
  MKDIR: (client, path) => client.mkdir(path),
  RMDIR: (client, path) => client.rmdir(path),
  REALPATH: (client, path) => client.realpath(path),
  READLINK: (client, path) => client.readlink(path),
  'SYMLINK at': (client, path) => client.symlink('text', path),
  'RENAME from': (client, path) => client.rename(path, 'fresh'),
  'RENAME of a file to': (client, path) => client.rename('other', path),
  'RENAME of a directory to': (client, path) => client.rename('empty-too', path),
  'posix-rename from': (client, path) => client.posixRename(path, 'fresh'),
  'posix-rename of a file to': (client, path) => client.posixRename('other', path),
  'posix-rename of a directory to': (client, path) => client.posixRename('empty-too', path),
  'posix-rename into itself': (client, path) => client.posixRename(path, `${path}/below`),
  'hardlink from': (client, path) => client.hardlink(path, 'fresh'),
  'hardlink to': (client, path) => client.hardlink('other', path),
  statvfs: (client, path) => client.statvfs(path),
  'expand-path': (client, path) => client.expandPath(path),
};

/** Where the two are not the same, for a reason. */
const EXCEPTIONS: readonly { readonly cell: RegExp; readonly why: string }[] = [
  { cell: / file\/$/, why: 'a slash behind the name of a file is always refused as "not a directory"' },
  { cell: /^RMDIR \.$/, why: "the root is protected, and '.' is the root here" },
  { cell: /^hardlink from \.$/, why: "the root is protected, and '.' is the root here" },
  { cell: /^posix-rename of .* to .*long name$/, why: 'the length of a name is looked at first' },
];

const LINKS = { link: 'file', 'link-to-dir': 'dir', dangling: 'nowhere/at/all', loop: 'loop' };
const FILES = { file: 'content', other: 'other', closed: 'content', 'dir/file': 'content' };

const IN_MEMORY = {
  ...FILES,
  'empty/': '',
  'empty-too/': '',
  'denied/x': 'content',
  ...Object.fromEntries(Object.entries(LINKS).map(([name, target]) => [name, { target }])),
};

function plant(root: string): void {
  for (const name of ['dir', 'empty', 'empty-too', 'denied']) mkdirSync(join(root, name));
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(root, name), content);
  writeFileSync(join(root, 'denied', 'x'), 'content');
  for (const [name, target] of Object.entries(LINKS)) symlinkSync(target, join(root, name));
  chmodSync(join(root, 'closed'), 0);
  chmodSync(join(root, 'denied'), 0);
}

const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;
const skip = process.platform === 'linux' ? withoutSftpServer : 'needs Linux, whose answers these are';

describe('the answers of the embedded server', { skip, timeout: 120_000 }, () => {
  const roots: string[] = [];
  // Nothing is denied to root.
  before(() => void (isRoot && process.seteuid?.(NOBODY)));
  after(() => {
    if (isRoot) process.seteuid?.(0);
    for (const root of roots) {
      chmodSync(join(root, 'denied'), 0o700);
      rmSync(root, { recursive: true });
    }
  });
  const plantedFolder = () => {
    const root = mkdtempSync(join(tmpdir(), 'tsftp-answers-'));
    plant(root);
    roots.push(root);
    return root;
  };

  const backends = {
    'over a directory': (root: string) => openDirectoryBackend(root),
    'over a tree in memory': () => {
      const backend = createMemoryBackend(IN_MEMORY, 2 ** 20);
      for (const path of ['/closed', '/denied']) backend.setstat(Buffer.from(path), { mode: 0 });
      return backend;
    },
  };
  for (const [name, backendOf] of Object.entries(backends)) {
    test(`${name} are those of OpenSSH, number and words`, async () => {
      const differences: string[] = [];
      for (const [request, ask] of Object.entries(REQUESTS)) {
        const [theirs, ours] = [plantedFolder(), plantedFolder()];
        const server = startPipeServer(theirs);
        const expected = await answersOf(server.stream, ask);
        await server[Symbol.asyncDispose]();
        const answers = await answersOf(serve(backendOf(ours)), ask);
        for (const [path, answer] of answers) {
          const right = expected.get(path);
          const cell = `${request} ${path.replace(/n{255,}/, 'long name')}`;
          if (answer !== right && !EXCEPTIONS.some(({ cell: known }) => known.test(cell)))
            differences.push(`${cell}: OpenSSH ${right}, ours ${answer}`);
        }
      }
      assert.deepEqual(differences, []);
    });
  }
});

/** The answers to a request about one path after the other. */
async function answersOf(stream: Duplex, ask: Ask): Promise<ReadonlyMap<string, string>> {
  const session = await Session.open(stream);
  const client = new SftpClient({ session });
  const answers = new Map<string, string>();
  for (const path of PATHS) answers.set(path, await answerOf(ask(client, path)));
  stream.destroy();
  return answers;
}

async function answerOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    return `${error.status} ${error.serverMessage}`;
  }
}

/** The embedded server without SSH. */
function serve(backend: Backend): Duplex {
  const [near, far] = duplexPair();
  serveSftp(far, {
    backend,
    home: '/',
    username: 'test',
    extensions: usualExtensions,
    faults: {},
    counters: createCounters(),
    disconnect: () => far.destroy(),
    signal: new AbortController().signal,
  });
  return near;
}
