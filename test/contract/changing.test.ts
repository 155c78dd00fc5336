import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type SftpStatusError, stModeToInt } from '../../src/index.js';
import { describeContract, describeOpenSsh } from './world.js';

describeContract('chmod', ({ open, test }) => {
  test('takes the mode as on a command line', async (t) => {
    const { sftp } = await open(t);
    for (const mode of [644, '600', 755, '400', 0o640]) {
      await sftp.chmod('readme.txt', mode);
      const digits = mode === 0o640 ? 640 : Number(mode);
      assert.equal(stModeToInt((await sftp.stat('readme.txt')).mode ?? 0), digits);
    }
  });

  test('sets 777 unless told otherwise', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.chmod('readme.txt');
    assert.equal(statSync(join(folder, 'readme.txt')).mode & 0o7777, 0o777);
  });

  test("rejects if the file doesn't exist", async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.chmod('nowhere', 644), { code: 'ENOENT' });
  });
});

describeContract('chown', ({ open, test }) => {
  test('without uid and gid does nothing', async (t) => {
    const { sftp } = await open(t);
    await sftp.chown('readme.txt');
    await sftp.chown('nowhere', undefined, undefined);
  });

  test("rejects if the file doesn't exist", async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.chown('nowhere', 1, 2), { code: 'ENOENT' });
  });
});

describeOpenSsh('chown', ({ open, test }) => {
  test('sets uid, gid, or both, and keeps the one that is not given', async (t) => {
    const { sftp, folder } = await open(t);
    const owner = () => {
      const { uid, gid } = statSync(join(folder, 'readme.txt'));
      return [uid, gid];
    };
    await sftp.chown('readme.txt', 1234, 2345);
    assert.deepEqual(owner(), [1234, 2345]);
    await sftp.chown('readme.txt', 77);
    assert.deepEqual(owner(), [77, 2345]);
    await sftp.chown('readme.txt', { gid: 88 });
    assert.deepEqual(owner(), [77, 88]);
    await sftp.chown('readme.txt', 0, 0);
    assert.deepEqual(owner(), [0, 0]);
  });
});

describeContract('mkdir', ({ open, test }) => {
  test('creates one directory', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.mkdir('show');
    assert.ok(statSync(join(folder, 'show')).isDirectory());
  });

  test('rejects where something exists, and where the directory above is missing', async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.mkdir('pub'), { name: 'SftpStatusError', code: 'EEXIST' });
    await assert.rejects(sftp.mkdir('readme.txt'), { name: 'SftpStatusError', code: 'EEXIST' });
    await assert.rejects(sftp.mkdir('no/such'), { code: 'ENOENT' });
  });
});

describeOpenSsh('mkdir and makedirs', ({ open, test }) => {
  test('give the mode, with the umask masked out', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.mkdir('show', 744);
    assert.equal(statSync(join(folder, 'show')).mode & 0o777, 0o744);
    await sftp.mkdir('all');
    assert.equal(statSync(join(folder, 'all')).mode & 0o777, 0o777 & ~process.umask());
  });

  test('set the mode of makedirs on what is created only', async (t) => {
    const { sftp, folder } = await open(t);
    const before = statSync(join(folder, 'pub')).mode;
    await sftp.makedirs('pub/show/off', 711);
    assert.equal(statSync(join(folder, 'pub')).mode, before);
    assert.equal(statSync(join(folder, 'pub/show')).mode & 0o777, 0o711);
    assert.equal(statSync(join(folder, 'pub/show/off')).mode & 0o777, 0o711);
  });
});

describeContract('makedirs', ({ open, test }) => {
  test('makes all directories that do not exist', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.makedirs('pub/show/off');
    await sftp.makedirs('a/b/c/');
    assert.ok(statSync(join(folder, 'pub/show/off')).isDirectory());
    assert.ok(statSync(join(folder, 'a/b/c')).isDirectory());
  });

  test('completes silently if the directory exists, also twice at once', async (t) => {
    const { sftp } = await open(t);
    await sftp.makedirs('pub');
    await Promise.all([sftp.makedirs('x/y/z'), sftp.makedirs('x/y/z')]);
    assert.equal(await sftp.isdir('x/y/z'), true);
  });

  test('rejects if a file is in the way, at any level, and names it', async (t) => {
    const { sftp } = await open(t);
    for (const path of ['readme.txt', 'readme.txt/show', 'readme.txt/show/off']) {
      await assert.rejects(sftp.makedirs(path), (error: Error & { code?: string }) => {
        assert.equal(error.code, 'ENOTDIR');
        assert.match(error.message, /readme\.txt'$/);
        return true;
      });
    }
  });
});

