import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
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
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Connection } from '../../../src/index.js';
import { makeFolder, sha256, snapshot } from '../../support/folder.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

const SIZES = [0, 1, 32_767, 32_768, 32_769, 261_119, 261_120, 261_121, 5_000_003];

for (const { name, skip, start } of serverKinds) {
  describe(`transfers with ${name}`, { skip }, () => {
    let server: ServerUnderTest;
    let sftp: Connection;
    before(async () => {
      server = await start();
      sftp = await server.connect();
    });
    after(async () => {
      await sftp?.close();
      await server?.stop();
    });

    /** A fresh folder of the server: where it is on the disk, and its path there. */
    let folders = 0;
    function remoteFolder(): { readonly disk: string; path(name?: string): string } {
      folders += 1;
      const folder = `folder ${folders}`;
      mkdirSync(join(server.folder, folder));
      return {
        disk: join(server.folder, folder),
        path: (name = '') => server.path(name === '' ? folder : join(folder, name)),
      };
    }

    for (const size of SIZES) {
      test(`L4: ${size} bytes travel up and down and stay identical`, async (t) => {
        const local = makeFolder(t);
        const remote = remoteFolder();
        const content = randomBytes(size);
        writeFileSync(join(local, 'up'), content);
        const progress: number[][] = [];
        const attributes = await sftp.put(join(local, 'up'), remote.path('file'), {
          callback: (transferred, total) => progress.push([transferred, total]),
        });
        assert.equal(attributes.size, size);
        assert.deepEqual(progress.at(-1), [size, size]);
        assert.deepEqual(readFileSync(join(remote.disk, 'file')), content);
        progress.length = 0;
        await sftp.get(remote.path('file'), join(local, 'down'), {
          callback: (transferred, total) => progress.push([transferred, total]),
        });
        assert.deepEqual(progress.at(-1), [size, size]);
        assert.equal(await sha256(join(local, 'down')), await sha256(join(local, 'up')));
        assert.deepEqual([...snapshot(local).keys()], ['down', 'up']);
      });
    }

    test('get replaces the old file, keeps its mode, and takes the time of the source when told to', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      writeFileSync(join(remote.disk, 'file'), 'new');
      utimesSync(join(remote.disk, 'file'), 1_000_000, 1_000_000);
      writeFileSync(join(local, 'file'), 'something old');
      chmodSync(join(local, 'file'), 0o604);
      await sftp.get(remote.path('file'), join(local, 'file'), { preserveMtime: true });
      const { mode, mtimeMs } = statSync(join(local, 'file'));
      assert.deepEqual([mode & 0o777, mtimeMs], [0o604, 1_000_000_000]);
      assert.equal(readFileSync(join(local, 'file'), 'utf8'), 'new');
    });

    test('put cuts a longer file, atomically or not, and takes the time of the source when told to', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      writeFileSync(join(local, 'file'), 'new');
      utimesSync(join(local, 'file'), 1_000_000, 1_000_000);
      for (const atomic of [false, true]) {
        writeFileSync(join(remote.disk, 'file'), 'something old');
        await sftp.put(join(local, 'file'), remote.path('file'), { atomic, preserveMtime: true });
        assert.equal(readFileSync(join(remote.disk, 'file'), 'utf8'), 'new');
        assert.equal(statSync(join(remote.disk, 'file')).mtimeMs, 1_000_000_000);
        assert.deepEqual([...snapshot(remote.disk).keys()], ['file']);
      }
    });

    test('put without confirm tells no attributes', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      writeFileSync(join(local, 'file'), 'new');
      const attributes = await sftp.put(join(local, 'file'), remote.path('file'), { confirm: false });
      assert.equal(attributes.size, undefined);
    });

    test('names with spaces, quotes, newlines, emoji and bytes that are not UTF-8 arrive as they are', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      const names = ['a b', `'"\`$(x)`, 'line\nbreak', '💾 é', '-rf', 'a\\b', '\x1b[31m'];
      for (const name of names) {
        writeFileSync(join(local, name), name);
        await sftp.put(join(local, name), remote.path(name));
        await sftp.get(remote.path(name), join(local, 'back'));
        assert.equal(readFileSync(join(local, 'back'), 'utf8'), name);
      }
      assert.deepEqual(await sftp.listdir(remote.path()), [...names].sort());
      const bytes = Buffer.concat([Buffer.from(remote.path('')), Buffer.from('/\xff\xfe', 'latin1')]);
      await sftp.put(join(local, 'a b'), bytes);
      await sftp.get(bytes, join(local, 'back'));
      assert.equal(readFileSync(join(local, 'back'), 'utf8'), 'a b');
      assert.equal(snapshot(remote.disk).has('\xff\xfe'), true);
    });

    test('a tree of 2,000 files with every kind of name goes there and back, identical', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      const tree = join(local, 'tree');
      makeTree(tree);
      const up = await sftp.putR(tree, remote.path('made/by/us'));
      const back = join(local, 'back');
      const down = await sftp.cd(remote.path('made/by/us'), () => sftp.getR('.', back));
      const original = snapshot(tree);
      const directories = [...original.values()].filter((what) => what === 'directory').length;
      assert.deepEqual(snapshot(join(remote.disk, 'made/by/us')), original);
      assert.deepEqual(snapshot(back), original);
      for (const report of [up, down]) {
        assert.deepEqual([report.files, report.directories, report.skipped], [2000, directories, []]);
      }
      // Once more over what is there.
      await sftp.putR(tree, remote.path('made/by/us'));
      await sftp.cd(remote.path('made/by/us'), () => sftp.getR('.', back));
      assert.deepEqual(snapshot(back), original);
    });

    test('getR keeps the remote path below the local directory', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      mkdirSync(join(remote.disk, 'pub/sub'), { recursive: true });
      writeFileSync(join(remote.disk, 'pub/sub/file'), 'x');
      await sftp.cd(remote.path(), () => sftp.getR('pub/sub', join(local, 'backup')));
      assert.equal(readFileSync(join(local, 'backup/pub/sub/file'), 'utf8'), 'x');
      await sftp.getR(remote.path('pub'), join(local, 'absolute'));
      assert.equal(readFileSync(join(local, 'absolute', remote.path('pub'), 'sub/file'), 'utf8'), 'x');
      await assert.rejects(sftp.getR('../x', local), { name: 'RangeError' });
    });

    test('progress over a tree is monotonic and ends at the total', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      for (let index = 0; index < 30; index += 1) {
        writeFileSync(join(remote.disk, `${index}`), 'x'.repeat(index * 1000));
      }
      const figures: (readonly [number, number, number, number])[] = [];
      await sftp.cd(remote.path(), () =>
        sftp.getR('.', local, {
          callback: (transferred, total, file) =>
            figures.push([transferred, total, file.filesDone, file.filesKnown]),
        }),
      );
      const transferred = figures.map(([bytes]) => bytes);
      assert.deepEqual(
        transferred,
        [...transferred].sort((a, b) => a - b),
      );
      assert.deepEqual(figures.at(-1), [435_000, 435_000, 30, 30]);
    });

    test('links in a tree: down they are followed, dangling ones skipped; up they are skipped', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      for (const root of [join(local, 'tree'), join(remote.disk, 'tree')]) {
        mkdirSync(join(root, 'directory'), { recursive: true });
        writeFileSync(join(root, 'directory/file'), 'x');
        symlinkSync('directory/file', join(root, 'to file'));
        symlinkSync('directory', join(root, 'to directory'));
        symlinkSync('nowhere', join(root, 'dangling'));
      }
      const followed = ['directory', 'directory/file', 'to directory', 'to directory/file', 'to file'];
      const plain = ['directory', 'directory/file'];
      const down = await sftp.cd(remote.path('tree'), () => sftp.getR('.', join(local, 'followed')));
      assert.deepEqual([...snapshot(join(local, 'followed')).keys()], followed);
      assert.deepEqual(
        down.skipped.map(({ reason }) => reason),
        ['it is a dangling symbolic link'],
      );
      await sftp.cd(remote.path('tree'), () => sftp.getR('.', join(local, 'plain'), { symlinks: 'skip' }));
      assert.deepEqual([...snapshot(join(local, 'plain')).keys()], plain);
      const up = await sftp.putR(join(local, 'tree'), remote.path('plain'));
      assert.deepEqual([...snapshot(join(remote.disk, 'plain')).keys()], plain);
      assert.equal(up.skipped.length, 3);
      await sftp.putR(join(local, 'tree'), remote.path('followed'), { symlinks: 'follow' });
      assert.deepEqual([...snapshot(join(remote.disk, 'followed')).keys()], followed);
    });

    test('N8: loops of links end with an error', async (t) => {
      const local = makeFolder(t);
      for (const links of [{ up: '..' }, { self: '.' }]) {
        const remote = remoteFolder();
        mkdirSync(join(remote.disk, 'tree/below'), { recursive: true });
        for (const [link, target] of Object.entries(links)) {
          symlinkSync(target, join(remote.disk, 'tree/below', link));
        }
        await assert.rejects(
          sftp.cd(remote.path('tree'), () => sftp.getR('.', join(local, 'down'))),
          { code: 'ELOOP', message: /one of its parent directories \(a loop\)/ },
        );
        await assert.rejects(
          sftp.putR(join(remote.disk, 'tree'), remote.path('up'), { symlinks: 'follow' }),
          { code: 'ELOOP' },
        );
      }
    });

    test('N8: links that lead to each other lead nowhere', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      for (const root of [join(local, 'tree'), join(remote.disk, 'tree')]) {
        mkdirSync(root);
        symlinkSync('b', join(root, 'a'));
        symlinkSync('a', join(root, 'b'));
      }
      const down = await sftp.cd(remote.path('tree'), () => sftp.getR('.', join(local, 'down')));
      const up = await sftp.putR(join(local, 'tree'), remote.path('up'), { symlinks: 'follow' });
      for (const { skipped } of [down, up]) {
        assert.deepEqual(
          new Set(skipped.map(({ reason }) => reason)),
          new Set(['it is a dangling symbolic link']),
        );
        assert.equal(skipped.length, 2);
      }
    });

    test('a link that leads through a file is skipped and reported in every direction', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      for (const root of [join(local, 'tree'), join(remote.disk, 'tree')]) {
        mkdirSync(root);
        writeFileSync(join(root, 'file'), 'x');
        symlinkSync('file/x', join(root, 'through'));
      }
      const follow = { symlinks: 'follow' } as const;
      const [from, to] = [join(local, 'tree'), remote.path('tree')];
      await sftp.mkdir(remote.path('up D'));
      mkdirSync(join(local, 'down D'));
      const reports = [
        await sftp.putR(from, remote.path('up'), follow),
        await sftp.putD(from, remote.path('up D'), follow),
        await sftp.cd(to, () => sftp.getR('.', join(local, 'down'), follow)),
        await sftp.getD(to, join(local, 'down D'), follow),
      ];
      for (const { files, skipped } of reports) {
        assert.equal(files, 1);
        assert.deepEqual(
          skipped.map(({ reason }) => reason),
          ['it is a dangling symbolic link'],
        );
      }
      const { skipped } = await sftp.mirror(from, remote.path('mirror'), { direction: 'up', ...follow });
      assert.equal(skipped.length, 1);
      const entries: string[] = [];
      for await (const { path } of sftp.walk(to, follow)) entries.push(path);
      assert.deepEqual(entries, [`${to}/file`, `${to}/through`]);
    });

    test('N9: a FIFO in a tree is never opened', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      for (const root of [join(local, 'tree'), join(remote.disk, 'tree')]) {
        mkdirSync(root);
        execFileSync('mkfifo', [join(root, 'fifo')]);
        writeFileSync(join(root, 'file'), 'x');
      }
      const down = await sftp.cd(remote.path('tree'), () => sftp.getR('.', join(local, 'down')));
      const up = await sftp.putR(join(local, 'tree'), remote.path('up'));
      for (const report of [down, up]) {
        assert.deepEqual([report.files, report.skipped.map(({ reason }) => reason)], [1, ['it is a fifo']]);
      }
      assert.deepEqual([...snapshot(join(local, 'down')).keys()], ['file']);
    });

    test('N9: a FIFO by its name is refused at once, and the session goes on', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      execFileSync('mkfifo', [join(remote.disk, 'fifo'), join(local, 'fifo')]);
      await assert.rejects(sftp.get(remote.path('fifo'), join(local, 'down')), {
        code: 'EINVAL',
        message: /not a regular file but a fifo/,
      });
      await assert.rejects(sftp.put(join(local, 'fifo'), remote.path('up')), {
        code: 'EINVAL',
        message: /not a regular file but a fifo/,
      });
      assert.equal(await sftp.exists(remote.path('up')), false);
      assert.equal(existsSync(join(local, 'down')), false);
      symlinkSync('fifo', join(remote.disk, 'link'));
      writeFileSync(join(local, 'file'), 'x');
      for (const name of ['fifo', 'link']) {
        const inPlace = sftp.put(join(local, 'file'), remote.path(name));
        await assert.rejects(inPlace, { code: 'EEXIST', message: /not a regular file but a fifo/ });
      }
      const atomic = sftp.put(join(local, 'file'), remote.path('fifo'), { atomic: true });
      await assert.rejects(atomic, { code: 'EEXIST', message: /not a regular file but a fifo/ });
      await assert.rejects(sftp.putfo('x', remote.path('fifo')), { code: 'EEXIST' });
      mkdirSync(join(local, 'tree'));
      writeFileSync(join(local, 'tree', 'fifo'), 'x');
      await assert.rejects(sftp.putR(join(local, 'tree'), remote.path('')), { code: 'EEXIST' });
      assert.equal(await sftp.isfile(remote.path('fifo')), false);
    });

    test('N3: a link that lies in the local target tree is replaced or refused, never followed', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      mkdirSync(join(remote.disk, 'tree/directory'), { recursive: true });
      writeFileSync(join(remote.disk, 'tree/file'), 'from the server');
      writeFileSync(join(remote.disk, 'tree/directory/file'), 'from the server');
      mkdirSync(join(local, 'outside'));
      writeFileSync(join(local, 'outside/file'), 'untouched');
      const get = (target: string, atomic: boolean) =>
        sftp.cd(remote.path('tree'), () => sftp.getR('.', target, { atomic }));
      for (const atomic of [true, false]) {
        const target = join(local, `link to a directory ${atomic}`);
        mkdirSync(target);
        symlinkSync(join(local, 'outside'), join(target, 'directory'));
        await assert.rejects(get(target, atomic), {
          code: 'ENOTDIR',
          message: /a symlink is in the way of the directory/,
        });
      }
      const replaced = join(local, 'link to a file');
      mkdirSync(replaced);
      symlinkSync(join(local, 'outside/file'), join(replaced, 'file'));
      await get(replaced, true);
      assert.equal(readFileSync(join(replaced, 'file'), 'utf8'), 'from the server');
      const refused = join(local, 'link to a file, in place');
      mkdirSync(refused);
      symlinkSync(join(local, 'outside/file'), join(refused, 'file'));
      await assert.rejects(get(refused, false), { code: 'ELOOP' });
      assert.equal(readFileSync(join(local, 'outside/file'), 'utf8'), 'untouched');
      assert.deepEqual([...snapshot(join(local, 'outside')).keys()], ['file']);
    });

    test('N3: a link on the way down to the kept path is refused too', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      mkdirSync(join(remote.disk, 'pub/sub'), { recursive: true });
      writeFileSync(join(remote.disk, 'pub/sub/file'), 'x');
      mkdirSync(join(local, 'outside'));
      mkdirSync(join(local, 'backup'));
      symlinkSync(join(local, 'outside'), join(local, 'backup/pub'));
      await assert.rejects(
        sftp.cd(remote.path(), () => sftp.getR('pub/sub', join(local, 'backup'))),
        { code: 'ENOTDIR', message: /a symlink is in the way/ },
      );
      assert.equal(snapshot(join(local, 'outside')).size, 0);
    });

    test('200 gets at once over one connection', async (t) => {
      const local = makeFolder(t);
      const remote = remoteFolder();
      const contents = Array.from({ length: 200 }, () =>
        randomBytes(1 + (randomBytes(2).readUInt16BE() % 50_000)),
      );
      contents.forEach((content, index) => {
        writeFileSync(join(remote.disk, `${index}`), content);
      });
      await Promise.all(
        contents.map((_, index) => sftp.get(remote.path(`${index}`), join(local, `${index}`))),
      );
      assert.deepEqual(snapshot(local), snapshot(remote.disk));
    });
  });
}

const MANY_NAMES = ['plain', 'with space', `"quoted"'`, 'line\nbreak', '💾', 'naïve', '-dash', '$(x)', '*?'];

/** 2,000 files in 40 directories, some of them empty, with names that need care and bytes that are no UTF-8. */
function makeTree(root: string): void {
  mkdirSync(root);
  for (let index = 0; index < 40; index += 1) {
    const parent = index % 3 === 0 ? root : join(root, `dir ${index - 1}`);
    const directory = join(parent, `dir ${index}`);
    mkdirSync(join(directory, 'empty'), { recursive: true });
    for (let file = 0; file < 49; file += 1) {
      const name = `${MANY_NAMES[file % MANY_NAMES.length]} ${file}`;
      writeFileSync(join(directory, name), randomBytes((file * 37) % 5000));
    }
    const bytes = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe, index])]);
    // A NUL or a slash as the last byte would be no name.
    writeFileSync(index === 0 || index === 0x2f ? `${directory}/first` : bytes, `${index}`);
  }
}
