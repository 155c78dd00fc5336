/** ssh2-sftp-client's methods for directories and attributes, against OpenSSH. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type Client from '../../../src/ssh2-sftp-client/index.js';
import { needsOpenSsh } from '../../support/sshd.js';
import { failureOf, startWorld, type World } from './world.js';

describe('ssh2-sftp-client, directories', { skip: needsOpenSsh }, () => {
  let world: World;
  let client: Client;
  let root: string;
  const at = (...names: readonly string[]): string => join(root, ...names);

  before(async () => {
    world = await startWorld();
    client = await world.connect();
    root = world.there;
    mkdirSync(at('list', 'dir'), { recursive: true });
    writeFileSync(at('list', 'a.txt'), 'content');
    chmodSync(at('list', 'a.txt'), 0o640);
    utimesSync(at('list', 'a.txt'), 1_700_000_000, 1_700_000_001);
    symlinkSync('a.txt', at('list', 'link'));
    symlinkSync('nothing', at('list', 'dangling'));
  });
  after(() => world[Symbol.asyncDispose]());

  test('list gives the entries with type, size, milliseconds, rights and numbers', async () => {
    const entries = await client.list(at('list'));
    assert.deepEqual(entries.map(({ type, name }) => `${type} ${name}`).sort(), [
      '- a.txt',
      'd dir',
      'l dangling',
      'l link',
    ]);
    const { longname, ...entry } = entries.find(({ name }) => name === 'a.txt') ?? assert.fail('not there');
    assert.deepEqual(entry, {
      type: '-',
      name: 'a.txt',
      size: 7,
      modifyTime: 1_700_000_001_000,
      accessTime: 1_700_000_000_000,
      rights: { user: 'rw', group: 'r', other: '' },
      owner: 0,
      group: 0,
    });
    assert.match(longname, /^-rw-r----- .* a\.txt$/);
  });

  test('list keeps what its filter keeps, and tells what is no filter and what the filter throws', async () => {
    const files = await client.list(at('list'), ({ type }) => type === '-');
    assert.deepEqual(
      files.map(({ name }) => name),
      ['a.txt'],
    );
    for (const none of [undefined, null, '', 0]) {
      assert.equal((await client.list(at('list'), none as never)).length, 4);
    }
    const wrong = client.list(at('list'), 'txt' as never);
    assert.deepEqual(await failureOf(wrong), ['list: filter is not a function', 'ERR_GENERIC_CLIENT']);
    const throwing = client.list(at('list'), () => {
      throw new Error('my own');
    });
    assert.deepEqual(await failureOf(throwing), [`list: my own ${at('list')}`, 'ERR_GENERIC_CLIENT']);
    assert.equal((await client.list(at('list'))).length, 4);
  });

  test('list of what is no directory fails with 2, and without a path it is told so', async () => {
    assert.deepEqual(await failureOf(client.list(at('none'))), [`list: No such file ${at('none')}`, 2]);
    assert.deepEqual(
      await failureOf(client.list(undefined as never)).then(([, code]) => code),
      'ERR_INVALID_ARG_TYPE',
    );
  });

  test('exists gives d, - or l, and false for what is not there or is none of these', async () => {
    const types = ['list', 'list/a.txt', 'list/link', 'list/dangling', 'none', 'no/ne', 'list/a.txt/x'];
    const found = await Promise.all(types.map((path) => client.exists(at(path))));
    assert.deepEqual(found, ['d', '-', 'l', 'l', false, false, false]);
    assert.equal(await client.exists('/dev/null'), false);
    assert.equal(await client.exists(''), false);
    assert.equal(await client.exists('.'), 'd');
  });

  test('stat has values in place of methods, and milliseconds; lstat does not follow links', async () => {
    const expected = {
      mode: 0o100640,
      uid: 0,
      gid: 0,
      size: 7,
      accessTime: 1_700_000_000_000,
      modifyTime: 1_700_000_001_000,
      isDirectory: false,
      isFile: true,
      isBlockDevice: false,
      isCharacterDevice: false,
      isSymbolicLink: false,
      isFIFO: false,
      isSocket: false,
    };
    assert.deepEqual(await client.stat(at('list/a.txt')), expected);
    assert.deepEqual(await client.stat(at('list/link')), expected);
    const { isSymbolicLink, isFile } = await client.lstat(at('list/link'));
    assert.deepEqual([isSymbolicLink, isFile], [true, false]);
    assert.equal((await client.stat('/dev/null')).isCharacterDevice, true);
  });

  test('stat of what is not there fails with ENOENT', async () => {
    const path = at('list/dangling');
    assert.deepEqual(await failureOf(client.stat(path)), [`_xstat: No such file: ${path}`, 'ENOENT']);
    assert.deepEqual(await failureOf(client.lstat(at('x'))), [`_xstat: No such file: ${at('x')}`, 'ENOENT']);
  });

  test('realPath and cwd give absolute paths, and nothing for what cannot be resolved', async () => {
    const home = await client.cwd();
    assert.match(home, /^\//);
    assert.equal(await client.realPath('.'), home);
    assert.equal(await client.realPath(''), home);
    assert.equal(await client.realPath('..'), dirname(home));
    assert.equal(await client.realPath(at('list/../list/link')), at('list/a.txt'));
    assert.equal(await client.realPath(at('no/ne')), '');
  });

  test('mkdir makes a directory, says of one that it exists, and with recursive makes those above', async () => {
    assert.equal(await client.mkdir(at('made')), `${at('made')} directory created`);
    assert.equal(await client.mkdir(at('made')), `${at('made')} already exists`);
    assert.equal(await client.mkdir(at('deep/er/made'), true), `${at('deep/er/made')} directory created`);
    assert.equal(await client.mkdir(at('deep/er/made'), true), `${at('deep/er/made')} already exists`);
    assert.ok(statSync(at('deep/er/made')).isDirectory());
  });

  test('mkdir tells what is in the way', async () => {
    const file = at('list/a.txt');
    assert.deepEqual(await failureOf(client.mkdir(at('no/ne'))), [
      `mkdir: _doMkdir: Bad path: ${at('no/ne')} parent not a directory or not exist`,
      'ERR_BAD_PATH',
    ]);
    for (const recursive of [false, true]) {
      assert.deepEqual(await failureOf(client.mkdir(file, recursive)), [
        `mkdir: _mkdir: Bad path: ${file} already exists as a file`,
        'ERR_BAD_PATH',
      ]);
    }
    assert.deepEqual(await failureOf(client.mkdir(`${file}/x/y`, true)), [
      `mkdir: _mkdir: Bad path: ${file} not a directory`,
      'ERR_BAD_PATH',
    ]);
  });

  test('a path that begins with ./ counts from the login directory, and is told as an absolute one', async (t) => {
    const home = await client.cwd();
    const name = `${basename(root)}-relative`;
    t.after(() => client.rmdir(`./${name}`, true));
    assert.equal(await client.mkdir(`./${name}/sub`, true), `${home}/${name}/sub directory created`);
    await client.put(Buffer.from('x'), `${name}/a.txt`);
    assert.equal(
      await client.rcopy(`./${name}/a.txt`, `./${name}/b.txt`),
      `${home}/${name}/a.txt copied to ${home}/${name}/b.txt`,
    );
    assert.equal(await client.exists(`./${name}/b.txt`), '-');
    assert.equal(await client.delete(`./${name}/b.txt`), `Successfully deleted ./${name}/b.txt`);
  });

  test('rmdir removes an empty directory, with recursive also what is in it, and never what links lead to', async () => {
    mkdirSync(at('full/sub'), { recursive: true });
    writeFileSync(at('full/sub/file'), 'x');
    symlinkSync(at('list'), at('full/out'));
    assert.deepEqual(await failureOf(client.rmdir(at('full'))), [`rmdir: Failure ${at('full')}`, 4]);
    assert.equal(await client.rmdir(at('full'), true), 'Successfully removed directory');
    assert.equal(existsSync(at('full')), false);
    assert.equal(existsSync(at('list/a.txt')), true);
    await client.mkdir(at('empty'));
    assert.equal(await client.rmdir(at('empty')), 'Successfully removed directory');
  });

  test('rmdir tells a relative path as it was given', async () => {
    assert.deepEqual(await failureOf(client.rmdir('./nothing-here')), [
      'rmdir: Bad Path: ./nothing-here: No such directory',
      'ERR_BAD_PATH',
    ]);
  });

  test('a dangling symlink is in the way of mkdir', async () => {
    for (const recursive of [false, true]) {
      assert.deepEqual(await failureOf(client.mkdir(at('list/dangling'), recursive)), [
        `mkdir: _mkdir: Bad path: ${at('list/dangling')} already exists as a file`,
        'ERR_BAD_PATH',
      ]);
    }
  });

  test('rmdir tells what is no directory', async () => {
    for (const recursive of [false, true]) {
      assert.deepEqual(await failureOf(client.rmdir(at('none'), recursive)), [
        `rmdir: Bad Path: ${at('none')}: No such directory`,
        'ERR_BAD_PATH',
      ]);
      assert.deepEqual(await failureOf(client.rmdir(at('list/a.txt'), recursive)), [
        `rmdir: Bad Path: ${at('list/a.txt')}: Not a directory`,
        'ERR_BAD_PATH',
      ]);
    }
  });

  test('delete removes a file, and is content without one where noErrorOK says so', async () => {
    writeFileSync(at('gone'), 'x');
    assert.equal(await client.delete(at('gone')), `Successfully deleted ${at('gone')}`);
    assert.deepEqual(await failureOf(client.delete(at('gone'))), [`delete: No such file ${at('gone')}`, 2]);
    assert.equal(await client.delete(at('gone'), true), `Successfully deleted ${at('gone')}`);
    assert.deepEqual(await failureOf(client.delete(at('list'), true)), [`delete: Failure ${at('list')}`, 4]);
  });

  test('rename does not replace what exists, posixRename does', async () => {
    const [from, to, none] = [at('from'), at('to'), at('none')];
    writeFileSync(from, 'new');
    assert.equal(await client.rename(from, to), `Successfully renamed ${from} to ${to}`);
    writeFileSync(from, 'newer');
    assert.deepEqual(await failureOf(client.rename(from, to)), [
      `_rename: Failure From: ${from} To: ${to}`,
      4,
    ]);
    assert.equal(await client.posixRename(from, to), `Successful POSIX rename ${from} to ${to}`);
    assert.equal(readFileSync(to, 'utf8'), 'newer');
    assert.deepEqual(await failureOf(client.rename(none, from)), [
      `_rename: No such file From: ${none} To: ${from}`,
      2,
    ]);
    assert.deepEqual(await failureOf(client.posixRename(none, from)), [
      `_posixRename: No such file From: ${none} To: ${from}`,
      2,
    ]);
  });

  test('chmod takes a number by its value and a string as octal digits', async () => {
    const path = at('list/a.txt');
    const modeOf = () => (statSync(path).mode & 0o7777).toString(8);
    for (const [mode, digits] of [
      [0o600, '600'],
      ['0644', '644'],
      [0o777, '777'],
      ['755', '755'],
    ] as const) {
      assert.equal(await client.chmod(path, mode), 'Successfully change file mode');
      assert.equal(modeOf(), digits);
    }
    assert.deepEqual(await failureOf(client.chmod(at('none'), 0o600)), [
      `_chmod: No such file ${at('none')}`,
      2,
    ]);
    assert.deepEqual(await failureOf(client.chmod(path, 'rwx')), ['Cannot parse mode: rwx', undefined]);
  });

  test('rcopy copies a file, and never over one that exists', async () => {
    const [from, to] = [at('list/a.txt'), at('copy')];
    assert.equal(await client.rcopy(from, to), `${from} copied to ${to}`);
    assert.equal(readFileSync(to, 'utf8'), 'content');
    const rows = [
      [from, to, `rcopy: Destination already exists ${to}`, 'ERR_BAD_PATH'],
      [at('none'), at('copy2'), `rcopy: Source does not exist ${at('none')}`, 'ERR_BAD_PATH'],
      [at('list'), at('copy2'), `rcopy: Source not a file ${at('list')}`, 'ERR_BAD_PATH'],
      [from, at('no/ne'), `_rcopy: No such file ${at('no/ne')}`, 'ERR_GENERIC_CLIENT'],
    ] as const;
    for (const [source, target, ...failure] of rows) {
      assert.deepEqual(await failureOf(client.rcopy(source, target)), failure);
    }
  });

  test('what tsftp has found out is the cause of an error', async () => {
    await assert.rejects(client.list(at('none')), (error: Error) => {
      assert.equal(error.constructor, Error);
      assert.equal((error.cause as Error).name, 'SftpStatusError');
      return true;
    });
  });
});
