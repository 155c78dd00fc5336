/** Servers that do not do what OpenSSH's does: what is written is there all the same, or the call fails. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { type Faults, startServer, type TestServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

const LONG = 'a long old content, which reaches further than the new one';

interface World {
  readonly server: TestServer;
  readonly sftp: Connection;
  readonly local: string;
}

async function start(
  t: TestContext,
  faults: Faults,
  files: Readonly<Record<string, string>> = {},
): Promise<World> {
  const server = await startServer({ files }, { faults });
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  return { server, sftp, local: makeFolder(t) };
}

/** A local tree of so many small files, all of them old. */
function makeTree(t: TestContext, count: number): string {
  const folder = makeFolder(t);
  for (let index = 0; index < count; index += 1) {
    const file = join(folder, `file ${index}`);
    writeFileSync(file, `content ${index}`);
    utimesSync(file, 1_000_000_000 + index, 1_000_000_000 + index);
  }
  return folder;
}

describe('A server with several workers', () => {
  test('has the times that were asked for, so that a second mirror has nothing to do', async (t) => {
    const { sftp } = await start(t, { workers: true });
    const tree = makeTree(t, 60);
    await sftp.mkdir('up');
    assert.equal((await sftp.mirror(tree, 'up', { direction: 'up' })).created, 60);
    const times = (await sftp.listdirAttr('up')).map(({ mtime = 0 }) => mtime).sort((a, b) => a - b);
    assert.deepEqual(
      times,
      Array.from({ length: 60 }, (_, index) => 1_000_000_000 + index),
    );
    const second = await sftp.mirror(tree, 'up', { direction: 'up' });
    assert.deepEqual([second.created, second.updated, second.kept], [0, 0, 60]);
  });
});

describe('A server that refuses FSETSTAT and takes SETSTAT', () => {
  test('gets the time and the permissions by the path', async (t) => {
    const { sftp } = await start(t, { refuseFsetstat: true });
    const tree = makeTree(t, 1);
    const file = join(tree, 'file 0');
    const { mtime } = await sftp.put(file, 'copy', { preserveMtime: true, preserveMode: true });
    const mode = statSync(file).mode & 0o777;
    assert.deepEqual([mtime, ((await sftp.stat('copy')).mode ?? 0) & 0o777], [1_000_000_000, mode]);
  });
});

describe('A server that does not empty what is to be emptied', () => {
  const ways: Readonly<Record<string, (world: World) => Promise<unknown>>> = {
    put: ({ sftp, local }) => sftp.put(join(local, 'new'), 'file', { atomic: false, confirm: false }),
    putfo: ({ sftp }) => sftp.putfo(Readable.from(['new']), 'file', { confirm: false }),
    writeFile: ({ sftp }) => sftp.writeFile('file', 'new'),
    createWriteStream: ({ sftp }) => pipeline(Readable.from(['new']), sftp.createWriteStream('file')),
    copy: ({ sftp }) => sftp.copy('other', 'file', { atomic: false }),
  };
  for (const [name, write] of Object.entries(ways)) {
    test(`has the new content and no tail of the old one after ${name}`, async (t) => {
      const world = await start(t, { truncation: 'never' }, { file: LONG, other: 'new' });
      writeFileSync(join(world.local, 'new'), 'new');
      await write(world);
      assert.equal(world.server.readFile('/file').toString(), 'new');
    });
  }

  test('fails with what is left of the old content where nothing cuts it', async (t) => {
    const failOn = ({ kind }: { readonly kind: string }) => (kind === 'fsetstat' ? 'EACCES' : undefined);
    const { sftp, local } = await start(t, { truncation: 'never', failOn }, { file: LONG });
    writeFileSync(join(local, 'new'), 'new');
    const mismatch = { name: 'TransferError', code: 'SIZE_MISMATCH' };
    const put = sftp.put(join(local, 'new'), 'file', { atomic: false, confirm: false });
    await assert.rejects(put, { ...mismatch, message: /has 58 bytes, but 3 were written/ });
    await assert.rejects(sftp.writeFile('file', 'newer'), mismatch);
    await assert.rejects(pipeline(Readable.from(['n']), sftp.createWriteStream('file')), mismatch);
  });
});

