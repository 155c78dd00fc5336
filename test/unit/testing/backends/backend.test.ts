import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Backend, BackendFile, BackendOpenOptions } from '../../../../src/testing/backends/backend.js';
import { openDirectoryBackend } from '../../../../src/testing/backends/directory.js';
import { createMemoryBackend } from '../../../../src/testing/backends/initial-files.js';

const S_IFMT = 0o170000;

/** Every test below runs over both backends. */
const backends: Readonly<Record<string, (t: TestContext) => Backend>> = {
  memory: () => createMemoryBackend({}, 2 ** 30),
  directory: (t) => {
    const root = mkdtempSync(join(tmpdir(), 'tsftp-backend-'));
    t.after(() => rmSync(root, { recursive: true, force: true }));
    chmodSync(root, 0o755);
    return openDirectoryBackend(root);
  },
};

for (const [name, create] of Object.entries(backends)) {
  describe(`the ${name} backend`, () => {
    test('gives back what was written at any offset, holes as zeros', (t) => {
      const backend = create(t);
      const file = open(backend, '/file', { read: true, write: true, create: true });
      file.write(0, [Buffer.from('hello '), Buffer.from('world')]);
      file.write(200_000, [Buffer.from('far')]);
      assert.equal(file.read(0, 11).toString(), 'hello world');
      assert.equal(file.read(6, 3).toString(), 'wor');
      assert.deepEqual(file.read(199_998, 100), Buffer.from('\0\0far'));
      assert.equal(file.read(200_003, 10).length, 0);
      assert.equal(file.stat().size, 200_003);
      file.close();
    });

    test('keeps to the flags of open', (t) => {
      const backend = create(t);
      assertCode('ENOENT', () => open(backend, '/file', { read: true }));
      write(backend, '/file', 'content');
      assertCode('EEXIST', () => open(backend, '/file', { write: true, create: true, exclusive: true }));
      open(backend, '/file', { write: true }).close();
      assert.equal(read(backend, '/file'), 'content');
      open(backend, '/file', { write: true, truncate: true }).close();
      assert.equal(read(backend, '/file'), '');
    });

    test('appends whatever the offset says', (t) => {
      const backend = create(t);
      write(backend, '/file', 'one ');
      const file = open(backend, '/file', { write: true, append: true });
      file.write(0, [Buffer.from('two')]);
      file.close();
      assert.equal(read(backend, '/file'), 'one two');
    });

    test('refuses reads and writes that open did not ask for', (t) => {
      const backend = create(t);
      write(backend, '/file', 'content');
      const reader = open(backend, '/file', { read: true });
      assertCode('EBADF', () => reader.write(0, [Buffer.from('x')]));
      reader.close();
      const writer = open(backend, '/file', { write: true });
      assertCode('EBADF', () => writer.read(0, 1));
      writer.close();
    });

    test('opens a directory for reading alone, and reads nothing from it', (t) => {
      const backend = create(t);
      backend.makeDirectory(bytes('/d'), undefined);
      for (const path of ['/d', '/']) {
        const directory = open(backend, path, { read: true });
        assertCode('EISDIR', () => directory.read(0, 1));
        assert.equal((directory.stat().mode ?? 0) & 0o170000, 0o040000);
        directory.close();
        assertCode('EISDIR', () => open(backend, path, { write: true }));
      }
    });

    test('tells type, permissions, size and times', (t) => {
      const backend = create(t);
      write(backend, '/file', 'content');
      backend.makeDirectory(bytes('/d'), 0o700);
      backend.symlink(bytes('file'), bytes('/link'));
      backend.setstat(bytes('/file'), { mode: 0o640, atime: 1_000_000_000, mtime: 4_000_000_000 });
      const file = backend.stat(bytes('/file'));
      assert.deepEqual(
        { size: file.size, mode: file.mode, atime: file.atime, mtime: file.mtime },
        { size: 7, mode: 0o100640, atime: 1_000_000_000, mtime: 4_000_000_000 },
      );
      assert.equal(backend.stat(bytes('/d')).mode, 0o040700);
      assert.equal((backend.lstat(bytes('/link')).mode ?? 0) & S_IFMT, 0o120000);
      assert.equal(backend.lstat(bytes('/link')).size, 4);
      assert.deepEqual(backend.stat(bytes('/link')), file);
    });

    test('changes size, mode and times by path and by handle', (t) => {
      const backend = create(t);
      write(backend, '/file', 'content');
      backend.setstat(bytes('/file'), { size: 3 });
      assert.equal(read(backend, '/file'), 'con');
      const file = open(backend, '/file', { write: true });
      file.setstat({ size: 5, mode: 0o600, atime: 5, mtime: 6 });
      assert.deepEqual([file.stat().size, file.stat().mode, file.stat().mtime], [5, 0o100600, 6]);
      file.close();
      assert.equal(read(backend, '/file'), 'con\0\0');
      backend.makeDirectory(bytes('/d'), undefined);
      assertCode('EISDIR', () => backend.setstat(bytes('/d'), { size: 0 }));
      assertCode('ENOENT', () => backend.setstat(bytes('/missing'), { mode: 0o600 }));
    });

    test('changes a link itself with lsetstat', (t) => {
      const backend = create(t);
      write(backend, '/file', 'content');
      backend.symlink(bytes('file'), bytes('/link'));
      backend.lsetstat(bytes('/link'), { atime: 5, mtime: 6 });
      assert.equal(backend.lstat(bytes('/link')).mtime, 6);
      assert.notEqual(backend.stat(bytes('/file')).mtime, 6);
      assertCode('EOPNOTSUPP', () => backend.lsetstat(bytes('/link'), { mode: 0o600 }));
      assertCode('EINVAL', () => backend.lsetstat(bytes('/link'), { size: 0 }));
      backend.lsetstat(bytes('/file'), { mode: 0o600 });
      assert.equal(backend.stat(bytes('/file')).mode, 0o100600);
    });

    test('lists names with their attributes, dot and dot-dot included, in batches', (t) => {
      const backend = create(t);
      backend.makeDirectory(bytes('/d'), undefined);
      for (let index = 0; index < 7; index += 1) write(backend, `/d/${index}`, 'x'.repeat(index));
      const directory = backend.openDirectory(bytes('/d'));
      const batches = [directory.read(4), directory.read(4), directory.read(4), directory.read(4)];
      assert.deepEqual(
        batches.map((batch) => batch.length),
        [4, 4, 1, 0],
      );
      const entries = new Map(batches.flat().map((entry) => [entry.name.toString(), entry.attributes.size]));
      assert.deepEqual([...entries.keys()].sort(), ['.', '..', '0', '1', '2', '3', '4', '5', '6']);
      assert.equal(entries.get('6'), 6);
      assertCode('ENOTDIR', () => backend.openDirectory(bytes('/d/1')));
      assertCode('ENOENT', () => backend.openDirectory(bytes('/missing')));
    });

    test('makes and removes directories', (t) => {
      const backend = create(t);
      backend.makeDirectory(bytes('/d'), undefined);
      backend.makeDirectory(bytes('/d/e/'), undefined);
      assertCode('EEXIST', () => backend.makeDirectory(bytes('/d'), undefined));
      assertCode('EEXIST', () => backend.makeDirectory(bytes('/'), undefined));
      assertCode('ENOENT', () => backend.makeDirectory(bytes('/missing/e'), undefined));
      assertCode('ENOTEMPTY', () => backend.removeDirectory(bytes('/d')));
      assertCode('EISDIR', () => backend.remove(bytes('/d')));
      backend.removeDirectory(bytes('/d/e'));
      backend.removeDirectory(bytes('/d'));
      assertCode('ENOENT', () => backend.stat(bytes('/d')));
    });

    test('removes files and links, and not what links point to', (t) => {
      const backend = create(t);
      write(backend, '/file', 'content');
      backend.symlink(bytes('file'), bytes('/link'));
      backend.remove(bytes('/link'));
      assert.equal(read(backend, '/file'), 'content');
      backend.remove(bytes('/file'));
      assertCode('ENOENT', () => backend.remove(bytes('/file')));
      write(backend, '/file', 'content');
      assertCode('ENOTDIR', () => backend.removeDirectory(bytes('/file')));
      assertCode('ENOTDIR', () => backend.stat(bytes('/file/x')));
      assertCode('ENOTDIR', () => backend.stat(bytes('/file/')));
    });

    test('a removed file can still be read through its handle', (t) => {
      const backend = create(t);
      write(backend, '/file', 'content');
      const file = open(backend, '/file', { read: true });
      backend.remove(bytes('/file'));
      assert.equal(file.read(0, 100).toString(), 'content');
      file.close();
    });

    test('rename fails where the new name exists, replace overwrites', (t) => {
      const backend = create(t);
      write(backend, '/a', 'a');
      write(backend, '/b', 'b');
      assertCode('EEXIST', () => backend.rename(bytes('/a'), bytes('/b')));
      assertCode('EEXIST', () => backend.rename(bytes('/a'), bytes('/a')));
      assertCode('ENOENT', () => backend.rename(bytes('/missing'), bytes('/c')));
      backend.replace(bytes('/a'), bytes('/b'));
      assert.equal(read(backend, '/b'), 'a');
      assertCode('ENOENT', () => backend.stat(bytes('/a')));
      backend.rename(bytes('/b'), bytes('/c'));
      assert.equal(read(backend, '/c'), 'a');
    });

    test('moves directories with their content, and not into themselves', (t) => {
      const backend = create(t);
      backend.makeDirectory(bytes('/d'), undefined);
      backend.makeDirectory(bytes('/e'), undefined);
      write(backend, '/d/file', 'content');
      assertCode('EINVAL', () => backend.replace(bytes('/d'), bytes('/d/inside')));
      backend.replace(bytes('/d'), bytes('/e'));
      assert.equal(read(backend, '/e/file'), 'content');
      backend.makeDirectory(bytes('/d'), undefined);
      assertCode('ENOTEMPTY', () => backend.replace(bytes('/d'), bytes('/e')));
      assertCode('ENOTDIR', () => backend.replace(bytes('/d'), bytes('/e/file')));
      assertCode('EISDIR', () => backend.replace(bytes('/e/file'), bytes('/d')));
    });

    test('hard links share their content', (t) => {
      const backend = create(t);
      write(backend, '/a', 'content');
      backend.link(bytes('/a'), bytes('/b'));
      assertCode('EEXIST', () => backend.link(bytes('/a'), bytes('/b')));
      backend.remove(bytes('/a'));
      assert.equal(read(backend, '/b'), 'content');
      backend.makeDirectory(bytes('/d'), undefined);
      assertCode('EPERM', () => backend.link(bytes('/d'), bytes('/e')));
    });

    test('follows links, absolute ones from the root, and ends loops', (t) => {
      const backend = create(t);
      backend.makeDirectory(bytes('/d'), undefined);
      write(backend, '/d/file', 'content');
      backend.symlink(bytes('/d/file'), bytes('/absolute'));
      backend.symlink(bytes('../d/./file'), bytes('/d/relative'));
      backend.symlink(bytes('d'), bytes('/directory'));
      backend.symlink(bytes('loop'), bytes('/loop'));
      assert.equal(read(backend, '/absolute'), 'content');
      assert.equal(read(backend, '/directory/relative'), 'content');
      assert.equal(backend.readlink(bytes('/absolute')).toString(), '/d/file');
      assertCode('EINVAL', () => backend.readlink(bytes('/d/file')));
      assertCode('EEXIST', () => backend.symlink(bytes('x'), bytes('/loop')));
      assertCode('ELOOP', () => backend.stat(bytes('/loop')));
      assertCode('ELOOP', () => backend.stat(bytes('/loop/x')));
    });

    test('creates through a dangling link, but not exclusively', (t) => {
      const backend = create(t);
      backend.symlink(bytes('target'), bytes('/link'));
      assertCode('EEXIST', () => open(backend, '/link', { write: true, create: true, exclusive: true }));
      write(backend, '/link', 'content');
      assert.equal(read(backend, '/target'), 'content');
    });

    test('realpath resolves links and dots, and lets the last name be missing', (t) => {
      const backend = create(t);
      backend.makeDirectory(bytes('/d'), undefined);
      backend.symlink(bytes('d'), bytes('/link'));
      const realpath = (path: string) => backend.realpath(bytes(path)).toString();
      assert.equal(realpath('/'), '/');
      assert.equal(realpath('//link/.'), '/d');
      assert.equal(realpath('/link/missing'), '/d/missing');
      assert.equal(realpath('/link/../..'), '/');
      assertCode('ENOENT', () => realpath('/missing/file'));
    });

    test('the parent of the root is the root', (t) => {
      const backend = create(t);
      write(backend, '/file', 'content');
      assert.equal(read(backend, '/../../../file'), 'content');
      assertCode('EBUSY', () => backend.removeDirectory(bytes('/')));
      assertCode('EBUSY', () => backend.removeDirectory(bytes('/..')));
      assertCode('EBUSY', () => backend.rename(bytes('/'), bytes('/x')));
    });

    test('refuses NUL, empty and oversize paths', (t) => {
      const backend = create(t);
      assertCode('EINVAL', () => backend.stat(bytes('/a\0b')));
      assertCode('EINVAL', () => backend.symlink(bytes('a\0b'), bytes('/link')));
      assertCode('ENOENT', () => backend.stat(bytes('')));
      assertCode('ENAMETOOLONG', () => backend.makeDirectory(bytes(`/${'n'.repeat(256)}`), undefined));
      assertCode('ENAMETOOLONG', () => backend.stat(bytes('/n'.repeat(3000))));
      backend.makeDirectory(bytes(`/${'n'.repeat(255)}`), undefined);
    });

    test('names that are not UTF-8 keep their bytes', { skip: process.platform !== 'linux' }, (t) => {
      const backend = create(t);
      // Both would decode to the same text.
      const names = [Buffer.from([0xff, 0x61]), Buffer.from([0xfe, 0x61])];
      for (const [index, name] of names.entries()) {
        const path = Buffer.concat([bytes('/'), name]);
        const file = backend.open(path, { ...flags, write: true, create: true });
        file.write(0, [Buffer.from(`content ${index}`)]);
        file.close();
        backend.symlink(name, Buffer.concat([bytes('/link-'), name]));
      }
      const entries = backend.openDirectory(bytes('/')).read(100);
      const listed = entries.map((entry) => entry.name.toString('latin1')).sort();
      assert.deepEqual(listed, ['.', '..', 'link-\xfea', 'link-\xffa', '\xfea', '\xffa']);
      const link = Buffer.concat([bytes('/link-'), Buffer.from([0xfe, 0x61])]);
      assert.deepEqual(backend.readlink(link), names[1]);
      const file = backend.open(link, { ...flags, read: true });
      assert.equal(file.read(0, 100).toString(), 'content 1');
      file.close();
    });

    test('tells the figures of its file system', (t) => {
      const backend = create(t);
      const { blockSize, blocks, availableBlocks, maxNameLength } = backend.statvfs(bytes('/'));
      assert.ok(blockSize > 0n && blocks >= availableBlocks && maxNameLength === 255n);
    });

    test('syncs, and a file that is closed meanwhile is closed afterwards', async (t) => {
      const backend = create(t);
      const file = open(backend, '/file', { write: true, create: true });
      const synced = file.sync();
      file.close();
      await synced;
    });
  });
}

