/** What must work on every server, odd or not: one round through the public API. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Connection } from '../../src/index.js';
import { makeFolder, snapshot } from './folder.js';

export interface Subject {
  connect(): Promise<Connection>;
  /** A directory of the server in which the suite may work. */
  readonly root: string;
}

export interface Expectations {
  /** What happens where the new name of `rename` exists. Default: it is refused. */
  readonly renameReplaces?: boolean;
  /** Files are gone after they were written, so that nothing can be done with them. */
  readonly filesVanish?: boolean;
  /** No size is told, or 0. */
  readonly noSizes?: boolean;
}

let runs = 0;

/** Declares the tests. */
export function declareCompactSuite(subject: () => Subject, expected: Expectations = {}): void {
  const open = async (t: TestContext) => {
    const { connect, root } = subject();
    const sftp = await connect();
    t.after(() => sftp.close());
    runs += 1;
    const home = `${root.replace(/\/$/, '')}/suite ${process.pid} ${runs}`;
    await sftp.mkdir(home);
    await sftp.chdir(home);
    return { sftp, home, local: makeFolder(t) };
  };
  const put = async (
    sftp: Connection,
    local: string,
    name: string,
    content: Buffer | string,
    atomic = false,
  ) => {
    writeFileSync(join(local, 'source'), content);
    await sftp.put(join(local, 'source'), name, { atomic, confirm: expected.filesVanish !== true });
  };
  const keeps = expected.filesVanish !== true;

  test('files of all lengths go up and come back the same', async (t) => {
    const { sftp, local } = await open(t);
    for (const length of [0, 1, 32_768, 32_769, 700_001]) {
      const content = randomBytes(length);
      await put(sftp, local, 'file', content);
      if (!keeps) continue;
      await sftp.get('file', join(local, 'back'));
      assert.ok(readFileSync(join(local, 'back')).equals(content), `${length} bytes`);
    }
  });

  test('an atomic put replaces the old file, and nothing is beside it', { skip: !keeps }, async (t) => {
    const { sftp, local } = await open(t);
    for (const content of ['a long old content', 'new']) await put(sftp, local, 'file', content, true);
    assert.deepEqual(await sftp.listdir(), ['file']);
    await sftp.get('file', join(local, 'back'));
    assert.equal(readFileSync(join(local, 'back'), 'utf8'), 'new');
  });

  test('directories are made, listed and removed', async (t) => {
    const { sftp } = await open(t);
    await sftp.makedirs('a/b/c');
    await sftp.makedirs('a/b/c');
    await sftp.mkdir('a/z');
    assert.deepEqual(await sftp.listdir('a'), ['b', 'z']);
    assert.deepEqual([await sftp.isdir('a/b'), await sftp.exists('a/x')], [true, false]);
    await sftp.rmdir('a/z');
    await assert.rejects(sftp.rmdir('a'));
    await sftp.rmtree('a');
    assert.deepEqual(await sftp.listdir(), []);
  });

  test('a rename moves, and meets what exists as the server has it', { skip: !keeps }, async (t) => {
    const { sftp, local } = await open(t);
    await put(sftp, local, 'one', '1');
    await put(sftp, local, 'two', '22');
    await sftp.rename('one', 'three');
    assert.deepEqual(await sftp.listdir(), ['three', 'two']);
    const renaming = sftp.rename('three', 'two');
    if (expected.renameReplaces) await renaming;
    else await assert.rejects(renaming);
    await sftp.get('two', join(local, 'back'));
    assert.equal(readFileSync(join(local, 'back'), 'utf8'), expected.renameReplaces ? '1' : '22');
  });

  test('a tree goes up and comes back the same', { skip: !keeps }, async (t) => {
    const { sftp, local } = await open(t);
    const source = join(local, 'tree');
    mkdirSync(join(source, 'd/e'), { recursive: true });
    for (const [index, name] of ['a', 'b c', 'd/ü', 'd/e/f'].entries())
      writeFileSync(join(source, name), randomBytes(index * 20_000));
    for (let count = 0; count < 50; count += 1) writeFileSync(join(source, `d/many ${count}`), `${count}`);
    await sftp.putR(source, 'tree');
    await sftp.getR('tree', join(local, 'back'));
    assert.deepEqual(snapshot(join(local, 'back/tree')), snapshot(source));
    await sftp.rmtree('tree');
    assert.deepEqual(await sftp.listdir(), []);
  });

  for (const options of [{}, { atomic: true }, { atomic: false }]) {
    const how = JSON.stringify(options);
    test(`a shorter file takes the place of a longer one, with put and putR ${how}`, {
      skip: !keeps,
    }, async (t) => {
      const { sftp, local } = await open(t);
      mkdirSync(join(local, 'in'));
      writeFileSync(join(local, 'in/file'), 'new');
      for (const path of ['single', 'in/file']) {
        await sftp.makedirs('in');
        await sftp.writeFile(path, 'o'.repeat(20_000));
        if (path === 'single') await sftp.put(join(local, 'in/file'), path, options);
        else await sftp.putR(join(local, 'in'), 'in', options);
        assert.equal(await sftp.readFile(path, { encoding: 'utf8' }), 'new');
      }
    });
  }

  test('a file that exists is not opened as a new one', { skip: !keeps }, async (t) => {
    const { sftp } = await open(t);
    await sftp.writeFile('file', 'content');
    await assert.rejects(sftp.open('file', 'wx'), { code: 'EEXIST' });
    assert.equal(await sftp.readFile('file', { encoding: 'utf8' }), 'content');
  });

  test('a listing tells names and sizes, and what is missing is ENOENT', { skip: !keeps }, async (t) => {
    const { sftp, local } = await open(t);
    await put(sftp, local, 'file', 'content');
    const [entry] = await sftp.listdirAttr();
    assert.equal(entry?.filename, 'file');
    if (!expected.noSizes) assert.equal(entry.size, 7);
    await assert.rejects(sftp.stat('missing'), { code: 'ENOENT' });
    await assert.rejects(sftp.get('missing', join(local, 'missing')), { code: 'ENOENT' });
    assert.deepEqual([...snapshot(local).keys()], ['source']);
  });

  test('what is read and written in pieces is the same', { skip: !keeps }, async (t) => {
    const { sftp } = await open(t);
    const content = randomBytes(100_000);
    await sftp.writeFile('file', content);
    const found = await sftp.readFile('file');
    assert.equal(sha256(found), sha256(content));
    await sftp.remove('file');
    assert.equal(await sftp.exists('file'), false);
  });
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
