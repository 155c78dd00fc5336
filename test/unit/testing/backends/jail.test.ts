import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Backend } from '../../../../src/testing/backends/backend.js';
import { openDirectoryBackend } from '../../../../src/testing/backends/directory.js';

interface Jail {
  readonly backend: Backend;
  readonly root: string;
  readonly outside: string;
}

/** A root with a neighbour that holds a secret, and links of every kind towards it. */
function createJail(t: TestContext): Jail {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-jail-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, 'root');
  const outside = join(folder, 'outside');
  mkdirSync(join(root, 'sub'), { recursive: true });
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret');
  symlinkSync(outside, join(root, 'absolute'));
  symlinkSync('../outside', join(root, 'relative'));
  symlinkSync('../../outside', join(root, 'sub', 'up'));
  symlinkSync(join(outside, 'secret'), join(root, 'file'));
  symlinkSync('absolute', join(root, 'twice'));
  return { backend: openDirectoryBackend(root), root, outside };
}

const escapes = [
  '/../outside/secret',
  '/../../../../../../etc/passwd',
  '/sub/../../outside/secret',
  '/absolute/secret',
  '/relative/secret',
  '/sub/up/secret',
  '/file',
  '/twice/secret',
  '/./absolute/../absolute/secret',
];

const options = {
  read: true,
  write: true,
  append: false,
  create: true,
  truncate: true,
  exclusive: false,
  mode: 0o600,
};

describe('nothing leaves the root of a directory', () => {
  for (const path of escapes) {
    test(`by ${path}`, (t) => {
      const { backend, root, outside } = createJail(t);
      const bytes = Buffer.from(path);
      const attempts: (() => unknown)[] = [
        () => backend.stat(bytes),
        () => backend.open(bytes, options).close(),
        () => backend.openDirectory(bytes),
        () => backend.setstat(bytes, { size: 0, mode: 0 }),
        () => backend.makeDirectory(Buffer.concat([bytes, Buffer.from('-new')]), undefined),
        () => backend.link(bytes, Buffer.from('/linked')),
        () => backend.symlink(Buffer.from('x'), Buffer.concat([bytes, Buffer.from('-link')])),
        () => backend.replace(Buffer.from('/sub'), Buffer.concat([bytes, Buffer.from('-moved')])),
        () => backend.removeDirectory(Buffer.from(path.slice(0, path.lastIndexOf('/')))),
        () => backend.remove(bytes),
      ];
      for (const attempt of attempts) ignoreFailure(attempt);
      assert.deepEqual(readdirSync(outside), ['secret']);
      assert.equal(readFileSync(join(outside, 'secret'), 'utf8'), 'secret');
      if (existsSync(join(root, 'linked'))) {
        assert.throws(() => backend.readlink(Buffer.from('/linked/x')));
        assert.throws(() => backend.stat(Buffer.from('/linked')));
      }
    });
  }

  test('by a link that a client makes and then follows', (t) => {
    const { backend, outside } = createJail(t);
    backend.symlink(Buffer.from(outside), Buffer.from('/made'));
    assert.throws(() => backend.stat(Buffer.from('/made/secret')), { code: 'ENOENT' });
    assert.throws(() => backend.openDirectory(Buffer.from('/made')), { code: 'ENOENT' });
  });

  test('by renaming a link over a directory on the way', (t) => {
    const { backend, outside } = createJail(t);
    backend.makeDirectory(Buffer.from('/way'), undefined);
    backend.removeDirectory(Buffer.from('/way'));
    backend.rename(Buffer.from('/absolute'), Buffer.from('/way'));
    assert.throws(() => backend.open(Buffer.from('/way/new'), options), { code: 'ENOENT' });
    assert.deepEqual(readdirSync(outside), ['secret']);
  });

  test('by the attributes of the parent directory', (t) => {
    const { backend, root } = createJail(t);
    const parent = backend.openDirectory(Buffer.from('/')).read(2)[1];
    assert.equal(parent?.name.toString(), '..');
    assert.deepEqual(parent?.attributes, backend.stat(Buffer.from('/')));
    assert.ok(existsSync(root));
  });
});

function ignoreFailure(action: () => unknown): void {
  try {
    action();
  } catch {
    // What counts is what is left outside.
  }
}
