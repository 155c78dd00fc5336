import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type CallOptions, type Connection, copyBetween } from '../../../src/index.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

type Call = (sftp: Connection, options: CallOptions, folder: string) => unknown;

async function untilEnd(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}

/** Every call that takes a `timeout`. The server carries them out later: what it changes is not what the others read. */
const CALLS: Readonly<Record<string, Call>> = {
  pwd: (sftp, options) => sftp.pwd(options),
  chdir: (sftp, options) => sftp.chdir('d', options),
  normalize: (sftp, options) => sftp.normalize('d', options),
  listdir: (sftp, options) => sftp.listdir('d', options),
  listdirAttr: (sftp, options) => sftp.listdirAttr('d', options),
  stat: (sftp, options) => sftp.stat('f', options),
  lstat: (sftp, options) => sftp.lstat('f', options),
  exists: (sftp, options) => sftp.exists('f', options),
  lexists: (sftp, options) => sftp.lexists('f', options),
  isdir: (sftp, options) => sftp.isdir('f', options),
  isfile: (sftp, options) => sftp.isfile('f', options),
  readlink: (sftp, options) => sftp.readlink('f', options),
  walk: (sftp, options) => untilEnd(sftp.walk('d', options)),
  glob: (sftp, options) => sftp.glob('d/*', options),
  statvfs: (sftp, options) => sftp.statvfs('d', options),
  expandPath: (sftp, options) => sftp.expandPath('~/x', options),
  homeDirectory: (sftp, options) => sftp.homeDirectory('', options),
  mkdir: (sftp, options) => sftp.mkdir('new', 755, options),
  makedirs: (sftp, options) => sftp.makedirs('new/er', 755, options),
  rmdir: (sftp, options) => sftp.rmdir('gone', options),
  remove: (sftp, options) => sftp.remove('gone', options),
  rename: (sftp, options) => sftp.rename('gone', 'g', options),
  posixRename: (sftp, options) => sftp.posixRename('gone', 'g', options),
  rmtree: (sftp, options) => sftp.rmtree('gone', options),
  chmod: (sftp, options) => sftp.chmod('f', 644, options),
  chown: (sftp, options) => sftp.chown('f', { uid: 1, ...options }),
  truncate: (sftp, options) => sftp.truncate('gone', 1, options),
  utime: (sftp, options) => sftp.utime('f', undefined, options),
  touch: (sftp, options) => sftp.touch('f', options),
  symlink: (sftp, options) => sftp.symlink('f', 'l', options),
  hardlink: (sftp, options) => sftp.hardlink('f', 'h', options),
  copy: (sftp, options) => sftp.copy('f', 'c', options),
  get: (sftp, options, folder) => sftp.get('f', join(folder, 'f'), options),
  put: (sftp, options, folder) => sftp.put(join(folder, 'local'), 'p', options),
  getR: (sftp, options, folder) => sftp.getR('d', join(folder, 'r'), options),
  putR: (sftp, options, folder) => sftp.putR(join(folder, 'tree'), 't', options),
  getD: (sftp, options, folder) => sftp.getD('d', join(folder, 'd'), options),
  putD: (sftp, options, folder) => sftp.putD(join(folder, 'tree'), 'd', options),
  mirror: (sftp, options, folder) => sftp.mirror('d', join(folder, 'm'), { direction: 'down', ...options }),
  copyBetween: (sftp, options) => copyBetween(sftp, 'f', sftp, 'b', options),
  open: (sftp, options) => sftp.open('f', 'r', options),
  readFile: (sftp, options) => sftp.readFile('f', options),
  writeFile: (sftp, options) => sftp.writeFile('w', 'x', options),
  appendFile: (sftp, options) => sftp.appendFile('a', 'x', options),
  createReadStream: (sftp, options) => untilEnd(sftp.createReadStream('f', options)),
  createWriteStream: (sftp, options) =>
    new Promise((resolve, reject) => {
      sftp.createWriteStream('s', options).on('error', reject).on('close', resolve).end('x');
    }),
  getfo: (sftp, options) => sftp.getfo('f', { write: () => {} }, options),
  putfo: (sftp, options) => sftp.putfo('x', 'o', options),
  checksum: (sftp, options) => sftp.checksum('f', 'sha256', options),
};

