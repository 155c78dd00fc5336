/** The rows N of the fault catalogue: what a server calls its files. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Connection } from '../../src/connection.js';
import { SftpError } from '../../src/errors.js';
import { printable } from '../../src/shared/printable.js';
import { startServer } from '../../src/testing/index.js';
import { localFileSystem } from '../../src/transfer/local/local.js';
import { objectionTo } from '../../src/transfer/local/local-names.js';
import { makeFolder, snapshot } from '../support/folder.js';
import { type HostileEntry, openHostileTree } from '../support/hostile-tree.js';
import { connectToServer } from '../support/login.js';

const content = 'from the server';

function setPlatform(t: TestContext, platform: NodeJS.Platform): void {
  const before = Object.getOwnPropertyDescriptor(process, 'platform') ?? {};
  Object.defineProperty(process, 'platform', { ...before, value: platform });
  t.after(() => Object.defineProperty(process, 'platform', before));
}

async function each(connection: Connection): Promise<void> {
  for await (const _ of connection.walk('/'));
}

/** A listing with X twice: as a link, and as a directory with a file in it. */
function twice(first: 'symlink' | 'directory'): HostileEntry[] {
  const link: HostileEntry = { name: 'X', type: 'symlink', target: { content } };
  const directory: HostileEntry = { name: 'X', entries: [{ name: 'planted', content }] };
  return first === 'symlink' ? [link, directory] : [directory, link];
}

