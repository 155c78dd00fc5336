/** The end of a session settles every call, whatever that waits for: the server, the caller, a limit of bytes or a handle. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import { Connection, ConnectionLostError, copyBetween, RemoteFile } from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const DEADLINE_MS = 1000;

interface Scene {
  readonly sftp: Connection;
  readonly file: RemoteFile;
  /** A local one, with a file `a` of 100,000 bytes. */
  readonly folder: string;
}

type Calls = Readonly<Record<string, (scene: Scene) => Promise<unknown>>>;

const never = () => new Promise<never>(() => {});
const sink = () => new Writable({ write: (_chunk, _encoding, done) => done() });
async function readAll(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

const ofConnection: Calls = {
  pwd: ({ sftp }) => sftp.pwd(),
  chdir: ({ sftp }) => sftp.chdir('/tree'),
  cwd: ({ sftp }) => sftp.cwd('/tree'),
  cd: ({ sftp }) => sftp.cd('/tree', () => sftp.stat('.')),
  normalize: ({ sftp }) => sftp.normalize('.'),
  listdir: ({ sftp }) => sftp.listdir(),
  listdirAttr: ({ sftp }) => sftp.listdirAttr(),
  stat: ({ sftp }) => sftp.stat('/a'),
  lstat: ({ sftp }) => sftp.lstat('/a'),
  exists: ({ sftp }) => sftp.exists('/a'),
  lexists: ({ sftp }) => sftp.lexists('/a'),
  isdir: ({ sftp }) => sftp.isdir('/a'),
  isfile: ({ sftp }) => sftp.isfile('/a'),
  readlink: ({ sftp }) => sftp.readlink('/a'),
  walktree: ({ sftp }) => sftp.walktree('/tree', never, never, never),
  walk: ({ sftp }) => readAll(sftp.walk('/tree')),
  glob: ({ sftp }) => sftp.glob('/*'),
  statvfs: ({ sftp }) => sftp.statvfs(),
  expandPath: ({ sftp }) => sftp.expandPath('~'),
  homeDirectory: ({ sftp }) => sftp.homeDirectory(),
  mkdir: ({ sftp }) => sftp.mkdir('/new'),
  makedirs: ({ sftp }) => sftp.makedirs('/new/er'),
  rmdir: ({ sftp }) => sftp.rmdir('/tree'),
  remove: ({ sftp }) => sftp.remove('/a'),
  unlink: ({ sftp }) => sftp.unlink('/a'),
  rename: ({ sftp }) => sftp.rename('/a', '/b'),
  posixRename: ({ sftp }) => sftp.posixRename('/a', '/b'),
  rmtree: ({ sftp }) => sftp.rmtree('/tree'),
  chmod: ({ sftp }) => sftp.chmod('/a', 600),
  chown: ({ sftp }) => sftp.chown('/a', 1, 1),
  truncate: ({ sftp }) => sftp.truncate('/a', 1),
  utime: ({ sftp }) => sftp.utime('/a', [1, 1]),
  touch: ({ sftp }) => sftp.touch('/new'),
  symlink: ({ sftp }) => sftp.symlink('/a', '/link'),
  hardlink: ({ sftp }) => sftp.hardlink('/a', '/link'),
  copy: ({ sftp }) => sftp.copy('/a', '/b'),
  get: ({ sftp, folder }) => sftp.get('/a', join(folder, 'got')),
  put: ({ sftp, folder }) => sftp.put(join(folder, 'a'), '/put'),
  getR: ({ sftp, folder }) => sftp.getR('/tree', folder),
  putR: ({ sftp, folder }) => sftp.putR(folder, '/new'),
  getD: ({ sftp, folder }) => sftp.getD('/tree', folder),
  putD: ({ sftp, folder }) => sftp.putD(folder, '/tree'),
  mirror: ({ sftp, folder }) => sftp.mirror(folder, '/tree', { direction: 'up' }),
  waitForFile: ({ sftp }) => sftp.waitForFile('/nothing*', { pollInterval: 100_000 }),
  watch: ({ sftp }) => readAll(sftp.watch('/tree', { pollInterval: 100_000 })),
  open: ({ sftp }) => sftp.open('/a'),
  readFile: ({ sftp }) => sftp.readFile('/a'),
  writeFile: ({ sftp }) => sftp.writeFile('/new', 'content'),
  appendFile: ({ sftp }) => sftp.appendFile('/a', 'content'),
  createReadStream: ({ sftp }) => pipeline(sftp.createReadStream('/a'), sink()),
  createWriteStream: ({ sftp }) => pipeline(Readable.from(['content']), sftp.createWriteStream('/new')),
  getfo: ({ sftp }) => sftp.getfo('/a', sink()),
  putfo: ({ sftp }) => sftp.putfo(Readable.from(['content']), '/new'),
  checksum: ({ sftp }) => sftp.checksum('/a'),
  execute: ({ sftp }) => sftp.execute('hang'),
  run: ({ sftp }) => sftp.run('hang'),
};

const ofFile: Calls = {
  read: ({ file }) => file.read(),
  write: ({ file }) => file.write('content'),
  readAt: ({ file }) => file.readAt(0, 10),
  writeAt: ({ file }) => file.writeAt(0, 'content'),
  readFile: ({ file }) => file.readFile(),
  writeFile: ({ file }) => file.writeFile('content'),
  seek: ({ file }) => file.seek(0, 'end'),
  stat: ({ file }) => file.stat(),
  truncate: ({ file }) => file.truncate(1),
  chmod: ({ file }) => file.chmod(600),
  utimes: ({ file }) => file.utimes(1, 1),
  sync: ({ file }) => file.sync(),
  lines: ({ file }) => readAll(file.lines()),
  createReadStream: ({ file }) => pipeline(file.createReadStream({ autoClose: false }), sink()),
  createWriteStream: ({ file }) =>
    pipeline(Readable.from(['content']), file.createWriteStream({ autoClose: false })),
};

/** What asks nobody, or waits for what the others wait for. */
const OTHERS = ['constructor', 'close', 'getcwd', 'tell', 'streamTarget', 'copyBetween'];

const forCaller: Calls = {
  'walktree, for a callback': ({ sftp }) => sftp.walktree('/', never, never, never),
  'getR, for its filter': ({ sftp, folder }) => sftp.getR('/tree', folder, { filter: never }),
  'putR, for its filter': ({ sftp, folder }) => sftp.putR(folder, '/new-tree', { filter: never }),
  'mirror, for its comparison': async ({ sftp, folder }) => {
    await sftp.writeFile('/tree/a', 'content');
    await sftp.mirror(folder, '/tree', { direction: 'up', compare: never });
  },
  'getfo, for a sink': ({ sftp }) => sftp.getfo('/a', { write: never }),
  'getfo, for a stream': ({ sftp }) => sftp.getfo('/a', new Writable({ write() {} })),
  'getfo, for a web stream': ({ sftp }) => sftp.getfo('/a', new WritableStream({ write: never })),
  'putfo, for a stream': ({ sftp }) => sftp.putfo(new Readable({ read() {} }), '/new'),
  'putfo, for an iterable': ({ sftp }) =>
    sftp.putfo({ [Symbol.asyncIterator]: () => ({ next: never }) }, '/new'),
  'atomic putfo, for a stream': ({ sftp }) =>
    sftp.putfo(new Readable({ read() {} }), '/new', { atomic: true }),
  'createWriteStream, for what is to be written': ({ sftp }) => finished(sftp.createWriteStream('/new')),
  'createWriteStream of a file, for what is to be written': ({ file }) => finished(file.createWriteStream()),
};

const SLOWLY = { bytesPerSecond: 10 };
const throttled: Calls = {
  get: ({ sftp, folder }) => sftp.get('/a', join(folder, 'got'), SLOWLY),
  put: ({ sftp, folder }) => sftp.put(join(folder, 'a'), '/put', SLOWLY),
  getR: ({ sftp, folder }) => sftp.getR('/', folder, SLOWLY),
  putR: ({ sftp, folder }) => sftp.putR(folder, '/new-tree', SLOWLY),
  mirror: ({ sftp, folder }) => sftp.mirror(folder, '/tree', { direction: 'up', ...SLOWLY }),
  copyBetween: ({ sftp }) => copyBetween(sftp, '/a', sftp, '/b', SLOWLY),
  getfo: ({ sftp }) => sftp.getfo('/a', sink(), SLOWLY),
  putfo: ({ sftp }) => sftp.putfo(Buffer.alloc(100_000), '/new', SLOWLY),
  createReadStream: ({ sftp }) => pipeline(sftp.createReadStream('/a', SLOWLY), sink()),
  createWriteStream: ({ sftp }) =>
    pipeline(Readable.from([Buffer.alloc(100_000)]), sftp.createWriteStream('/new', SLOWLY)),
  'readFile, by the limit of the connection': ({ sftp }) => {
    sftp.bytesPerSecond = 10;
    return sftp.readFile('/a');
  },
  'writing into a file, by the limit of the connection': ({ file }) => file.write(Buffer.alloc(100_000)),
};

const forHandle: Calls = Object.fromEntries(
  [
    'listdir',
    'walk',
    'copy',
    'get',
    'put',
    'getR',
    'putD',
    'open',
    'readFile',
    'writeFile',
    'createReadStream',
  ].map((name) => [name, ofConnection[name] ?? never]),
);

async function setScene(t: TestContext) {
  let isFrozen = false;
  const failOn = () => (isFrozen ? never() : undefined);
  const files = { a: Buffer.alloc(100_000), 'tree/b': 'content' };
  const server = await startServer({ files }, { commands: never, faults: { failOn, maxHandles: 8 } });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'a'), Buffer.alloc(100_000));
  // Loaded and compiled before the time is taken.
  await sftp.put(join(folder, 'a'), '/a');
  await sftp.getD('/tree', join(folder, 'tree'));
  const file = await sftp.open('/a', 'r+');
  const takeHandles = () => Promise.all(Array.from({ length: 7 }, () => sftp.open('/a', 'r+')));
  const freeze = () => {
    isFrozen = true;
  };
  return { server, sftp, folder, file, takeHandles, freeze };
}

