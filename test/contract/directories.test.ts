import assert from 'node:assert/strict';
import { lstatSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '../../src/index.js';
import { describeContract } from './world.js';

describeContract('the current directory', ({ open, test }) => {
  test('pwd is the normal form of the current directory', async (t) => {
    const { sftp, home } = await open(t);
    assert.equal(await sftp.pwd(), home);
    assert.equal(await sftp.pwd(), await sftp.normalize('.'));
  });

  test('getcwd is null until chdir has been called, and then the path', async (t) => {
    const { login, home } = await open(t);
    await using sftp = await connect(login);
    assert.equal(sftp.getcwd(), null);
    assert.match(await sftp.pwd(), /^\//);
    await sftp.chdir(home);
    assert.equal(sftp.getcwd(), home);
  });

  test('chdir changes it, and cwd is a synonym', async (t) => {
    const { sftp, home } = await open(t);
    await sftp.chdir('pub');
    assert.equal(await sftp.pwd(), `${home}/pub`);
    await sftp.cwd('foo1');
    assert.equal(await sftp.pwd(), `${home}/pub/foo1`);
    await sftp.cwd('..');
    assert.deepEqual(await sftp.listdir(), ['foo1', 'foo2', 'make.txt']);
  });

  test('chdir rejects if the path does not exist, or is a file, and nothing changes', async (t) => {
    const { sftp, home } = await open(t);
    await assert.rejects(sftp.chdir('nowhere'), { name: 'SftpStatusError', code: 'ENOENT' });
    await assert.rejects(sftp.chdir('readme.txt'), { name: 'SftpStatusError', code: 'ENOTDIR' });
    assert.equal(sftp.getcwd(), home);
  });

  test('cd changes it temporarily, and restores it', async (t) => {
    const { sftp, home } = await open(t);
    await sftp.cd('pub', async () => {
      await sftp.chdir('foo2');
      await sftp.chdir('bar1');
      assert.equal(await sftp.pwd(), `${home}/pub/foo2/bar1`);
    });
    assert.equal(await sftp.pwd(), home);
    {
      await using _ = await sftp.cd('pub');
      assert.equal(await sftp.pwd(), `${home}/pub`);
    }
    assert.equal(await sftp.pwd(), home);
  });

  test('cd without a path is a bookmark', async (t) => {
    const { sftp, home } = await open(t);
    await sftp.cd(async () => {
      await sftp.chdir('pub');
      await sftp.chdir('foo1');
    });
    assert.equal(await sftp.pwd(), home);
    {
      await using _ = await sftp.cd();
      await sftp.chdir('pub');
    }
    assert.equal(await sftp.pwd(), home);
  });

  test('cd nests, and restores when its body throws', async (t) => {
    const { sftp, home } = await open(t);
    await sftp.cd('pub', async () => {
      await assert.rejects(
        sftp.cd('foo1', async () => {
          throw new Error('no');
        }),
        new Error('no'),
      );
      assert.equal(await sftp.pwd(), `${home}/pub`);
    });
    assert.equal(sftp.getcwd(), home);
  });

  test("cd rejects if the path doesn't exist", async (t) => {
    const { sftp, home } = await open(t);
    await assert.rejects(sftp.cd('nowhere'), { code: 'ENOENT' });
    await assert.rejects(
      sftp.cd('nowhere', () => assert.fail('not called')),
      { code: 'ENOENT' },
    );
    assert.equal(sftp.getcwd(), home);
  });

  test('what happens inside one cd is not seen by what runs beside it', async (t) => {
    const { sftp, home } = await open(t);
    const [inside, beside] = await Promise.all([
      sftp.cd('pub', async () => {
        await sftp.listdir();
        return sftp.pwd();
      }),
      sftp.cd('pub/foo1', () => sftp.pwd()),
    ]);
    assert.deepEqual([inside, beside, await sftp.pwd()], [`${home}/pub`, `${home}/pub/foo1`, home]);
  });
});

describeContract('listdir', ({ open, test }) => {
  test("lists '.' unless told otherwise, sorted", async (t) => {
    const { sftp } = await open(t);
    assert.deepEqual(await sftp.listdir(), ['pub', 'readme.sym', 'readme.txt']);
    assert.deepEqual(await sftp.listdir('pub'), ['foo1', 'foo2', 'make.txt']);
  });

  test('listdir_attr is sorted by filename, without . and .., with a longname', async (t) => {
    const { sftp } = await open(t);
    const entries = await sftp.listdirAttr();
    assert.deepEqual(
      entries.map(({ filename }) => filename),
      ['pub', 'readme.sym', 'readme.txt'],
    );
    for (const entry of entries) assert.ok(entry.longname.endsWith(entry.filename));
    assert.match(String(entries[0]), /^d[rwx-]{9} .* pub$/);
    assert.match(String(entries[1]), /^l[rwx-]{9} .* readme\.sym$/);
    assert.match(String(entries[2]), /^-[rwx-]{9} .* 8192 .* readme\.txt$/);
  });

  test('rejects for what is not there, and for a file', async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.listdir('nowhere'), { code: 'ENOENT' });
    await assert.rejects(sftp.listdirAttr('readme.txt'));
  });
});

describeContract('exists, lexists, isdir, isfile', ({ open, test }) => {
  test('tell what is there', async (t) => {
    const { sftp, folder } = await open(t);
    symlinkSync('nowhere', join(folder, 'broken'));
    symlinkSync('pub', join(folder, 'dir.sym'));
    const seen: Record<string, readonly boolean[]> = {};
    for (const path of ['readme.txt', 'pub', 'readme.sym', 'dir.sym', 'broken', 'nowhere', 'readme.txt/x']) {
      seen[path] = await Promise.all([
        sftp.exists(path),
        sftp.lexists(path),
        sftp.isdir(path),
        sftp.isfile(path),
      ]);
    }
    assert.deepEqual(seen, {
      'readme.txt': [true, true, false, true],
      pub: [true, true, true, false],
      'readme.sym': [true, true, false, true],
      'dir.sym': [true, true, true, false],
      broken: [false, true, false, false],
      nowhere: [false, false, false, false],
      'readme.txt/x': [false, false, false, false],
    });
  });
});

describeContract('stat, lstat, normalize', ({ open, test }) => {
  test('stat gives the attributes, of a link those of its target', async (t) => {
    const { sftp } = await open(t);
    const attributes = await sftp.stat('readme.sym');
    assert.equal(attributes.size, 8192);
    assert.ok(attributes.isFile());
  });

  test('lstat gives those of the link itself', async (t) => {
    const { sftp, folder } = await open(t);
    const attributes = await sftp.lstat('readme.sym');
    assert.ok(attributes.isSymbolicLink());
    assert.equal(attributes.size, lstatSync(join(folder, 'readme.sym')).size);
  });

  test('both reject for what is not there', async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.stat('nowhere'), { code: 'ENOENT' });
    await assert.rejects(sftp.lstat('nowhere'), { code: 'ENOENT' });
  });

  test('normalize gives the absolute path, links resolved', async (t) => {
    const { sftp, home } = await open(t);
    assert.equal(await sftp.normalize('pub/../readme.sym'), `${home}/readme.txt`);
    assert.equal(await sftp.normalize('.'), home);
  });

  test("normalize rejects if the path can't be resolved", async (t) => {
    const { sftp } = await open(t);
    await assert.rejects(sftp.normalize('no/such/path'), { code: 'ENOENT' });
  });
});