describe('names from a server', () => {
  const kinds: Readonly<Record<string, Omit<HostileEntry, 'name'>>> = {
    'a file': { content },
    'a directory': { entries: [{ name: 'inner', content }] },
    'a link to a file': { type: 'symlink', target: { content } },
    'a link to a directory': {
      type: 'symlink',
      target: { type: 'directory', entries: [{ name: 'inner', content }] },
    },
  };
  for (const name of ['../x', '/etc/x', 'a/b', '', 'nul\0x']) {
    for (const [kind, entry] of Object.entries(kinds)) {
      test(`N1: ${printable(JSON.stringify(name))} as ${kind} is refused by name, the rest arrives, and nothing is outside the folder`, async (t) => {
        const outer = makeFolder(t);
        mkdirSync(join(outer, 'target'));
        const { connection } = await openHostileTree(t, [
          { name: 'before', content },
          { name, ...entry },
          { name: 'fine', content },
        ]);
        await assert.rejects(connection.getR('/', join(outer, 'target')), (error) => {
          assert.ok(error instanceof SftpError);
          assert.equal(error.code, 'UNSAFE_NAME');
          assert.ok(error.message.includes(`The name '${printable(name)}' in '/' is refused`), error.message);
          assert.match(error.message, /everything else has been copied$/);
          return true;
        });
        assert.deepEqual([...snapshot(outer).keys()], ['target', 'target/before', 'target/fine']);
        const report = await connection.getR('/', join(outer, 'target'), { continueOnError: true });
        assert.deepEqual(
          report.failed.map(({ error }) => (error as SftpError).code),
          ['UNSAFE_NAME'],
        );
        assert.equal(report.files, 2);
        assert.deepEqual([...snapshot(outer).keys()], ['target', 'target/before', 'target/fine']);
      });
    }
  }

  test('N1: a search and a walk refuse such names as well', async (t) => {
    for (const name of ['nul\0x', 'a/x']) {
      const { connection } = await openHostileTree(t, [{ name, entries: [{ name: 'inner', content }] }]);
      for (const act of [
        () => connection.glob('/*/*'),
        () => connection.rmtree('/d'),
        () => each(connection),
      ]) {
        await assert.rejects(act(), (error: unknown) => {
          assert.ok(error instanceof SftpError, String(error));
          return true;
        });
      }
    }
  });

  test('N1: the directories themselves, . and .., are no entries', async (t) => {
    const folder = makeFolder(t);
    const { connection } = await openHostileTree(t, [
      { name: '.', entries: [] },
      { name: '..', entries: [{ name: 'x', content }] },
      { name: 'file', content },
    ]);
    await connection.getR('/', folder);
    assert.deepEqual([...snapshot(folder).keys()], ['file']);
    assert.deepEqual(await connection.listdir('/'), ['file']);
  });

  test('N1: on Windows, separators, drives, streams and devices are refused too', () => {
    const refused = [
      '..\\x',
      'C:',
      'C:x',
      'file:stream',
      'CON',
      'nul.txt',
      'nul .txt',
      'com1 .log',
      'CON  .a.b',
      'COM1',
      'a?',
      'end.',
      'end ',
      '\x1b',
    ];
    for (const name of refused) {
      assert.notEqual(objectionTo(Buffer.from(name), 'win32'), undefined, name);
      assert.equal(objectionTo(Buffer.from(name), 'linux'), undefined, name);
    }
    for (const name of ['console', 'a.b', '.hidden', 'ü'])
      assert.equal(objectionTo(Buffer.from(name), 'win32'), undefined, name);
  });

  test('N1: a name for get without a local one is judged as well', async (t) => {
    const { connection } = await openHostileTree(t, [{ name: '..', content }]);
    for (const path of ['/..', '/', '/a/..']) await assert.rejects(connection.get(path), TypeError);
  });

  for (const first of ['symlink', 'directory'] as const) {
    test(`N2: a link X and a directory X, the ${first} first: nothing is written through a link`, async (t) => {
      const outer = makeFolder(t);
      const target = join(outer, 'target');
      mkdirSync(join(outer, 'elsewhere'));
      mkdirSync(target);
      symlinkSync('../elsewhere', join(target, 'X'));
      const { connection } = await openHostileTree(t, twice(first));
      for (const symlinks of ['skip', 'follow'] as const) {
        const copying = connection.getR('/', target, { symlinks });
        // A name that a listing repeats is copied once: a link is left out, or leads to the directory.
        if (first === 'directory' || symlinks === 'follow')
          await assert.rejects(copying, { code: 'ENOTDIR' });
        else assert.deepEqual((await copying).done, []);
      }
      assert.deepEqual(readdirSync(join(outer, 'elsewhere')), []);
      assert.equal(readlinkSync(join(target, 'X')), '../elsewhere');
    });
  }

  test('N2: no link is ever made of what a server shows', async (t) => {
    for (const first of ['symlink', 'directory'] as const) {
      const folder = makeFolder(t);
      const { connection } = await openHostileTree(t, twice(first));
      await connection.getR('/', folder, { symlinks: 'skip' });
      const names = first === 'directory' ? ['X'] : [];
      assert.deepEqual(readdirSync(folder), names);
      for (const name of names) assert.ok(lstatSync(join(folder, name)).isDirectory());
    }
  });

  test('N4: newlines, ESC, C1 and marks of direction stay in the bytes and are shown escaped', async (t) => {
    const folder = makeFolder(t);
    const names = ['line\nbreak', '\x1b[31mred', '\u009b31m', '\u202egpj.exe', '\r\x07'];
    const { connection } = await openHostileTree(
      t,
      names.map((name) => ({ name, content: name })),
    );
    assert.deepEqual(new Set(await connection.listdir('/')), new Set(names));
    await connection.getR('/', folder);
    for (const name of names) {
      assert.equal(readFileSync(join(folder, name), 'utf8'), name);
      const failed = await connection.rmdir(`/${name}`).then(
        () => assert.fail(),
        (error: Error) => error.message,
      );
      assert.doesNotMatch(failed, /[\p{Cc}\u202a-\u202e\u2066-\u2069]/u);
    }
  });

  test('N5: two names that are not UTF-8 and decode alike are two files', {
    skip: process.platform !== 'linux',
  }, async (t) => {
    const folder = makeFolder(t);
    const names = [Buffer.from('f\xff', 'latin1'), Buffer.from('f\xfe', 'latin1')];
    const { connection } = await openHostileTree(
      t,
      names.map((name) => ({ name, content: name.toString('hex') })),
    );
    await connection.getR('/', folder);
    const found = readdirSync(folder, { encoding: 'buffer' }).map((name) => name.toString('hex'));
    assert.deepEqual(found.sort(), ['66fe', '66ff']);
    for (const name of names) {
      const path = localFileSystem.join(Buffer.from(folder), name);
      assert.equal(readFileSync(path, 'utf8'), name.toString('hex'));
    }
  });

  test('N6: NFC and NFD, and names that differ in case, all arrive where the disk tells them apart', {
    skip: process.platform !== 'linux',
  }, async (t) => {
    const folder = makeFolder(t);
    const names = ['\u00e9', 'e\u0301', 'Readme', 'README'];
    const { connection } = await openHostileTree(
      t,
      names.map((name) => ({ name, content: name })),
    );
    const report = await connection.getR('/', folder);
    assert.equal(report.files, 4);
    for (const name of names) assert.equal(readFileSync(join(folder, name), 'utf8'), name);
  });

  test('N6: where the disk takes them for one, the first arrives and the others are refused by name', async (t) => {
    const names = ['README', 'Readme', '\u00e9', 'e\u0301', 'other'];
    const entries = names.map((name) => ({ name, content: name }));
    for (const platform of ['darwin', 'win32'] as const) {
      // This disk would tell them apart: what is looked at is the platform.
      setPlatform(t, platform);
      const folder = makeFolder(t);
      const { connection } = await openHostileTree(t, entries);
      const report = await connection.getR('/', folder, { continueOnError: true });
      assert.deepEqual(
        report.failed.map(({ path, error }) => [path, (error as SftpError).code]).sort(),
        [
          ['/Readme', 'NAME_COLLISION'],
          ['/e\u0301', 'NAME_COLLISION'],
        ],
        platform,
      );
      assert.deepEqual(readdirSync(folder).sort(), ['README', 'other', '\u00e9']);
      for (const name of ['README', 'other', '\u00e9'])
        assert.equal(readFileSync(join(folder, name), 'utf8'), name);
    }
  });

  test('N7: a name of 255 bytes arrives, one of 256 is an error that names it', async (t) => {
    const folder = makeFolder(t);
    const fits = await openHostileTree(t, [{ name: 'x'.repeat(255), content }]);
    await fits.connection.getR('/', folder);
    assert.deepEqual(readdirSync(folder), ['x'.repeat(255)]);
    const tooLong = await openHostileTree(t, [{ name: 'y'.repeat(256), content }]);
    await assert.rejects(tooLong.connection.getR('/', folder), { code: 'ENAMETOOLONG' });
    assert.deepEqual(readdirSync(folder), ['x'.repeat(255)]);
  });

  test('N8: a tree without end is left at a depth of 64', async (t) => {
    const folder = makeFolder(t);
    const endless = (): readonly HostileEntry[] => [{ name: 'd', entries: endless }];
    for (const symlinks of ['follow', 'skip'] as const) {
      const { connection, asked } = await openHostileTree(t, endless);
      await assert.rejects(connection.getR('/', folder, { symlinks }), { code: 'LIMIT' });
      assert.ok(asked.length < 300, `${asked.length} requests`);
    }
  });

  test('N8: links without end are left at a depth of 64 as well', async (t) => {
    const folder = makeFolder(t);
    const endless = (): readonly HostileEntry[] => [
      { name: 'd', type: 'symlink', target: { type: 'directory', entries: endless } },
    ];
    const { connection } = await openHostileTree(t, endless);
    await assert.rejects(connection.getR('/', folder), { code: 'LIMIT' });
  });

  for (const type of ['fifo', 'socket', 'character-device', 'block-device'] as const) {
    test(`N9: a ${type} is left out and reported, and never opened`, async (t) => {
      const folder = makeFolder(t);
      const { connection, asked } = await openHostileTree(t, [
        { name: 'special', type },
        { name: 'file', content },
      ]);
      const report = await connection.getR('/', folder);
      assert.deepEqual(report.skipped, [{ path: '/special', code: 'SPECIAL', reason: `it is a ${type}` }]);
      assert.deepEqual(readdirSync(folder), ['file']);
      await assert.rejects(connection.get('/special', join(folder, 'special')), { code: 'EINVAL' });
      assert.ok(!asked.includes('open /special'));
    });
  }

  for (const preserveMode of [false, true]) {
    const how = preserveMode ? 'where modes are kept' : 'where they are not';
    test(`N10: a mode of 06777 gives nobody rights, ${how}: the set-uid bits never arrive`, async (t) => {
      const folder = makeFolder(t);
      const { connection } = await openHostileTree(t, [
        { name: 'tool', mode: 0o6777, content },
        { name: 'folder', mode: 0o7777, entries: [{ name: 'tool', mode: 0o4755, content }] },
      ]);
      const most = 0o777 & ~process.umask();
      await connection.getR('/', join(folder, 'tree'), { preserveMtime: true, preserveMode });
      await connection.get('/tool', join(folder, 'tool'), { preserveMode });
      for (const path of ['tool', 'tree/tool', 'tree/folder', 'tree/folder/tool']) {
        const mode = lstatSync(join(folder, path)).mode & 0o7777;
        assert.equal(mode & ~most, 0, `${path} has ${mode.toString(8)}`);
      }
    });
  }

  test('N10: nor do they leave with an upload that keeps modes', {
    skip: process.platform === 'win32',
  }, async (t) => {
    const folder = makeFolder(t);
    mkdirSync(join(folder, 'd'));
    writeFileSync(join(folder, 'd/tool'), content);
    for (const path of ['d/tool', 'd']) chmodSync(join(folder, path), 0o7755);
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    await sftp.putR(folder, '/tree', { preserveMode: true });
    await sftp.put(join(folder, 'd/tool'), '/tool', { preserveMode: true });
    for (const path of ['/tool', '/tree/d/tool', '/tree/d']) {
      assert.equal(((await sftp.stat(path)).mode ?? 0) & 0o7777, 0o755, path);
    }
  });

  test('N11: where the server says the source is, has no say in where the file goes', async (t) => {
    const outer = makeFolder(t);
    const folder = join(outer, 'folder');
    mkdirSync(folder);
    writeFileSync(join(outer, 'passwd'), 'mine');
    for (const realpath of ['/../passwd', '/etc/passwd', '/C:/x', '..']) {
      const { connection } = await openHostileTree(
        t,
        [
          { name: 'file', content },
          { name: 'folder', entries: [{ name: 'file', content }] },
        ],
        { realpath },
      );
      await connection.chdir('/');
      await connection.get('/file', join(folder, 'file'));
      await connection.getR('/folder', folder);
    }
    assert.deepEqual(
      [...snapshot(outer).keys()],
      ['folder', 'folder/file', 'folder/folder', 'folder/folder/file', 'passwd'],
    );
    assert.equal(readFileSync(join(outer, 'passwd'), 'utf8'), 'mine');
  });
});