describe('A server that empties what it might have made', () => {
  test('is appended to without a loss', async (t) => {
    const { server, sftp } = await start(t, { truncation: 'creat' }, { file: 'old ' });
    await sftp.appendFile('file', 'new');
    await pipeline(Readable.from([' newer']), sftp.createWriteStream('file', { flags: 'a' }));
    assert.equal(server.readFile('/file').toString(), 'old new newer');
    await sftp.appendFile('other', 'first');
    assert.equal(server.readFile('/other').toString(), 'first');
  });
});

describe('A server that empties whatever is opened for writing', () => {
  test('does not get anything appended behind zeros', async (t) => {
    const { server, sftp } = await start(t, { truncation: 'always' }, { file: 'old content' });
    await assert.rejects(sftp.appendFile('file', 'new'), {
      code: 'FAILURE',
      message: /^open 'file': the server has emptied the file while opening it, and the 11 bytes/,
    });
    assert.equal(server.readFile('/file').toString(), '');
    assert.equal(server.counters.openHandles, 0);
  });
});

describe('A server that knows the flags of OPEN that have a name', () => {
  test('is written to in every way', async (t) => {
    const { server, sftp, local } = await start(t, { fixedOpenFlags: true }, { old: 'old' });
    writeFileSync(join(local, 'new'), 'new');
    for (const atomic of [true, false]) await sftp.put(join(local, 'new'), 'old', { atomic });
    await sftp.put(join(local, 'new'), 'resumed', { resume: true });
    await sftp.appendFile('old', '+');
    await sftp.appendFile('appended', '+');
    await sftp.touch('touched');
    await sftp.touch('old');
    await sftp.copy('old', 'copied');
    await sftp.writeFile('exclusive', 'x', { flag: 'wx' });
    assert.deepEqual(server.listNames('/'), ['appended', 'copied', 'exclusive', 'old', 'resumed', 'touched']);
    assert.equal(server.readFile('/old').toString(), 'new+');
  });
});

describe('A server that says no more than failure of what is missing', () => {
  test('is looked at twice, so that everything works as elsewhere', async (t) => {
    const { server, sftp, local } = await start(t, { vagueErrors: true }, { 'd/file': 'old' });
    const tree = makeTree(t, 3);
    writeFileSync(join(local, 'new'), 'new');
    assert.deepEqual([await sftp.exists('d/file'), await sftp.exists('d/none')], [true, false]);
    assert.deepEqual([await sftp.exists('no/such/file'), await sftp.lexists('none')], [false, false]);
    await sftp.symlink('/none', '/dangling');
    assert.deepEqual([await sftp.exists('dangling'), await sftp.lexists('dangling')], [false, true]);
    await assert.rejects(sftp.stat('none'), { code: 'ENOENT' });
    await assert.rejects(sftp.get('none', join(local, 'none')), { code: 'ENOENT' });
    await sftp.put(join(local, 'new'), 'd/atomic', { atomic: true });
    await sftp.put(join(local, 'new'), 'd/resumed', { resume: true });
    await sftp.touch('d/touched');
    await sftp.copy('d/file', 'd/copied');
    await sftp.appendFile('d/appended', '+');
    assert.equal((await sftp.mirror(tree, 'up', { direction: 'up' })).created, 3);
    assert.equal((await sftp.mirror(tree, 'up', { direction: 'up' })).kept, 3);
    assert.deepEqual(server.listNames('/d'), ['appended', 'atomic', 'copied', 'file', 'resumed', 'touched']);
  });
});