const ends = {
  'close()': ({ sftp }: Awaited<ReturnType<typeof setScene>>) => void sftp.close(),
  'the loss of the connection': ({ server }: Awaited<ReturnType<typeof setScene>>) => server.disconnectAll(),
};

for (const [end, bring] of Object.entries(ends)) {
  /** All at once, as they do not disturb each other; those that take some steps have time for them. */
  const settles = async (
    t: TestContext,
    calls: Calls,
    prepare: (scene: Awaited<ReturnType<typeof setScene>>) => unknown,
    isQuick = false,
  ) => {
    const scene = await setScene(t);
    await prepare(scene);
    const late: string[] = [];
    const wrong: string[] = [];
    let endedAt = Number.POSITIVE_INFINITY;
    const pending = Object.entries(calls).map(async ([name, call]) => {
      const error = await call(scene).then(
        () => 'it resolved',
        (reason: unknown) => reason,
      );
      if (performance.now() - endedAt > DEADLINE_MS) late.push(name);
      if (!(error instanceof ConnectionLostError) || performance.now() < endedAt)
        wrong.push(`${name}: ${error}`);
    });
    if (isQuick) await new Promise(setImmediate);
    else await scene.sftp.lstat('/').then(() => new Promise((resolve) => setTimeout(resolve, 300)));
    endedAt = performance.now();
    bring(scene);
    await Promise.all(pending);
    assert.deepEqual({ late, wrong }, { late: [], wrong: [] });
  };

  describe(`${end} settles within a second`, () => {
    test('every method of a connection that waits for the server', (t) =>
      settles(t, ofConnection, ({ freeze }) => freeze(), true));
    test('every method of an open file that waits for the server', (t) =>
      settles(t, ofFile, ({ freeze }) => freeze(), true));
    test('every call that waits for the caller', (t) => settles(t, forCaller, () => {}));
    test('every call that waits for its share of bytes', (t) => settles(t, throttled, () => {}));
    test('every call that waits for a handle', (t) =>
      settles(t, forHandle, ({ takeHandles }) => takeHandles()));
    test('the waiting between two looks', (t) => {
      const { waitForFile = never, watch = never } = ofConnection;
      return settles(t, { waitForFile, watch }, () => {});
    });
  });
}

test('the lists of what settles have every method in them', () => {
  const methodsOf = (prototype: object) =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([name, { value }]) => typeof value === 'function' && !OTHERS.includes(name))
      .map(([name]) => name);
  assert.deepEqual(methodsOf(Connection.prototype).sort(), Object.keys(ofConnection).sort());
  assert.deepEqual(methodsOf(RemoteFile.prototype).sort(), Object.keys(ofFile).sort());
});
