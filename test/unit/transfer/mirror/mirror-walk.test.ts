import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { Window } from '../../../../src/transfer/engine/window.js';
import { walkBoth } from '../../../../src/transfer/mirror/mirror.js';
import { FakeFileSystem } from '../../../support/fake-file-system.js';

test('the steps of a large directory come several at once, as a million single ones pile up as garbage', async () => {
  const [source, target] = [new FakeFileSystem(), new FakeFileSystem()];
  for (let index = 0; index < 1000; index += 1) source.addFile(`/${1000 + index}`, '');
  source.addDirectory('/1500 d').addFile('/1500 d/f', '');
  const makeWalk = () =>
    walkBoth(
      { fileSystem: source, path: Buffer.from('/') },
      { fileSystem: target, path: Buffer.from('/') },
      {
        ...{ symlinks: 'copy', hasTarget: true, delete: true, dryRun: true, preserveMtime: true },
        compare: 'size-mtime',
        line: { window: new Window({ max: 16 }) },
      },
    );
  const batches: number[] = [];
  const paths: string[] = [];
  for await (const steps of makeWalk().batches()) {
    batches.push(steps.length);
    paths.push(...steps.map(({ path }) => path));
  }
  assert.deepEqual(batches, [256, 246, 1, 256, 243]);
  assert.deepEqual([paths.length, paths[501], paths[502]], [1002, '1500 d', '1500 d/f']);
  const single: string[] = [];
  for await (const { path } of makeWalk().steps()) single.push(path);
  assert.deepEqual(single, paths);
});