describe('A server that says no more than failure of what is missing, in every call', () => {
  const calls: Readonly<Record<string, (sftp: Connection, path: string) => Promise<unknown>>> = {
    stat: (sftp, path) => sftp.stat(path),
    lstat: (sftp, path) => sftp.lstat(path),
    chmod: (sftp, path) => sftp.chmod(path, 644),
    chown: (sftp, path) => sftp.chown(path, 1, 1),
    utime: (sftp, path) => sftp.utime(path, [1, 1]),
    truncate: (sftp, path) => sftp.truncate(path, 0),
    listdir: (sftp, path) => sftp.listdir(path),
    chdir: (sftp, path) => sftp.chdir(path),
    rename: (sftp, path) => sftp.rename(path, 'other'),
    posixRename: (sftp, path) => sftp.posixRename(path, 'other'),
    remove: (sftp, path) => sftp.remove(path),
    rmdir: (sftp, path) => sftp.rmdir(path),
    rmtree: (sftp, path) => sftp.rmtree(path),
    readlink: (sftp, path) => sftp.readlink(path),
    hardlink: (sftp, path) => sftp.hardlink(path, 'other'),
    open: (sftp, path) => sftp.open(path),
    readFile: (sftp, path) => sftp.readFile(path),
    checksum: (sftp, path) => sftp.checksum(path),
    copy: (sftp, path) => sftp.copy(path, 'other'),
  };
  test('is asked what is there, and the code is ENOENT', async (t) => {
    const { sftp } = await start(t, { vagueErrors: true }, { 'd/file': 'old' });
    for (const [name, call] of Object.entries(calls)) {
      for (const path of ['d/none', 'none', 'none/below']) {
        await assert.rejects(call(sftp, path), { code: 'ENOENT' }, `${name} ${path}`);
      }
    }
    assert.deepEqual(await sftp.listdir('d'), ['file']);
  });

  const makers: typeof calls = {
    'open to write': (sftp, path) => sftp.open(path, 'w'),
    'open to append': (sftp, path) => sftp.open(path, 'a'),
    'open of a new file': (sftp, path) => sftp.open(path, 'wx'),
    writeFile: (sftp, path) => sftp.writeFile(path, 'content'),
    putfo: (sftp, path) => sftp.putfo('content', path),
    touch: (sftp, path) => sftp.touch(path),
    mkdir: (sftp, path) => sftp.mkdir(path),
    symlink: (sftp, path) => sftp.symlink('d/file', path),
    rename: (sftp, path) => sftp.rename('d/file', path),
    posixRename: (sftp, path) => sftp.posixRename('d/file', path),
    hardlink: (sftp, path) => sftp.hardlink('d/file', path),
    copy: (sftp, path) => sftp.copy('d/file', path),
  };
  test('is asked for the directory of what is made, and the code is ENOENT', async (t) => {
    const { sftp } = await start(t, { vagueErrors: true }, { 'd/file': 'old' });
    for (const [name, call] of Object.entries(makers)) {
      await assert.rejects(call(sftp, 'd/none/new'), { code: 'ENOENT' }, name);
    }
    assert.deepEqual(await sftp.listdir('d'), ['file']);
  });
});

describe('A server that takes no permissions in OPEN', () => {
  test('gets the content, and the permissions behind it', async (t) => {
    const { server, sftp, local } = await start(t, { refuseOpenMode: true }, { file: 'old' });
    await sftp.chmod('file', 640);
    writeFileSync(join(local, 'new'), 'new', { mode: 0o600 });
    await sftp.put(join(local, 'new'), 'file', { atomic: true });
    await sftp.put(join(local, 'new'), 'private', { preserveMode: true });
    const modes = [await sftp.stat('file'), await sftp.stat('private')].map(({ mode = 0 }) => mode & 0o777);
    assert.deepEqual(modes, [0o640, 0o600]);
    assert.equal(server.readFile('/file').toString(), readFileSync(join(local, 'new'), 'utf8'));
  });
});

/** Eight files fetched at once, none of which may replace another. */
async function assertFetched(sftp: Connection, folder: string, options: { readonly atomic: boolean }) {
  mkdirSync(folder);
  const indexes = [0, 1, 2, 4, 5, 6, 7, 8];
  await Promise.all(
    indexes.map((index) =>
      sftp.get(`/file ${index}`, join(folder, `${index}`), { overwrite: 'never', ...options }),
    ),
  );
  for (const index of indexes) {
    assert.equal(readFileSync(join(folder, `${index}`), 'utf8'), `content ${index}`);
  }
}

