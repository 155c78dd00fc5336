import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { cd } from '../../src/index.js';
import { describeContract, plant, TREE } from './world.js';

const OLD = 1_000_000_000;

/** Paths below a folder, sorted. */
function filesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true }).map(String).sort();
}

describeContract('get', ({ open, test }) => {
  test('copies a remote file to the local path', async (t) => {
    const { sftp, local } = await open(t);
    assert.equal(await sftp.get('readme.txt', join(local, 'x')), undefined);
    assert.equal(readFileSync(join(local, 'x'), 'utf8'), TREE['readme.txt']);
  });

  test('without a local path copies to the local current directory', async (t) => {
    const { sftp, local } = await open(t);
    await cd(local, () => sftp.get('pub/make.txt'));
    assert.deepEqual(filesIn(local), ['make.txt']);
  });

  test('calls back with the bytes so far and the total, also for an empty file', async (t) => {
    const { sftp, local, folder } = await open(t);
    writeFileSync(join(folder, 'empty'), '');
    for (const [name, size] of [
      ['readme.txt', 8192],
      ['empty', 0],
    ] as const) {
      const seen: (readonly number[])[] = [];
      await sftp.get(name, join(local, 'x'), {
        callback: (transferred, total) => seen.push([transferred, total]),
      });
      assert.deepEqual(seen.at(-1), [size, size]);
    }
  });

  test('preserve_mtime makes the modification times match', async (t) => {
    const { sftp, local, folder } = await open(t);
    utimesSync(join(folder, 'readme.txt'), OLD, OLD);
    await sftp.get('readme.txt', join(local, 'x'), { preserveMtime: true });
    assert.equal(statSync(join(local, 'x')).mtimeMs, OLD * 1000);
  });

  test('rejects for what is not there, and leaves the local file as it was', async (t) => {
    const { sftp, local } = await open(t);
    writeFileSync(join(local, 'x'), 'old');
    await assert.rejects(sftp.get('nowhere', join(local, 'x')), { code: 'ENOENT' });
    assert.equal(readFileSync(join(local, 'x'), 'utf8'), 'old');
    assert.deepEqual(filesIn(local), ['x']);
  });
});

describeContract('get_d', ({ open, test }) => {
  test('copies the files of a directory, without its sub-directories', async (t) => {
    const { sftp, local } = await open(t);
    const report = await sftp.getD('pub', local);
    assert.deepEqual(filesIn(local), ['make.txt']);
    assert.equal(report.files, 1);
  });

  test('makes the local directory, follows links to files, keeps the times if asked', async (t) => {
    const { sftp, local, folder } = await open(t);
    utimesSync(join(folder, 'readme.txt'), OLD, OLD);
    await sftp.getD('.', join(local, 'new', 'deep'), { preserveMtime: true });
    assert.deepEqual(filesIn(join(local, 'new/deep')), ['readme.sym', 'readme.txt']);
    assert.ok(statSync(join(local, 'new/deep/readme.sym')).isFile());
    assert.equal(statSync(join(local, 'new/deep/readme.txt')).mtimeMs, OLD * 1000);
  });

  test('rejects for a directory that is not there, and makes nothing', async (t) => {
    const { sftp, local } = await open(t);
    await assert.rejects(sftp.getD('nowhere', join(local, 'x')), { code: 'ENOENT' });
    await assert.rejects(sftp.getD('readme.txt', join(local, 'x')), { code: 'ENOTDIR' });
    assert.deepEqual(filesIn(local), []);
  });
});

describeContract('get_r', ({ open, test }) => {
  const PUB = Object.keys(TREE).filter((name) => name.startsWith('pub/'));

  test('copies directories and files, the remote path kept below the local one, and again', async (t) => {
    const { sftp, local, folder } = await open(t);
    mkdirSync(join(folder, 'pub/empty'));
    await sftp.getR('pub', local);
    await sftp.getR('pub', local);
    for (const name of PUB) assert.equal(readFileSync(join(local, name), 'utf8'), TREE[name]);
    assert.ok(statSync(join(local, 'pub/empty')).isDirectory());
  });

  test("of '.' writes the content right into the local directory", async (t) => {
    const { sftp, local } = await open(t);
    await sftp.getR('.', local);
    assert.equal(readFileSync(join(local, 'readme.txt'), 'utf8'), TREE['readme.txt']);
  });

  test('of an absolute path keeps it without its leading /', async (t) => {
    const { sftp, local, home } = await open(t);
    await sftp.getR(`${home}/pub/foo1`, local);
    assert.equal(readFileSync(join(local, home, 'pub/foo1/foo1.txt'), 'utf8'), TREE['pub/foo1/foo1.txt']);
  });

  test('rejects for a directory that is not there', async (t) => {
    const { sftp, local } = await open(t);
    await assert.rejects(sftp.getR('nowhere', local), { code: 'ENOENT' });
  });
});

