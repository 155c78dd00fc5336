/** ssh2-sftp-client's uploadDir and downloadDir, against OpenSSH. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type Client from '../../../src/ssh2-sftp-client/index.js';
import type { TransferEvent } from '../../../src/ssh2-sftp-client/index.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { failureOf, startWorld, type World } from './world.js';

const TREE = ['link', 'one.txt', 'sub', 'sub/empty', 'sub/three.log', 'sub/two.txt'];

describe('ssh2-sftp-client, trees', { skip: needsOpenSsh }, () => {
  let world: World;
  let client: Client;
  let number = 0;
  let here: string;
  let there: string;

  before(async () => {
    world = await startWorld();
    client = await world.connect();
  });
  after(() => world[Symbol.asyncDispose]());
  beforeEach(() => {
    number += 1;
    here = join(world.here, String(number));
    there = join(world.there, String(number));
    mkdirSync(here);
    mkdirSync(there);
  });

  function makeTree(root: string): string {
    mkdirSync(join(root, 'sub', 'empty'), { recursive: true });
    writeFileSync(join(root, 'one.txt'), '1');
    writeFileSync(join(root, 'sub', 'two.txt'), '22');
    writeFileSync(join(root, 'sub', 'three.log'), '333');
    symlinkSync('one.txt', join(root, 'link'));
    return root;
  }

  function entriesOf(root: string): readonly string[] {
    return readdirSync(root, { recursive: true }).map(String).sort();
  }

  async function heard(
    event: 'upload' | 'download',
    call: () => Promise<unknown>,
  ): Promise<readonly string[]> {
    const files: string[] = [];
    const note = ({ source, destination }: TransferEvent) => files.push(`${source} -> ${destination}`);
    client.on(event, note);
    await call();
    client.removeListener(event, note);
    await call();
    return files.sort();
  }

  for (const useFastput of [false, true]) {
    test(`uploadDir uploads everything, links as what they lead to, and tells of each file (useFastput: ${useFastput})`, async () => {
      const source = makeTree(join(here, 'src'));
      const target = join(there, 'new', 'dst');
      const files = await heard('upload', async () => {
        assert.equal(
          await client.uploadDir(source, target, { useFastput }),
          `${source} uploaded to ${target}`,
        );
      });
      assert.deepEqual(entriesOf(target), TREE);
      assert.equal(readFileSync(join(target, 'link'), 'utf8'), '1');
      const names = TREE.filter((name) => /link|\./.test(name));
      assert.deepEqual(files, names.map((name) => `${join(source, name)} -> ${join(target, name)}`).sort());
    });
  }

  for (const useFastget of [false, true]) {
    test(`downloadDir downloads everything and tells of each file (useFastget: ${useFastget})`, async () => {
      const source = makeTree(join(there, 'src'));
      const target = join(here, 'new', 'dst');
      const files = await heard('download', async () => {
        assert.equal(
          await client.downloadDir(source, target, { useFastget }),
          `${source} downloaded to ${target}`,
        );
      });
      assert.deepEqual(entriesOf(target), TREE);
      const names = TREE.filter((name) => /link|\./.test(name));
      assert.deepEqual(files, names.map((name) => `${join(source, name)} -> ${join(target, name)}`).sort());
    });
  }

  test('a filter sees every whole path, and whether it is a directory; anything true keeps an entry', async () => {
    const seen: string[] = [];
    const filter = (path: string, isDirectory: boolean) => {
      seen.push(`${path} ${isDirectory}`);
      return (isDirectory || /txt$/.test(path) ? 'yes' : 0) as unknown as boolean;
    };
    const source = makeTree(join(here, 'src'));
    await client.uploadDir(source, join(there, 'up'), { filter });
    const kept = ['one.txt', 'sub', 'sub/empty', 'sub/two.txt'];
    assert.deepEqual(entriesOf(join(there, 'up')), kept);
    const inTree = (root: string) =>
      TREE.map((name) => `${join(root, name)} ${/sub$|empty$/.test(name)}`).sort();
    assert.deepEqual(seen.splice(0).sort(), inTree(source));
    const remote = makeTree(join(there, 'src'));
    await client.downloadDir(remote, join(here, 'down'), { filter });
    assert.deepEqual(entriesOf(join(here, 'down')), kept);
    assert.deepEqual(seen.sort(), inTree(remote));
  });

  test('a directory that the filter leaves out is left out with all that is in it', async () => {
    await client.uploadDir(makeTree(join(here, 'src')), join(there, 'up'), {
      filter: (_path, isDirectory) => !isDirectory,
    });
    assert.deepEqual(entriesOf(join(there, 'up')), ['link', 'one.txt']);
  });

  test('null stands for no options and no filter, and anything but a function is refused', async () => {
    const source = makeTree(join(here, 'src'));
    for (const options of [null, { filter: null }]) {
      await client.uploadDir(source, join(there, 'up'), options as never);
      await client.downloadDir(join(there, 'up'), join(here, 'down'), options as never);
    }
    assert.deepEqual(entriesOf(join(here, 'down')), TREE);
    const wrong = { filter: /txt$/ } as never;
    for (const method of ['uploadDir', 'downloadDir'] as const) {
      assert.deepEqual(await failureOf(client[method](source, join(there, 'none'), wrong)), [
        `${method}: options.filter is not a function`,
        'ERR_GENERIC_CLIENT',
      ]);
    }
    assert.deepEqual(entriesOf(there), ['up', ...TREE.map((name) => `up/${name}`)]);
  });

  test('what the filter throws fails the call', async () => {
    const source = makeTree(join(here, 'src'));
    const filter = () => {
      throw new Error('my own');
    };
    assert.deepEqual(await failureOf(client.uploadDir(source, there, { filter })), [
      `uploadFiles: my own ${source} to ${there}`,
      'ERR_GENERIC_CLIENT',
    ]);
  });

  test('files that exist are overwritten, and others stay', async () => {
    const source = makeTree(join(here, 'src'));
    for (const name of ['one.txt', 'other.txt']) {
      writeFileSync(join(there, name), 'old');
    }
    await client.uploadDir(source, there);
    assert.equal(readFileSync(join(there, 'one.txt'), 'utf8'), '1');
    assert.equal(readFileSync(join(there, 'other.txt'), 'utf8'), 'old');
    writeFileSync(join(here, 'src', 'one.txt'), 'changed');
    await client.downloadDir(there, source);
    assert.equal(readFileSync(join(source, 'one.txt'), 'utf8'), '1');
  });

  test('uploadDir tells what it cannot do', async () => {
    const source = makeTree(join(here, 'src'));
    const [file, none] = [join(source, 'one.txt'), join(here, 'none')];
    writeFileSync(join(there, 'file'), 'x');
    assert.deepEqual(await failureOf(client.uploadDir(none, there)), [
      `getLocalStatus: Bad path: ${none} not exist`,
      'ERR_BAD_PATH',
    ]);
    assert.deepEqual(await failureOf(client.uploadDir(file, there)), [
      `getLocalStatus: Bad path: ${file}: not a directory`,
      'ERR_BAD_PATH',
    ]);
    assert.deepEqual(await failureOf(client.uploadDir(source, join(there, 'file'))), [
      `getRemoteStatus: Bad path ${join(there, 'file')} Not a directory`,
      'ERR_BAD_PATH',
    ]);
    for (const below of [
      ['file', 'x'],
      ['file', 'x', 'y'],
    ]) {
      assert.deepEqual(await failureOf(client.uploadDir(source, join(there, ...below))), [
        `_mkdir: Bad path: ${join(there, 'file')} not a directory`,
        'ERR_BAD_PATH',
      ]);
    }
    mkdirSync(join(there, 'conflict', 'one.txt'), { recursive: true });
    const conflict = join(there, 'conflict');
    assert.deepEqual(await failureOf(client.uploadDir(source, conflict)), [
      `uploadFiles: Failure ${source} to ${conflict}`,
      4,
    ]);
  });

  test('downloadDir tells what it cannot do, and makes nothing then', async () => {
    const source = makeTree(join(there, 'src'));
    for (const missing of [join(there, 'none'), join(source, 'one.txt')]) {
      assert.deepEqual(await failureOf(client.downloadDir(missing, join(here, 'x'))), [
        `list: No such file ${missing}`,
        2,
      ]);
    }
    assert.deepEqual(entriesOf(here), []);
    writeFileSync(join(here, 'file'), 'x');
    assert.deepEqual(await failureOf(client.downloadDir(source, join(here, 'file'))), [
      `_prepareDestination: Bad path: ${join(here, 'file')}: not a directory`,
      'ERR_BAD_PATH',
    ]);
  });

  test('a link that leads nowhere fails the call, after the rest has been copied', async () => {
    for (const [root, call, expected] of [
      [here, () => client.uploadDir(join(here, 'src'), join(there, 'dst')), 'ENOENT'],
      [there, () => client.downloadDir(join(there, 'src'), join(here, 'dst')), 2],
    ] as const) {
      const source = makeTree(join(root, 'src'));
      symlinkSync('nothing', join(source, 'dangling'));
      const [message, code] = await failureOf(call());
      assert.equal(code, expected);
      assert.match(message, /^(?:up|down)loadFiles: .*[Nn]o such file/);
      const target = join(root === here ? there : here, 'dst');
      assert.deepEqual(entriesOf(target), TREE);
      rmSync(source, { recursive: true });
    }
  });

  test('promiseLimit bounds how many files are under way', async () => {
    const limited = await world.connect({ promiseLimit: 2 });
    assert.equal(limited.promiseLimit, 2);
    await limited.uploadDir(makeTree(join(here, 'src')), join(there, 'dst'));
    assert.deepEqual(entriesOf(join(there, 'dst')), TREE);
  });

  test('promiseLimit may be set later, and connecting anew forgets it', async () => {
    const limited = await world.connect();
    assert.equal(limited.promiseLimit, 10);
    limited.promiseLimit = 0;
    const source = makeTree(join(here, 'src'));
    assert.match((await failureOf(limited.uploadDir(source, join(there, 'dst'))))[0], /concurrency/);
    limited.promiseLimit = 3;
    await limited.uploadDir(source, join(there, 'dst'));
    await limited.end();
    await limited.connect(world.options);
    assert.equal(limited.promiseLimit, 10);
  });
});