describeContract('remove, unlink and rmdir', ({ open, test }) => {
  test('remove and unlink remove a file, also in a directory', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.remove('pub/make.txt');
    await sftp.unlink('readme.txt');
    assert.equal(existsSync(join(folder, 'pub/make.txt')), false);
    assert.equal(existsSync(join(folder, 'readme.txt')), false);
  });

  test('remove works only on files', async (t) => {
    const { sftp, folder } = await open(t);
    mkdirSync(join(folder, 'empty'));
    await assert.rejects(sftp.remove('empty'), { name: 'SftpStatusError', code: 'EISDIR' });
    await assert.rejects(sftp.unlink('nowhere'), { code: 'ENOENT' });
  });

  test('remove takes a link, not what it leads to', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.remove('readme.sym');
    assert.ok(existsSync(join(folder, 'readme.txt')));
    assert.equal(existsSync(join(folder, 'readme.sym')), false);
  });

  test('rmdir removes an empty directory only', async (t) => {
    const { sftp, folder } = await open(t);
    mkdirSync(join(folder, 'empty'));
    await sftp.rmdir('empty');
    assert.equal(existsSync(join(folder, 'empty')), false);
    await assert.rejects(sftp.rmdir('pub'), { code: 'ENOTEMPTY' });
    await assert.rejects(sftp.rmdir('readme.txt'), { code: 'ENOTDIR' });
    await assert.rejects(sftp.rmdir('nowhere'), { code: 'ENOENT' });
  });
});

describeContract('rename', ({ open, test }) => {
  test('renames a file and a directory', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.rename('readme.txt', 'pub/moved.txt');
    await sftp.rename('pub', 'public');
    assert.equal(readFileSync(join(folder, 'public/moved.txt'), 'utf8').length, 8192);
  });

  test('rejects where the destination exists, and leaves both', async (t) => {
    const { sftp, folder } = await open(t);
    await assert.rejects(sftp.rename('readme.txt', 'pub/make.txt'), { code: 'EEXIST' });
    assert.equal(readFileSync(join(folder, 'pub/make.txt'), 'utf8'), 'content of make.txt');
    assert.ok(existsSync(join(folder, 'readme.txt')));
  });

  test('onto itself leaves the file as it is', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.rename('readme.txt', 'readme.txt');
    await sftp.posixRename('readme.txt', 'readme.txt');
    await assert.rejects(sftp.rename('nowhere', 'nowhere'), { code: 'ENOENT' });
    assert.ok(existsSync(join(folder, 'readme.txt')));
  });

  test('posixRename replaces the destination', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.posixRename('pub/make.txt', 'readme.txt');
    assert.equal(readFileSync(join(folder, 'readme.txt'), 'utf8'), 'content of make.txt');
    assert.equal(existsSync(join(folder, 'pub/make.txt')), false);
  });
});

describeContract('symlink and readlink', ({ open, test }) => {
  test('symlink makes a link at the destination to the source', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.symlink('readme.txt', 'new.sym');
    assert.equal(readlinkSync(join(folder, 'new.sym')), 'readme.txt');
    assert.equal((await sftp.stat('new.sym')).size, 8192);
  });

  test('symlink rejects if something exists at the destination', async (t) => {
    const { sftp, folder } = await open(t);
    await assert.rejects(sftp.symlink('pub/make.txt', 'readme.txt'), { code: 'EEXIST' });
    assert.ok(lstatSync(join(folder, 'readme.txt')).isFile());
  });

  test('readlink gives the absolute path of the target', async (t) => {
    const { sftp, home } = await open(t);
    assert.equal(await sftp.readlink('readme.sym'), `${home}/readme.txt`);
    await sftp.symlink('/no/where', 'absolute');
    assert.equal(await sftp.readlink('absolute'), '/no/where');
  });

  test("readlink counts a relative target from the link's own directory", async (t) => {
    const { sftp, folder, home } = await open(t);
    symlinkSync('../../readme.txt', join(folder, 'pub/foo1/up'));
    symlinkSync('./x/../y', join(folder, 'pub/foo1/odd'));
    symlinkSync('..', join(folder, 'pub/foo1/parent'));
    symlinkSync('pub/foo1', join(folder, 'short'));
    assert.equal(await sftp.readlink('pub/foo1/up'), `${home}/readme.txt`);
    assert.equal(await sftp.readlink('short/up'), `${home}/readme.txt`);
    assert.equal(await sftp.readlink('pub/foo1/parent'), `${home}/pub`);
    assert.equal(await sftp.readlink('pub/foo1/odd'), `${home}/pub/foo1/x/../y`);
  });

  test('readlink gives bytes where they are asked for', async (t) => {
    const { sftp, home } = await open(t);
    const target = Buffer.from([0x66, 0xff, 0x6f]);
    await sftp.symlink(target, 'bytes');
    const link = await sftp.readlink('bytes', { encoding: 'buffer' });
    assert.deepEqual(link, Buffer.concat([Buffer.from(`${home}/`), target]));
  });

  test('readlink rejects for what is no link', async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.readlink('readme.txt'));
    await assert.rejects(sftp.readlink('nowhere'), { code: 'ENOENT' });
  });
});

