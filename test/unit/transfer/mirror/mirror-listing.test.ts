import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { test } from 'node:test';
import { pathKey } from '../../../../src/shared/remote-path.js';
import { Lister } from '../../../../src/transfer/mirror/mirror-listing.js';
import { FakeFileSystem } from '../../../support/fake-file-system.js';

test('what directories take counts their whole paths, which are long far down', async () => {
  const fileSystem = new FakeFileSystem();
  const deep = `a${'/a'.repeat(49)}`;
  for (let at = 1; at <= deep.length; at += 2) fileSystem.addDirectory(`/${deep.slice(0, at)}`);
  for (let index = 0; index < 10; index += 1) fileSystem.addDirectory(`/${deep}/d${index}`);
  for (let index = 0; index < 10; index += 1) fileSystem.addDirectory(`/b/d${index}`);
  const source = { fileSystem, path: Buffer.from('/') };
  const target = { fileSystem: new FakeFileSystem(), path: Buffer.from('/') };
  const lister = new Lister(source, target, { symlinks: 'skip', withExtras: false, hasTarget: false });
  const charged = async (path: string) => {
    let sum = 0;
    const charge = (bytes: number) => {
      sum += bytes;
    };
    const key = pathKey(Buffer.from(path));
    const branch = { key, depth: 1, onSource: true, onTarget: false, ancestors: undefined };
    await lister.list(branch, { charge, close: () => {} });
    return sum;
  };
  assert.equal((await charged(deep)) - (await charged('b')), 10 * (deep.length - 1));
});
