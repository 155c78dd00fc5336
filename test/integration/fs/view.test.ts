/** What a view promises beyond doing as node:fs does: requests, the root, numbers, streams, what it refuses. */
import assert from 'node:assert/strict';
import { type EventEmitter, once } from 'node:events';
import nodeFs, { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type RemoteFsOptions, remoteFs } from '../../../src/fs/index.js';
import { SftpStatusError } from '../../../src/index.js';
import { type ServerOptions, startServer } from '../../../src/testing/index.js';
import { makeFolder } from '../../support/folder.js';
import { connectToServer } from '../../support/login.js';

async function open(t: TestContext, options: RemoteFsOptions = {}, serverOptions: ServerOptions = {}) {
  const folder = makeFolder(t);
  const server = await startServer({ root: folder }, serverOptions);
  t.after(() => server.close());
  const sftp = await connectToServer(server);
  t.after(() => sftp.close());
  await sftp.stat('/');
  const requests = async (work: () => Promise<unknown>) => {
    const before = { ...server.counters.requests };
    await work();
    const after = Object.entries(server.counters.requests);
    const counts = after.map(
      ([kind, count]) => [kind, count - (before[kind as keyof typeof before] ?? 0)] as const,
    );
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  };
  return { fs: remoteFs(sftp, options), folder, server, sftp, requests };
}