describe('the time for an answer', () => {
  let server: TestServer;
  let sftp: Connection;
  let isStuck = false;
  const stuck: (() => void)[] = [];
  before(async () => {
    const failOn = () =>
      isStuck ? new Promise<string>((answer) => stuck.push(() => answer('EACCES'))) : undefined;
    server = await startServer({ files: { f: 'content', 'd/x': 'x' } }, { faults: { failOn } });
    sftp = await connectToServer(server);
  });
  after(async () => {
    for (const answer of stuck) answer();
    await sftp?.close();
    await server?.close();
  });

  test('every call takes one, rejects with a TimeoutError after it, and leaves the connection usable', async (t) => {
    const folder = makeFolder(t);
    writeFileSync(join(folder, 'local'), 'local');
    mkdirSync(join(folder, 'tree'));
    writeFileSync(join(folder, 'tree', 'x'), 'x');
    isStuck = true;
    const outcomes = await Promise.all(
      Object.entries(CALLS).map(async ([name, call]) => {
        const error: unknown = await Promise.resolve(call(sftp, { timeout: 100 }, folder)).then(
          () => undefined,
          (thrown) => thrown,
        );
        const { name: kind, code } = (error ?? {}) as { name?: string; code?: string };
        return `${name} ${kind} ${code}`;
      }),
    );
    isStuck = false;
    for (const answer of stuck) answer();
    assert.deepEqual(
      outcomes,
      Object.keys(CALLS).map((name) => `${name} TimeoutError ETIMEDOUT`),
    );
    assert.equal(await sftp.readFile('f', 'utf8'), 'content');
  });

  test('an open file keeps to it in each of its calls, and not to that of its opening', async () => {
    await using file = await sftp.open('f', 'r+', { timeout: 5000 });
    isStuck = true;
    const message = /no reply from the server within 50 ms/;
    const timeout = 50;
    const calls = [file.read(1, { timeout }), file.writeAt(0, 'c', { timeout }), file.stat({ timeout })];
    await Promise.all(calls.map((call) => assert.rejects(call, { name: 'TimeoutError', message })));
    isStuck = false;
    for (const answer of stuck) answer();
  });

  test('callTimeout is the default of the connection, which a call may exceed', async () => {
    const late = await startServer(
      { files: { f: 'content' } },
      {
        faults: {
          failOn: ({ kind }) =>
            kind === 'stat' ? new Promise((answer) => setTimeout(answer, 300, undefined)) : undefined,
        },
      },
    );
    await using own = await connectToServer(late, { callTimeout: 100 });
    assert.equal(own.timeout, 100);
    await assert.rejects(own.stat('f'), { name: 'TimeoutError' });
    assert.equal((await own.stat('f', { timeout: 60_000 })).size, 7);
    own.timeout = null;
    assert.equal((await own.stat('f')).size, 7);
    await late.close();
  });

  test('a command that takes too long is ended', async () => {
    const commands = await startServer({ files: {} }, { commands: () => new Promise(() => {}) });
    await using own = await connectToServer(commands);
    await assert.rejects(own.run('sleep 1000', { timeout: 50 }), {
      name: 'TimeoutError',
      message: "The command 'sleep 1000' has not ended within 50 ms; its channel was closed",
    });
    await commands.close();
  });

  test('a wrong one is an error before anything is sent', async () => {
    await assert.rejects(sftp.stat('f', { timeout: 0 }), { name: 'RangeError' });
    await assert.rejects(sftp.stat('f', { timeout: '5' as unknown as number }), { name: 'TypeError' });
    await assert.rejects(connectToServer(server, { timeout: 5 } as object), {
      name: 'TypeError',
      message:
        "Unknown option 'timeout' of connect: use connectTimeout for connecting, or callTimeout for each answer of the server",
    });
  });
});