describeContract('put', ({ open, test }) => {
  test('copies a local file to the remote path and gives its attributes', async (t) => {
    const { sftp, local, folder } = await open(t);
    writeFileSync(join(local, 'x'), 'content');
    const attributes = await sftp.put(join(local, 'x'), 'pub/y');
    assert.equal(attributes.size, 7);
    assert.equal(readFileSync(join(folder, 'pub/y'), 'utf8'), 'content');
  });

  test('without a remote path uses the remote current directory and the filename', async (t) => {
    const { sftp, local, folder } = await open(t);
    writeFileSync(join(local, 'x'), 'content');
    await sftp.cd('pub', () => sftp.put(join(local, 'x')));
    assert.equal(readFileSync(join(folder, 'pub/x'), 'utf8'), 'content');
  });

  test('calls back with the bytes so far and the total', async (t) => {
    const { sftp, local } = await open(t);
    writeFileSync(join(local, 'x'), 'content');
    const seen: (readonly number[])[] = [];
    await sftp.put(join(local, 'x'), 'x', {
      callback: (transferred, total) => seen.push([transferred, total]),
    });
    assert.deepEqual(seen.at(-1), [7, 7]);
  });

  test('with confirm=False gives empty attributes', async (t) => {
    const { sftp, local } = await open(t);
    writeFileSync(join(local, 'x'), 'content');
    assert.equal((await sftp.put(join(local, 'x'), 'x', { confirm: false })).size, undefined);
  });

  test('preserve_mtime makes the modification times match', async (t) => {
    const { sftp, local, folder } = await open(t);
    writeFileSync(join(local, 'x'), 'content');
    utimesSync(join(local, 'x'), OLD, OLD);
    const attributes = await sftp.put(join(local, 'x'), 'x', { preserveMtime: true });
    assert.equal(attributes.mtime, OLD);
    assert.equal(statSync(join(folder, 'x')).mtimeMs, OLD * 1000);
  });

  test("rejects if the remote directory or the local file doesn't exist", async (t) => {
    const { sftp, local } = await open(t);
    writeFileSync(join(local, 'x'), 'content');
    await assert.rejects(sftp.put(join(local, 'x'), 'nowhere/x'), { code: 'ENOENT' });
    await assert.rejects(sftp.put(join(local, 'nowhere')), { code: 'ENOENT', syscall: 'open' });
  });
});

describeContract('put_d', ({ open, test }) => {
  test('copies the files of a local directory, without its sub-directories', async (t) => {
    const { sftp, local, folder } = await open(t);
    plant(local, { a: 'a', 'sub/b': 'b' });
    const before = process.cwd();
    const report = await sftp.putD(local, 'pub');
    assert.equal(report.files, 1);
    assert.deepEqual(readdirSync(join(folder, 'pub')).sort(), ['a', 'foo1', 'foo2', 'make.txt']);
    assert.equal(process.cwd(), before);
  });

  test("rejects if the remote or the local directory doesn't exist", async (t) => {
    const { sftp, local, folder } = await open(t);
    plant(local, { a: 'a' });
    await assert.rejects(sftp.putD(local, 'nowhere'), { code: 'ENOENT' });
    await assert.rejects(sftp.putD(local, 'readme.txt'), { code: 'ENOTDIR' });
    await assert.rejects(sftp.putD(join(local, 'nowhere'), 'pub'), { code: 'ENOENT', syscall: 'opendir' });
    assert.equal(existsSync(join(folder, 'nowhere')), false);
  });
});

describeContract('put_r', ({ open, test }) => {
  test('copies the content recursively, and happily if directories exist', async (t) => {
    const { sftp, local, folder } = await open(t);
    plant(local, { a: 'a', 'foo1/b': 'b' });
    mkdirSync(join(local, 'empty'));
    utimesSync(join(local, 'a'), OLD, OLD);
    await sftp.putR(local, 'pub', { preserveMtime: true });
    await sftp.putR(local, 'pub', { preserveMtime: true });
    assert.equal(readFileSync(join(folder, 'pub/foo1/b'), 'utf8'), 'b');
    assert.equal(statSync(join(folder, 'pub/a')).mtimeMs, OLD * 1000);
    assert.ok(statSync(join(folder, 'pub/empty')).isDirectory());
  });

  test('makes the remote root where it is missing', async (t) => {
    const { sftp, local, folder } = await open(t);
    plant(local, { a: 'a' });
    await sftp.putR(local, 'new/deep');
    assert.equal(readFileSync(join(folder, 'new/deep/a'), 'utf8'), 'a');
  });

  test("rejects if the local directory doesn't exist, and makes nothing", async (t) => {
    const { sftp, local, folder } = await open(t);
    await assert.rejects(sftp.putR(join(local, 'nowhere'), 'new'), { code: 'ENOENT' });
    assert.equal(existsSync(join(folder, 'new')), false);
  });

  test('skips links unless told to follow them', async (t) => {
    const { sftp, local, folder } = await open(t);
    plant(local, { a: 'a' });
    symlinkSync('a', join(local, 'link'));
    const report = await sftp.putR(local, 'one');
    assert.deepEqual(readdirSync(join(folder, 'one')), ['a']);
    assert.equal(report.skipped.length, 1);
    await sftp.putR(local, 'two', { symlinks: 'follow' });
    assert.deepEqual(readdirSync(join(folder, 'two')).sort(), ['a', 'link']);
  });
});