function hasCode(code: string) {
  return (error: unknown) => error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

describe('A view of a connection', { timeout: 60_000 }, () => {
  test('asks as much as it needs and no more', async (t) => {
    const { fs, requests } = await open(t);
    assert.deepEqual(await requests(() => fs.promises.writeFile('/a', 'one egg')), {
      open: 1,
      write: 1,
      close: 1,
    });
    assert.deepEqual(await requests(() => fs.promises.readFile('/a')), {
      open: 1,
      fstat: 1,
      read: 1,
      close: 1,
    });
    assert.deepEqual(await requests(() => fs.promises.stat('/a')), { stat: 1 });
    assert.deepEqual(await requests(() => fs.promises.lstat('/a')), { lstat: 1 });
    assert.deepEqual(await requests(() => fs.promises.rename('/a', '/b')), { extended: 1 });
    assert.deepEqual(await requests(() => fs.promises.appendFile('/b', '!')), {
      open: 1,
      write: 1,
      close: 1,
    });
    assert.deepEqual(await requests(() => fs.promises.mkdir('/c')), { mkdir: 1 });
    assert.deepEqual(await requests(() => fs.promises.unlink('/b')), { remove: 1 });
  });

  test('keeps attributes for a moment where that is wanted, and forgets them with every change', async (t) => {
    const { fs, requests } = await open(t, { attributeCacheMs: 10_000 });
    await fs.promises.writeFile('/a', 'one');
    const looks = async () => {
      for (let times = 0; times < 5; times += 1) assert.equal((await fs.promises.lstat('/a')).size, 3);
    };
    assert.deepEqual(await requests(looks), { lstat: 1 });
    await fs.promises.appendFile('/a', 'more');
    assert.equal((await fs.promises.lstat('/a')).size, 7);
    await fs.promises.readdir('/');
    assert.deepEqual(await requests(() => fs.promises.lstat('/a')), {});
  });

  test('has errors as those of node:fs, with the own one as the cause', async (t) => {
    const { fs } = await open(t);
    const error = await fs.promises.open('/x').catch((reason: unknown) => reason);
    assert.ok(error instanceof Error && error.cause instanceof SftpStatusError);
    const local = await nodeFs.promises.open('/nowhere/x').catch((reason: unknown) => reason);
    assert.deepEqual({ ...error, path: '' }, { ...(local as object), path: '' });
    assert.equal(error.message, "ENOENT: no such file or directory, open '/x'");
    await assert.rejects(
      fs.promises.rename('/x', '/y'),
      /^Error: ENOENT: no such file or directory, rename '\/x' -> '\/y'$/,
    );
    assert.throws(() => fs.stat(7 as never, () => {}), hasCode('ERR_INVALID_ARG_TYPE'));
    assert.throws(() => fs.stat('/x', undefined as never), hasCode('ERR_INVALID_ARG_TYPE'));
    await assert.rejects(fs.promises.stat('a\0b'), hasCode('ERR_INVALID_ARG_VALUE'));
  });

  test('gives functions that need no object, and its own promises', async (t) => {
    const { fs, folder } = await open(t);
    writeFileSync(join(folder, 'a'), 'one');
    const { readFile, exists, promises } = fs;
    const { readdir } = promises;
    assert.equal(await promisify(readFile)('/a', 'utf8'), 'one');
    assert.equal(await promisify(exists)('/a'), true);
    assert.deepEqual(await readdir('/'), ['a']);
    assert.equal(Object.getOwnPropertyDescriptor(fs, 'promises')?.enumerable, true);
    const missing = Object.keys(nodeFs).filter((name) => !(name in fs) && name !== '_toUnixTimestamp');
    assert.deepEqual(missing, []);
    assert.deepEqual(
      Object.keys(nodeFs.promises).filter((name) => !(name in promises)),
      [],
    );
  });

  test('refuses at once what would have to wait, with the name of what does not', async (t) => {
    const { fs } = await open(t);
    const refusing = Object.keys(fs).filter((name) => name.endsWith('Sync') || /^watch/.test(name));
    assert.ok(refusing.length > 40);
    for (const name of refusing) {
      const call = (fs as unknown as Record<string, () => unknown>)[name];
      assert.throws(() => call?.(), hasCode('ENOSYS'), name);
    }
    assert.throws(() => fs.statSync('/'), /use promises\.stat, or stat with a callback/);
    assert.throws(() => fs.realpathSync.native('/'), hasCode('ENOSYS'));
    assert.throws(() => fs.promises.watch('/'), hasCode('ENOSYS'));
  });

  test('numbers open files far away from those of this machine', async (t) => {
    const { fs, folder } = await open(t);
    writeFileSync(join(folder, 'a'), 'one egg');
    const fd = await promisify(fs.open)('/a', 'r');
    assert.ok(fd >= 2 ** 30);
    assert.throws(() => nodeFs.fstatSync(fd), hasCode('EBADF'));
    const { bytesRead, buffer } = await promisify(fs.read)(fd, Buffer.alloc(3), 0, 3, 4);
    assert.deepEqual([bytesRead, String(buffer)], [3, 'egg']);
    assert.equal((await promisify(fs.fstat)(fd)).ino, (await fs.promises.stat('/./a')).ino);
    await promisify(fs.close)(fd);
    await assert.rejects(promisify(fs.close)(fd), hasCode('EBADF'));
    await assert.rejects(promisify(fs.fstat)(1), hasCode('EBADF'));
  });

  test('makes up numbers of files: one for each path, always the same, and never 0', async (t) => {
    const { fs, folder } = await open(t);
    for (let index = 0; index < 50; index += 1) writeFileSync(join(folder, `f${index}`), '');
    const stats = await Promise.all(
      (await fs.promises.readdir('/')).map((name) => fs.promises.stat(`/${name}`)),
    );
    assert.equal(new Set(stats.map(({ ino }) => ino)).size, 50);
    assert.ok(stats.every(({ ino, dev }) => Number.isSafeInteger(ino) && ino > 0 && dev > 0));
    const { ino } = await fs.promises.stat('/f7', { bigint: true });
    assert.equal(ino, BigInt((await fs.promises.lstat('//f7')).ino));
  });

  test('has streams as those of node:fs', async (t) => {
    const { fs, folder } = await open(t);
    const events: string[] = [];
    const writer = fs.createWriteStream('/s', { mode: 0o600 });
    for (const name of ['open', 'ready', 'finish', 'close']) writer.on(name, () => events.push(name));
    assert.equal(writer.pending, true);
    const content = Buffer.alloc(3_000_001, 'stream ');
    await pipeline(async function* () {
      for (let at = 0; at < content.length; at += 70_000) yield content.subarray(at, at + 70_000);
    }, writer);
    assert.deepEqual(
      [events.join(), writer.path, writer.bytesWritten],
      ['open,ready,finish,close', '/s', content.length],
    );
    assert.ok(readFileSync(join(folder, 's')).equals(content));
    const reader = fs.createReadStream('/s', { start: 7, end: 2_000_000 });
    const read = await text(reader);
    assert.equal(read, content.toString('latin1', 7, 2_000_001));
    assert.equal(reader.bytesRead, 1_999_994);
    await assert.rejects(text(fs.createReadStream('/missing')), hasCode('ENOENT'));
    await pipeline(['at the end'], fs.createWriteStream('/s', { flags: 'a' }));
    assert.equal((await fs.promises.stat('/s')).size, content.length + 10);
    const controller = new AbortController();
    const aborted = fs.createReadStream('/s', { signal: controller.signal });
    controller.abort();
    await assert.rejects(text(aborted), hasCode('ABORT_ERR'));
  });

  test('emits finish only when the server has confirmed everything', async (t) => {
    const failOn = ({ kind }: { readonly kind: string }) =>
      kind === 'write' ? { status: 4, message: 'No space left on device' } : undefined;
    const { fs } = await open(t, {}, { faults: { failOn } });
    const writer = fs.createWriteStream('/full');
    let hasFinished = false;
    writer.on('finish', () => {
      hasFinished = true;
    });
    await assert.rejects(pipeline(['x'], writer), hasCode('ENOSPC'));
    assert.equal(hasFinished, false);
  });

  test('has file handles with streams, lines, an event and disposal', async (t) => {
    const { fs, folder } = await open(t);
    writeFileSync(join(folder, 'lines'), 'a\nb\r\nc');
    const handle = await fs.promises.open('/lines');
    const lines: string[] = [];
    for await (const line of handle.readLines()) lines.push(line);
    assert.deepEqual([lines, handle.fd], [['a', 'b', 'c'], -1]);
    const other = await fs.promises.open('/lines', 'r+');
    // Its types leave out that it emits events.
    const closed = once(other as unknown as EventEmitter, 'close');
    await text(other.createReadStream({ autoClose: false }));
    await pipeline(['A'], other.createWriteStream({ start: 0 }));
    await closed;
    assert.equal(readFileSync(join(folder, 'lines'), 'utf8'), 'A\nb\r\nc');
    const third = await fs.promises.open('/lines');
    await third[Symbol.asyncDispose]();
    await assert.rejects(third.stat(), { code: 'EBADF', message: 'file closed' });
  });

  test('finds files by patterns, copies trees and removes them', async (t) => {
    const { fs, folder } = await open(t);
    mkdirSync(join(folder, 'd/sub'), { recursive: true });
    for (const name of ['d/a.txt', 'd/sub/b.txt', 'd/sub/c.js']) writeFileSync(join(folder, name), name);
    const found: string[] = [];
    for await (const path of fs.promises.glob('**/*.{txt,js}', { cwd: '/d', exclude: ['**/c.*'] }))
      found.push(path);
    assert.deepEqual(found.sort(), ['a.txt', 'sub/b.txt']);
    await fs.promises.cp('/d', '/e', { recursive: true });
    assert.equal(readFileSync(join(folder, 'e/sub/b.txt'), 'utf8'), 'd/sub/b.txt');
    await assert.rejects(fs.promises.rm('/e'), hasCode('ERR_FS_EISDIR'));
    await fs.promises.rm('/e', { recursive: true });
    assert.equal(await fs.promises.mkdir('/m/n/o', { recursive: true }), '/m');
    assert.match(await fs.promises.mkdtemp('/m/t-'), /^\/m\/t-\w{6}$/);
    assert.deepEqual((await fs.promises.readdir('/')).sort(), ['d', 'm']);
  });
});

describe('The root of a view', { timeout: 60_000 }, () => {
  async function confined(t: TestContext, serverOptions: ServerOptions = {}) {
    const { folder, sftp, server } = await open(t, {}, serverOptions);
    mkdirSync(join(folder, 'top/sub'), { recursive: true });
    writeFileSync(join(folder, 'secret'), 'secret');
    writeFileSync(join(folder, 'top/inside'), 'inside');
    return { fs: remoteFs(sftp, { root: '/top' }), folder, server };
  }

  test('is / of the view, and .. stops there', async (t) => {
    const { fs } = await confined(t);
    assert.equal(await fs.promises.readFile('/inside', 'utf8'), 'inside');
    assert.equal(await fs.promises.readFile('inside', 'utf8'), 'inside');
    assert.equal(await fs.promises.readFile('/sub/../../../inside', 'utf8'), 'inside');
    await assert.rejects(fs.promises.readFile('/../secret'), hasCode('ENOENT'));
    assert.equal(await fs.promises.realpath('/sub/..'), '/');
    await fs.promises.writeFile('/../new', 'new');
    assert.deepEqual((await fs.promises.readdir('/..')).sort(), ['inside', 'new', 'sub']);
  });

  test('is not left through links, links of links, and what they lead to', async (t) => {
    const { fs, folder } = await confined(t);
    const top = join(folder, 'top');
    symlinkSync('../secret', join(top, 'relative'));
    symlinkSync('/secret', join(top, 'absolute'));
    symlinkSync('relative', join(top, 'chain'));
    symlinkSync('..', join(top, 'above'));
    symlinkSync('/top/inside', join(top, 'fine'));
    symlinkSync('../../top/sub', join(top, 'sub/back'));
    symlinkSync('../new', join(top, 'dangling'));
    for (const path of ['/relative', '/absolute', '/chain', '/above/secret', '/dangling']) {
      await assert.rejects(fs.promises.readFile(path), hasCode('EACCES'), path);
      await assert.rejects(fs.promises.writeFile(path, 'x'), hasCode('EACCES'), path);
      await assert.rejects(fs.promises.stat(path), hasCode('EACCES'), path);
      await assert.rejects(fs.promises.chmod(path, 0o600), hasCode('EACCES'), path);
    }
    await assert.rejects(fs.promises.readdir('/above'), hasCode('EACCES'));
    await assert.rejects(fs.promises.rename('/inside', '/above/stolen'), hasCode('EACCES'));
    assert.equal(await fs.promises.readFile('/fine', 'utf8'), 'inside');
    assert.equal(await fs.promises.realpath('/sub/back'), '/sub');
    assert.equal(await fs.promises.readlink('/absolute'), '/secret');
    await fs.promises.unlink('/relative');
    assert.equal(readFileSync(join(folder, 'secret'), 'utf8'), 'secret');
    assert.equal(nodeFs.existsSync(join(folder, 'new')), false);
  });

  test('holds where somebody exchanges a directory for a link between the look and the use', async (t) => {
    let exchange = () => {};
    const failOn = ({ kind }: { readonly kind: string }) => {
      if (kind === 'open' || kind === 'opendir') exchange();
      return undefined;
    };
    const { fs, folder } = await confined(t, { faults: { failOn } });
    mkdirSync(join(folder, 'outside'));
    writeFileSync(join(folder, 'outside/file'), 'outside');
    writeFileSync(join(folder, 'top/sub/file'), 'inside');
    exchange = () => {
      rmSync(join(folder, 'top/sub'), { recursive: true, force: true });
      symlinkSync('../outside', join(folder, 'top/sub'));
      exchange = () => {};
    };
    await assert.rejects(fs.promises.readFile('/sub/file'), hasCode('EACCES'));
    const again = exchange;
    rmSync(join(folder, 'top/sub'));
    mkdirSync(join(folder, 'top/sub'));
    writeFileSync(join(folder, 'top/sub/file'), 'inside');
    assert.equal(again, exchange);
    exchange = () => {
      rmSync(join(folder, 'top/sub'), { recursive: true, force: true });
      symlinkSync('../outside', join(folder, 'top/sub'));
    };
    await assert.rejects(fs.promises.writeFile('/sub/file', 'x'), hasCode('EACCES'));
    assert.equal(readFileSync(join(folder, 'outside/file'), 'utf8'), 'outside');
  });
});