describe('A server that gives handles twice', () => {
  test('has the right content in every file that was written at once', async (t) => {
    const { server, sftp } = await start(t, { handlesTwice: true }, { log: 'old ' });
    const names = Array.from({ length: 9 }, (_, index) => `file ${index}`);
    await Promise.all(names.map((name) => sftp.writeFile(name, `content of ${name}`)));
    for (const name of names) assert.equal(server.readFile(`/${name}`).toString(), `content of ${name}`);
    assert.equal(server.counters.openHandles, 0);
  });

  test('has trees copied to it and from it, and listed', async (t) => {
    const { server, sftp, local } = await start(t, { handlesTwice: true });
    const tree = makeTree(t, 50);
    await sftp.putR(tree, '/up');
    for (let index = 0; index < 50; index += 1) {
      assert.equal(server.readFile(`/up/file ${index}`).toString(), `content ${index}`);
    }
    await using other = await connectToServer(server);
    await other.cd('/up', () => other.getR('.', join(local, 'down')));
    for (let index = 0; index < 50; index += 1) {
      assert.equal(readFileSync(join(local, 'down', `file ${index}`), 'utf8'), `content ${index}`);
    }
    assert.equal(
      (await Promise.all(Array.from({ length: 9 }, () => sftp.listdir('/up')))).flat().length,
      450,
    );
  });

  test('has new files that must not replace any, and keeps those of others', async (t) => {
    for (const atomic of [true, false]) {
      const { server, sftp, local } = await start(t, { handlesTwice: true }, { 'file 3': 'of another' });
      const tree = makeTree(t, 9);
      const outcomes = await Promise.allSettled(
        Array.from({ length: 9 }, (_, index) =>
          sftp.put(join(tree, `file ${index}`), `/file ${index}`, { overwrite: 'never', atomic }),
        ),
      );
      const codes = outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'made'));
      const expected = Array.from({ length: 9 }, (_, index) => (index === 3 ? 'EEXIST' : 'made'));
      assert.deepEqual(codes, expected, `atomic: ${atomic}`);
      for (let index = 0; index < 9; index += 1) {
        const content = index === 3 ? 'of another' : `content ${index}`;
        assert.equal(server.readFile(`/file ${index}`).toString(), content);
      }
      // Once a file has its name, it may be that of somebody else.
      assert.equal(server.counters.extended['posix-rename@openssh.com'], undefined);
      await assertFetched(sftp, join(local, `${atomic}`), { atomic });
    }
  });

  test('does not have a file replaced that has come since it was looked for', async (t) => {
    let looks = 0;
    const failOn = ({ kind, path }: { readonly kind: string; readonly path: string | undefined }) =>
      kind === 'lstat' && path === '/file 3' && looks++ === 0 ? 'ENOENT' : undefined;
    const { server, sftp } = await start(t, { handlesTwice: true, failOn }, { 'file 3': 'of another' });
    const tree = makeTree(t, 9);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 9 }, (_, index) =>
        sftp.put(join(tree, `file ${index}`), `/file ${index}`, { overwrite: 'never', atomic: false }),
      ),
    );
    const codes = outcomes.map((one) => (one.status === 'rejected' ? one.reason.code : 'made'));
    assert.deepEqual(codes, ['made', 'made', 'made', 'EEXIST', 'made', 'made', 'made', 'made', 'made']);
    assert.equal(server.readFile('/file 3').toString(), 'of another');
  });

  test('has new files that are written at once, and keeps the one that is there', async (t) => {
    const { server, sftp } = await start(t, { handlesTwice: true }, { 'file 3': 'of another' });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 9 }, (_, index) => sftp.writeFile(`/file ${index}`, `${index}`, { flag: 'wx' })),
    );
    for (const [index, outcome] of outcomes.entries()) {
      assert.equal(
        outcome.status === 'rejected' ? outcome.reason.code : 'made',
        index === 3 ? 'EEXIST' : 'made',
      );
      assert.equal(server.readFile(`/file ${index}`).toString(), index === 3 ? 'of another' : `${index}`);
    }
    assert.equal(server.counters.openHandles, 0);
  });

  test('gets nothing appended that might be in another file: the calls concerned fail', async (t) => {
    const { server, sftp } = await start(t, { handlesTwice: true }, { log: 'old ' });
    const [one, other] = [await sftp.open('/one', 'w'), await sftp.open('/other', 'w')];
    await assert.rejects(sftp.appendFile('/log', 'new'), { code: 'HANDLE_TWICE' });
    await assert.rejects(other.write('x'), {
      code: 'HANDLE_TWICE',
      message: /^write '\/other': the server gave/,
    });
    await one.write('1');
    await one.close();
    await assert.rejects(other.close(), { code: 'HANDLE_TWICE' });
    await sftp.appendFile('/log', 'new');
    assert.equal(server.readFile('/one').toString(), '1');
    assert.equal(server.readFile('/log').toString(), 'old new');
  });
});