describeContract('truncate', ({ open, test }) => {
  test('changes the size, confirms it and returns it', async (t) => {
    const { sftp, folder } = await open(t);
    assert.equal(await sftp.truncate('readme.txt', 4096), 4096);
    assert.equal(statSync(join(folder, 'readme.txt')).size, 4096);
    assert.equal(await sftp.truncate('readme.txt', 10_000), 10_000);
    assert.equal(await sftp.truncate('readme.txt', 0), 0);
  });

  test("rejects if the file doesn't exist", async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.truncate('nowhere', 1), { code: 'ENOENT' });
  });
});

describeContract('utime and touch', ({ open, test }) => {
  test('utime sets both times', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.utime('readme.txt', [1_000_000_000, new Date('2033-05-18T03:33:20Z')]);
    const { atimeMs, mtimeMs } = statSync(join(folder, 'readme.txt'));
    assert.deepEqual([atimeMs, mtimeMs], [1e12, 2e12]);
  });

  test('utime without times, and touch, mean now', async (t) => {
    const { sftp, folder } = await open(t);
    for (const act of [() => sftp.utime('readme.txt'), () => sftp.touch('readme.txt')]) {
      utimesSync(join(folder, 'readme.txt'), 1, 1);
      const before = Math.floor(Date.now() / 1000) * 1000;
      await act();
      const { mtimeMs } = statSync(join(folder, 'readme.txt'));
      assert.ok(before <= mtimeMs && mtimeMs <= Date.now() + 1000);
    }
    assert.equal(statSync(join(folder, 'readme.txt')).size, 8192);
  });

  test('touch makes an empty file, and takes a directory too', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.touch('new');
    assert.equal(statSync(join(folder, 'new')).size, 0);
    await sftp.touch('pub');
  });
});

describeContract('hardlink and copy', ({ open, test }) => {
  test('hardlink gives a second name', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.hardlink('readme.txt', 'second');
    assert.equal(statSync(join(folder, 'second')).ino, statSync(join(folder, 'readme.txt')).ino);
    await assert.rejects(sftp.hardlink('readme.txt', 'pub/make.txt'), { code: 'EEXIST' });
  });

  test('copy copies, replaces, and tells how far it is', async (t) => {
    const { sftp, folder } = await open(t);
    const seen: (readonly number[])[] = [];
    await sftp.copy('readme.txt', 'pub/copy.txt', { callback: (...figures) => seen.push(figures) });
    await sftp.copy('readme.txt', 'pub/make.txt', { atomic: false });
    for (const name of ['pub/copy.txt', 'pub/make.txt']) {
      assert.deepEqual(readFileSync(join(folder, name)), readFileSync(join(folder, 'readme.txt')));
    }
    assert.deepEqual(seen.at(-1), [8192, 8192]);
    assert.deepEqual(await sftp.listdir('pub'), ['copy.txt', 'foo1', 'foo2', 'make.txt']);
  });

  test('copy keeps a file that is copied onto itself', async (t) => {
    const { sftp, folder } = await open(t);
    for (const atomic of [true, false]) {
      await assert.rejects(sftp.copy('readme.txt', './readme.txt', { atomic }), { code: 'EINVAL' });
    }
    assert.equal(statSync(join(folder, 'readme.txt')).size, 8192);
  });

  test('copy keeps a file that is copied onto itself over a link', async (t) => {
    const { sftp, folder } = await open(t);
    for (const atomic of [true, false]) {
      await assert.rejects(sftp.copy('readme.sym', 'readme.txt', { atomic }), { code: 'EINVAL' });
    }
    assert.equal(statSync(join(folder, 'readme.txt')).size, 8192);
  });

  test('copy takes one name of a file for another', async (t) => {
    const { sftp, folder } = await open(t);
    await sftp.hardlink('readme.txt', 'second');
    for (const atomic of [true, false]) {
      await sftp.copy('second', 'readme.txt', { atomic });
      assert.equal(statSync(join(folder, 'readme.txt')).size, 8192);
    }
    await sftp.hardlink('readme.txt', 'third');
    await sftp.copy('readme.txt', 'third', { atomic: false });
    assert.equal(statSync(join(folder, 'third')).size, 8192);
  });

  test('copy takes empty files, and refuses directories and what is not there', async (t) => {
    const { sftp, folder } = await open(t);
    writeFileSync(join(folder, 'empty'), '');
    await sftp.copy('empty', 'empty-too');
    assert.equal(statSync(join(folder, 'empty-too')).size, 0);
    await assert.rejects(sftp.copy('pub', 'pub-too'), { code: 'EISDIR' });
    await assert.rejects(sftp.copy('readme.txt', 'pub'), { code: 'EISDIR' });
    await assert.rejects(sftp.copy('nowhere', 'x'), { code: 'ENOENT' });
    assert.deepEqual(await sftp.listdir(), ['empty', 'empty-too', 'pub', 'readme.sym', 'readme.txt']);
  });
});

