import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { createServer } from 'node:net';
import path, { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { infoOf, localFileSystem } from '../../../../src/transfer/local/local.js';
import { makeFolder } from '../../../support/folder.js';

const bytes = (text: string) => Buffer.from(text);
const isWindows = process.platform === 'win32';

describe('the local disk', () => {
  test('has no permissions for others where the system has none', (t) => {
    const file = join(makeFolder(t), 'file');
    writeFileSync(file, '', { mode: 0o640 });
    const { mode, uid, gid } = infoOf(statSync(file), 'win32');
    assert.deepEqual([mode, uid, gid], [undefined, undefined, undefined]);
    assert.equal(infoOf(statSync(file), 'linux').mode, 0o640);
  });

  test('what a block of one, two or four requests was read into is read into again', async (t) => {
    const file = join(makeFolder(t), 'file');
    writeFileSync(file, Buffer.alloc(1024 * 1024, 'x'));
    const source = await localFileSystem.openSource(bytes(file), {});
    for (const length of [261_120, 2 * 261_120, 4 * 261_120]) {
      const [first] = (await source.read(0, length, {})) ?? [];
      assert.equal(first?.length, length);
      if (first !== undefined) source.release?.([first]);
      const [second] = (await source.read(0, length, {})) ?? [];
      assert.equal(second?.buffer, first?.buffer);
    }
    await source.close({});
  });

  test('a directory is no file to read from, and what is not there is Node’s own error', async (t) => {
    const folder = makeFolder(t);
    await assert.rejects(localFileSystem.openSource(bytes(folder), {}), {
      code: isWindows ? 'EPERM' : 'EISDIR',
    });
    await assert.rejects(localFileSystem.openSource(bytes(join(folder, 'x')), {}), { code: 'ENOENT' });
  });

  test('N9: a FIFO is no file to read from, and does not block', { skip: isWindows }, async (t) => {
    const fifo = join(makeFolder(t), 'fifo');
    execFileSync('mkfifo', [fifo]);
    await assert.rejects(localFileSystem.openSource(bytes(fifo), {}), {
      code: 'EINVAL',
      message: `EINVAL: it is not a regular file but a fifo; upload what it gives with putfo and a stream, read '${fifo}'`,
    });
    // Nobody reads from it.
    await assert.rejects(localFileSystem.openTarget(bytes(fifo), {}), { code: 'EEXIST' });
  });

  test('N9: a socket and a device are known as what they are', { skip: isWindows }, async (t) => {
    const socket = join(makeFolder(t), 'socket');
    const server = createServer().listen(socket);
    t.after(() => server.close());
    await once(server, 'listening');
    assert.equal((await localFileSystem.lstat(bytes(socket), {})).type, 'socket');
    assert.equal((await localFileSystem.lstat(bytes('/dev/null'), {})).type, 'character-device');
  });

  test('N3: a link in the way of a file is refused where links are, and followed where not', {
    skip: isWindows,
  }, async (t) => {
    const folder = makeFolder(t);
    const [file, link] = [join(folder, 'file'), join(folder, 'link')];
    writeFileSync(file, 'kept');
    symlinkSync('file', link);
    await assert.rejects(localFileSystem.openTarget(bytes(link), { refuseLink: true }), {
      code: 'ELOOP',
      message: `ELOOP: a symlink is in the way of the file, open '${link}'`,
    });
    assert.equal(readFileSync(file, 'utf8'), 'kept');
    const target = await localFileSystem.openTarget(bytes(link), {});
    await target.write(0, [bytes('new')], {});
    await target.close({});
    assert.equal(readFileSync(file, 'utf8'), 'new');
  });

  test('other failures to open a file stay what they are', async (t) => {
    const folder = makeFolder(t);
    const missing = bytes(join(folder, 'no', 'file'));
    await assert.rejects(localFileSystem.openTarget(missing, { refuseLink: true }), { code: 'ENOENT' });
    writeFileSync(join(folder, 'there'), '');
    await assert.rejects(localFileSystem.openTarget(bytes(join(folder, 'there')), { exclusive: true }), {
      code: 'EEXIST',
    });
  });

  test('what is kept of a file that is gone on with is cut to that length', async (t) => {
    const file = join(makeFolder(t), 'file');
    writeFileSync(file, '0123456789');
    const target = await localFileSystem.openTarget(bytes(file), { keep: 4 });
    await target.write(4, [bytes('ab'), bytes(''), bytes('c')], {});
    await target.close({});
    assert.equal(readFileSync(file, 'utf8'), '0123abc');
  });

  test('N2: a file or a link in the way of a directory is an error, a directory is none', async (t) => {
    const folder = makeFolder(t);
    writeFileSync(join(folder, 'file'), '');
    mkdirSync(join(folder, 'directory'));
    assert.equal(await localFileSystem.ensureDirectory(bytes(join(folder, 'new')), {}), true);
    assert.equal(await localFileSystem.ensureDirectory(bytes(join(folder, 'directory')), {}), false);
    await assert.rejects(localFileSystem.ensureDirectory(bytes(join(folder, 'file')), {}), {
      code: 'ENOTDIR',
      message: /^ENOTDIR: a file is in the way of the directory, mkdir '/,
    });
    await assert.rejects(localFileSystem.ensureDirectory(bytes(join(folder, 'no', 'such')), {}), {
      code: 'ENOENT',
    });
    if (isWindows) return;
    symlinkSync('directory', join(folder, 'link'));
    await assert.rejects(localFileSystem.ensureDirectory(bytes(join(folder, 'link')), {}), {
      code: 'ENOTDIR',
    });
  });

  test('a directory gets its mode and times, and a link that has taken its place is not followed', {
    skip: isWindows,
  }, async (t) => {
    const folder = makeFolder(t);
    const [directory, link] = [join(folder, 'directory'), join(folder, 'link')];
    mkdirSync(directory, { mode: 0o755 });
    symlinkSync('directory', link);
    const changes = { mode: 0o700, atime: undefined, mtime: 1_000_000_000 };
    await assert.rejects(localFileSystem.setAttributes(bytes(link), changes, {}));
    assert.equal(statSync(directory).mode & 0o777, 0o755);
    await localFileSystem.setAttributes(bytes(directory), changes, {});
    const { mode, mtimeMs, atimeMs } = statSync(directory);
    assert.deepEqual([mode & 0o777, mtimeMs, atimeMs], [0o700, 1e12, 1e12]);
  });

  test('a path without a directory lies in the current one', { skip: isWindows }, () => {
    const split = (text: string) => Object.values(localFileSystem.split(bytes(text))).map(String);
    assert.deepEqual(split('file'), ['.', 'file']);
    assert.deepEqual(split('/file'), ['/', 'file']);
    assert.deepEqual(split('a/b/c'), ['a/b', 'c']);
    assert.equal(String(localFileSystem.join(bytes('a/'), bytes('b'))), 'a/b');
    assert.equal(String(localFileSystem.join(bytes('a'), bytes('b'))), 'a/b');
  });

  test('on Windows paths are joined and taken apart as Windows has them', (t) => {
    useWindowsPaths(t);
    assert.equal(String(localFileSystem.join(bytes('C:\\a'), bytes('b'))), 'C:\\a\\b');
    const { directory, name } = localFileSystem.split(bytes('C:\\a\\b'));
    assert.deepEqual([String(directory), String(name)], ['C:\\a', 'b']);
  });

  test('what was closed cannot be read', async (t) => {
    const file = join(makeFolder(t), 'file');
    writeFileSync(file, 'content');
    const source = await localFileSystem.openSource(bytes(file), {});
    await source.close({});
    await assert.rejects(source.read(0, 4, {}), { code: 'EBADF' });
  });
});

function useWindowsPaths(t: TestContext): void {
  const { sep, join, dirname, basename } = path;
  const use = (functions: object) => {
    Object.assign(path, functions);
    syncBuiltinESMExports();
  };
  t.after(() => use({ sep, join, dirname, basename }));
  const { win32 } = path;
  use({ sep: win32.sep, join: win32.join, dirname: win32.dirname, basename: win32.basename });
}