describe('the memory backend alone', () => {
  test('permissions count as for the owner', () => {
    const files = {
      secret: { content: 'x', mode: 0 },
      'closed/file': 'x',
      'closed/': { mode: 0o600 },
      'readonly/file': 'x',
      'readonly/': { mode: 0o500 },
    };
    const backend = createMemoryBackend(files, 2 ** 20);
    assertCode('EACCES', () => open(backend, '/secret', { read: true }));
    assertCode('EACCES', () => open(backend, '/secret', { write: true }));
    assertCode('EACCES', () => backend.stat(bytes('/closed/file')));
    assertCode('EACCES', () => backend.remove(bytes('/readonly/file')));
    assertCode('EACCES', () => write(backend, '/readonly/new', 'x'));
    assert.equal(read(backend, '/readonly/file'), 'x');
  });

  test('a full tree says so, and has room again after a removal', () => {
    const backend = createMemoryBackend({ file: Buffer.alloc(900_000) }, 1_000_000);
    assertCode('ENOSPC', () => write(backend, '/other', 'x'.repeat(200_000)));
    backend.remove(bytes('/other'));
    backend.remove(bytes('/file'));
    write(backend, '/other', 'x'.repeat(900_000));
    assert.equal(backend.stat(bytes('/other')).size, 900_000);
  });

  test('holes cost nothing, however large', () => {
    const backend = createMemoryBackend({}, 2 ** 20);
    const file = open(backend, '/file', { read: true, write: true, create: true });
    file.write(2 ** 52, [Buffer.from('end')]);
    assert.equal(file.stat().size, 2 ** 52 + 3);
    assert.deepEqual(file.read(2 ** 52 - 1, 10), Buffer.from('\0end'));
    file.setstat({ size: 1 });
    file.setstat({ size: 2 ** 40 });
    assert.deepEqual(file.read(0, 3), Buffer.from('\0\0\0'));
    assertCode('EFBIG', () => file.write(Number.MAX_SAFE_INTEGER, [Buffer.from('x')]));
    file.close();
  });

  test('initial files may have bytes as names', () => {
    const name = Buffer.from([0xe4, 0x2e, 0x74]);
    const backend = createMemoryBackend(new Map([[name, 'content']]), 2 ** 20);
    const entries = backend.openDirectory(bytes('/')).read(10);
    assert.ok(entries.some((entry) => entry.name.equals(name)));
  });
});

const flags: BackendOpenOptions = {
  read: false,
  write: false,
  append: false,
  create: false,
  truncate: false,
  exclusive: false,
  mode: undefined,
};

function open(backend: Backend, path: string, options: Partial<BackendOpenOptions>): BackendFile {
  return backend.open(bytes(path), { ...flags, ...options });
}

function write(backend: Backend, path: string, content: string): void {
  const file = open(backend, path, { write: true, create: true, truncate: true });
  try {
    file.write(0, [Buffer.from(content)]);
  } finally {
    file.close();
  }
}

function read(backend: Backend, path: string): string {
  const file = open(backend, path, { read: true });
  const content = file.read(0, 100_000).toString();
  file.close();
  return content;
}

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

function assertCode(code: string, action: () => unknown): void {
  assert.throws(action, (error: unknown) => {
    assert.equal((error as { code?: unknown }).code, code, String(error));
    return true;
  });
}