describeContract('checksum', ({ open, test }) => {
  test('is what sha256sum and md5sum print', async (t) => {
    const { sftp, folder } = await open(t);
    const content = readFileSync(join(folder, 'readme.txt'));
    for (const algorithm of ['sha256', 'md5']) {
      const expected = createHash(algorithm).update(content).digest('hex');
      assert.equal(await sftp.checksum('readme.txt', algorithm), expected);
    }
    assert.equal(await sftp.checksum('readme.sym'), createHash('sha256').update(content).digest('hex'));
  });

  test('rejects for what is not there, and for a directory', async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.checksum('nowhere'), { code: 'ENOENT' });
    await assert.rejects(sftp.checksum('pub'), { code: 'EISDIR' });
  });
});

describeContract('the file system', ({ open, test }) => {
  test('statvfs tells what df prints', async (t) => {
    const { sftp } = await open(t);
    const figures = await sftp.statvfs();
    assert.ok(figures.size > 0 && figures.available > 0);
    assert.equal(figures.used, figures.size - figures.free);
    assert.ok(figures.usedPercent >= 0 && figures.usedPercent <= 100);
    assert.equal(figures.isReadOnly, false);
    assert.equal(BigInt(figures.size), figures.raw.blocks * figures.raw.fragmentSize);
  });

  test('expandPath and homeDirectory know ~', async (t) => {
    const { sftp, home, login } = await open(t);
    const at = await sftp.homeDirectory();
    assert.equal(await sftp.expandPath('~'), at);
    assert.equal(await sftp.expandPath('~/'), at);
    assert.equal(await sftp.expandPath('pub'), `${home}/pub`);
    assert.equal(await sftp.homeDirectory(login.username), at);
    assert.equal(await sftp.expandPath(`~${login.username}`), at);
  });
});

describeOpenSsh('a server that only says "Failure"', ({ open, test }) => {
  test('the error tells what is in the way', async (t) => {
    const { sftp, folder, home } = await open(t);
    mkdirSync(join(folder, 'empty'));
    const [file, directory] = [`'${home}/readme.txt'`, `'${home}/pub'`];
    const calls: readonly (readonly [() => Promise<void>, string, string])[] = [
      [
        () => sftp.mkdir('pub'),
        'EEXIST',
        `mkdir ${directory}: there is a directory already; makedirs takes what is there`,
      ],
      [
        () => sftp.remove('pub'),
        'EISDIR',
        `remove ${directory}: it is a directory; rmdir and rmtree remove directories`,
      ],
      [
        () => sftp.rmdir('pub'),
        'ENOTEMPTY',
        `rmdir ${directory}: it is not empty; rmtree removes a directory with its content`,
      ],
      [
        () => sftp.rename('pub', 'readme.txt'),
        'EEXIST',
        `rename ${directory} to ${file}: there is a file already; posixRename replaces files`,
      ],
      [
        () => sftp.symlink('x', 'readme.txt'),
        'EEXIST',
        `symlink 'x' to ${file}: there is a file already; remove it first`,
      ],
    ];
    for (const [call, code, message] of calls) {
      await assert.rejects(call, (error: SftpStatusError) => {
        const { name, operation, status, serverMessage } = error;
        assert.equal(error.message, `${message} (SSH_FX_FAILURE, the server says: Failure)`);
        assert.deepEqual(
          { name, code: error.code, operation, status, serverMessage },
          {
            name: 'SftpStatusError',
            code,
            operation: message.split(' ')[0],
            status: 4,
            serverMessage: 'Failure',
          },
        );
        assert.equal((error.cause as SftpStatusError).code, 'FAILURE');
        return true;
      });
    }
    await assert.rejects(sftp.rmdir('readme.txt'), {
      code: 'ENOTDIR',
      message: `rmdir ${file}: it is a file, not a directory; use remove (SSH_FX_NO_SUCH_FILE, the server says: No such file)`,
    });
  });
});

describeOpenSsh('permissions', ({ open, test }) => {
  test('a mode without the right to read shows in stModeToInt', async (t) => {
    const { sftp, folder } = await open(t);
    chmodSync(join(folder, 'readme.txt'), 0o007);
    assert.equal(stModeToInt((await sftp.stat('readme.txt')).mode ?? -1), 7);
  });
});