describe('A server that lets no times be set', () => {
  test('is mirrored to by the sizes, and the plan and the report tell', async (t) => {
    const { server, sftp } = await start(t, { refuseSetstat: true });
    const tree = makeTree(t, 3);
    const first = await sftp.mirror(tree, '/up', { direction: 'up' });
    assert.deepEqual([first.created, first.notPreserved.length], [3, 3]);
    assert.match(String(first.notPreserved[0]?.error), /permission denied/);
    for (const dryRun of [true, false]) {
      const second = await sftp.mirror(tree, '/up', { direction: 'up', dryRun });
      const reasons = second.plan.map(({ action, reason }) => `${action} ${reason}`);
      assert.deepEqual(reasons, ['keep times-refused', 'keep times-refused', 'keep times-refused']);
    }
    writeFileSync(join(tree, 'file 1'), 'longer than before');
    const third = await sftp.mirror(tree, '/up', { direction: 'up' });
    assert.deepEqual([third.updated, third.kept], [1, 2]);
    assert.deepEqual(server.listNames('/up'), ['file 0', 'file 1', 'file 2']);
  });

  test('is told of in the report of a tree', async (t) => {
    const { sftp } = await start(t, { refuseSetstat: true });
    const { files, notPreserved } = await sftp.putR(makeTree(t, 2), '/up', { preserveMtime: true });
    assert.deepEqual([files, notPreserved.length], [2, 2]);
  });

  test('is not believed for the file of somebody else', async (t) => {
    const failOn = ({ kind, path }: { readonly kind: string; readonly path: string | undefined }) =>
      kind === 'setstat' && path === '/up/file 0' ? 'EACCES' : undefined;
    const { sftp } = await start(t, { failOn }, { 'up/file 0': 'content x' });
    const { updated } = await sftp.mirror(makeTree(t, 1), '/up', { direction: 'up' });
    assert.equal(updated, 1);
  });
});

describe('A file that grows while it is copied', () => {
  test('is copied as it was at the beginning where that is asked for', async (t) => {
    const growing: { grow?: () => void } = {};
    const failOn = ({ kind }: { readonly kind: string }) => {
      if (kind === 'read') growing.grow?.();
      return undefined;
    };
    const content = 'line\n'.repeat(50_000);
    const root = makeFolder(t);
    writeFileSync(join(root, 'log'), content);
    const server = await startServer({ root }, { faults: { failOn } });
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    const target = join(makeFolder(t), 'log');
    growing.grow = () => appendFileSync(join(root, 'log'), 'more\n');
    await assert.rejects(sftp.get('/log', target), { code: 'SOURCE_CHANGED' });
    const before = readFileSync(join(root, 'log'), 'utf8');
    await sftp.get('/log', target, { allowGrowth: true });
    assert.equal(readFileSync(target, 'utf8'), before);
    writeFileSync(join(root, 'log'), 'short\n');
    await sftp.cd('/', () => sftp.getR('.', join(target, '../tree'), { allowGrowth: true }));
    assert.equal(readFileSync(join(target, '../tree/log'), 'utf8'), 'short\n');
  });
});
