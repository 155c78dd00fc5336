import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Connection, ConnectionLostError, connect } from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';
import { type ServerUnderTest, serverKinds } from '../../support/servers.js';

for (const { name, skip, start } of serverKinds) {
  describe(`a connection to ${name}`, { skip }, () => {
    let server: ServerUnderTest;
    let sftp: Connection;
    before(async () => {
      server = await start();
      for (const directory of ['a/b/c', 'one', 'two', 'with space']) {
        mkdirSync(join(server.folder, directory), { recursive: true });
      }
      for (const directory of ['one', 'two'])
        writeFileSync(join(server.folder, directory, 'name'), directory);
      symlinkSync('a/b', join(server.folder, 'link'));
      symlinkSync('nowhere', join(server.folder, 'dangling'));
      sftp = await server.connect();
    });
    after(async () => {
      await sftp?.close();
      await server?.stop();
    });

    test('begins nowhere in particular, and where defaultPath says', async () => {
      const fresh = await server.connect();
      assert.equal(fresh.getcwd(), null);
      assert.match(await fresh.pwd(), /^\//);
      await fresh.close();
      const there = await server.connect({ defaultPath: server.path('one') });
      assert.equal(there.getcwd(), server.path('one'));
      assert.deepEqual(await there.listdir(), ['name']);
      await there.close();
    });

    test('chdir goes there, and a failure leaves the directory as it was', async () => {
      const own = await server.connect();
      await own.chdir(server.path('a'));
      await own.cwd('b/c');
      assert.equal(own.getcwd(), server.path('a/b/c'));
      await own.chdir('..');
      assert.equal(own.getcwd(), server.path('a/b'));
      await assert.rejects(own.chdir('missing'), { name: 'SftpStatusError', code: 'ENOENT' });
      await assert.rejects(own.chdir(server.path('one/name')), { name: 'SftpStatusError', code: 'ENOTDIR' });
      await assert.rejects(own.chdir(''), TypeError);
      assert.equal(own.getcwd(), server.path('a/b'));
      await own.chdir(server.path('link'));
      assert.equal(await own.pwd(), server.path('a/b'));
      await own.close();
    });

    test('cd is for its function alone, and nests', async () => {
      assert.equal(sftp.getcwd(), null);
      const result = await sftp.cd(server.path('a'), async () => {
        assert.equal(sftp.getcwd(), server.path('a'));
        await sftp.cd('b', async () => {
          assert.deepEqual(await sftp.listdir(), ['c']);
          await sftp.chdir('c');
          assert.equal(sftp.getcwd(), server.path('a/b/c'));
        });
        assert.equal(sftp.getcwd(), server.path('a'));
        return 'result';
      });
      assert.equal(result, 'result');
      assert.equal(sftp.getcwd(), null);
    });

    test('cd restores also where its function throws, and leaves all as it was where the path is bad', async () => {
      const failing = sftp.cd(server.path('a'), () => {
        throw new Error('mine');
      });
      await assert.rejects(failing, { message: 'mine' });
      let hasRun = false;
      const bad = sftp.cd(server.path('missing'), () => {
        hasRun = true;
      });
      await assert.rejects(bad, { code: 'ENOENT' });
      assert.equal(hasRun, false);
      assert.equal(sftp.getcwd(), null);
    });

    test('two callbacks side by side see their own directories, and so does whoever is outside', async () => {
      const look = (directory: string) =>
        sftp.cd(server.path(directory), async () => {
          for (let turn = 0; turn < 10; turn += 1) {
            assert.equal(sftp.getcwd(), server.path(directory));
            assert.equal(await sftp.normalize('name'), server.path(`${directory}/name`));
            await sftp.chdir('.');
          }
        });
      const outside = async () => {
        for (let turn = 0; turn < 20; turn += 1) {
          assert.equal(sftp.getcwd(), null);
          await sftp.stat(server.path('one'));
        }
      };
      await Promise.all([look('one'), look('two'), outside(), look('one')]);
    });

    test('cd with await using restores at the end of the block, and without a path marks the place', async () => {
      const own = await server.connect({ defaultPath: server.path('a') });
      {
        await using _ = await own.cd('b');
        assert.equal(own.getcwd(), server.path('a/b'));
        {
          await using _bookmark = await own.cd();
          await own.chdir('c');
        }
        assert.equal(own.getcwd(), server.path('a/b'));
      }
      assert.equal(own.getcwd(), server.path('a'));
      await own.cd(async () => own.chdir('b'));
      assert.equal(own.getcwd(), server.path('a'));
      await own.close();
    });

    test('exists, lexists, isdir and isfile follow links, save lexists', async () => {
      const answers = async (path: string) => {
        const full = server.path(path);
        return [
          await sftp.exists(full),
          await sftp.lexists(full),
          await sftp.isdir(full),
          await sftp.isfile(full),
        ];
      };
      assert.deepEqual(await answers('one'), [true, true, true, false]);
      assert.deepEqual(await answers('one/name'), [true, true, false, true]);
      assert.deepEqual(await answers('link'), [true, true, true, false]);
      assert.deepEqual(await answers('dangling'), [false, true, false, false]);
      assert.deepEqual(await answers('missing'), [false, false, false, false]);
      assert.deepEqual(await answers('one/name/below'), [false, false, false, false]);
    });

    test('makedirs makes what is missing, twice at once too, and names the file in the way', async () => {
      const path = server.path('made/by/makedirs/');
      await Promise.all([sftp.makedirs(path), sftp.makedirs(path), sftp.makedirs(path)]);
      await sftp.makedirs(path, 700);
      assert.equal(await sftp.isdir(path), true);
      await assert.rejects(sftp.makedirs(server.path('one/name/x/y')), {
        code: 'ENOTDIR',
        message: /a file is in the way at '.*one\/name'/,
      });
      await assert.rejects(sftp.makedirs(path, 0o777), RangeError);
    });

    test('rename, remove and rmdir change one thing each', async () => {
      const path = (file: string) => server.path(`with space/${file}`);
      await sftp.mkdir(path('d'));
      await assert.rejects(sftp.mkdir(path('d')), { name: 'SftpStatusError' });
      writeFileSync(join(server.folder, 'with space/f'), 'f');
      writeFileSync(join(server.folder, 'with space/g'), 'g');
      await assert.rejects(sftp.rename(path('f'), path('g')), { name: 'SftpStatusError' });
      await sftp.rename(path('f'), path('f'));
      await assert.rejects(sftp.rename(path('no'), path('no')), { code: 'ENOENT' });
      await sftp.rename(path('f'), path('h'));
      assert.deepEqual(await sftp.listdir(server.path('with space')), ['d', 'g', 'h']);
      await assert.rejects(sftp.remove(path('d')), { name: 'SftpStatusError' });
      await assert.rejects(sftp.rmdir(path('g')), { name: 'SftpStatusError' });
      await sftp.rmdir(path('d'));
      await sftp.remove(path('g'));
      await sftp.unlink(path('h'));
      assert.deepEqual(await sftp.listdir(server.path('with space')), []);
    });

    test('A1: paths that cannot be meant are refused, and nothing is sent', async () => {
      for (const path of ['', 'a\0b', 'a\ud800', 'x'.repeat(70_000)]) {
        await assert.rejects(sftp.stat(path), /TypeError|RangeError/);
        await assert.rejects(sftp.get(path, 'never'), /TypeError|RangeError/);
        await assert.rejects(sftp.put('/etc/passwd', path), /TypeError|RangeError/);
      }
      await assert.rejects(sftp.get('x', ''), TypeError);
      await assert.rejects(sftp.get('x', 'a\0b'), TypeError);
      await assert.rejects(sftp.put('', 'x'), TypeError);
    });

    test('A4: a thousand calls at once each settle once', async () => {
      const answers = await Promise.all(
        Array.from({ length: 1000 }, (_, index) =>
          index % 2 === 0 ? sftp.exists(server.path('one')) : sftp.exists(server.path('missing')),
        ),
      );
      assert.deepEqual(
        answers,
        answers.map((_, index) => index % 2 === 0),
      );
    });

    test('A4: close may be called twice, and whatever comes later rejects with its reason', async () => {
      const own = await server.connect();
      const pending = Promise.allSettled([
        own.stat('.'),
        own.listdir('.'),
        own.get(server.path('one/name'), '/x/y'),
      ]);
      await Promise.all([own.close(), own.close()]);
      await own.close();
      const later = await Promise.allSettled([
        own.stat('.'),
        own.listdir(),
        own.put('/etc/passwd', 'x'),
        own.getR('x', '/nowhere/at/all'),
        own.chdir('x'),
        own.cd('x', () => {}),
        own.execute('ls'),
      ]);
      for (const result of [...(await pending), ...later]) {
        assert.ok(result.status === 'rejected');
        assert.ok(result.reason instanceof ConnectionLostError, String(result.reason));
        assert.equal(result.reason.code, 'CLOSED');
      }
      assert.equal(own.getcwd(), null);
    });

    test('await using closes', async () => {
      let kept: Connection;
      {
        await using own = await server.connect();
        kept = own;
        assert.equal(await own.exists(server.path('one')), true);
      }
      await assert.rejects(kept.stat('.'), { code: 'CLOSED' });
    });

    test('a call that takes longer than timeout rejects, and the session goes on', async () => {
      const own = await server.connect();
      assert.equal(own.timeout, null);
      own.timeout = 30_000;
      assert.equal(own.timeout, 30_000);
      assert.throws(() => {
        own.timeout = -1;
      }, RangeError);
      assert.equal(await own.exists(server.path('one')), true);
      await own.close();
    });

    test('what was negotiated can be asked', () => {
      assert.equal(
        sftp.remoteServerKey.type.startsWith('ssh-') || sftp.remoteServerKey.type.startsWith('ecdsa'),
        true,
      );
      assert.match(sftp.remoteServerKey.fingerprint, /^SHA256:/);
      assert.equal(sftp.activeCiphers.length, 2);
      assert.deepEqual(sftp.activeCompression, ['none', 'none']);
    });
  });
}

describe('the forms of connect', () => {
  test('a host and options, options with the host, and a URL lead to the same server', async (t) => {
    const server = await startServer(
      { files: { 'start here/file': 'x' } },
      { users: { 'me@home': 'p:@/ß' } },
    );
    t.after(() => server.close());
    const cnopts = { fingerprint: server.hostKey.fingerprint, hostkeys: null, agent: false } as const;
    const options = { port: server.port, username: 'me@home', password: 'p:@/ß', cnopts };
    const login = `${encodeURIComponent('me@home')}:${encodeURIComponent('p:@/ß')}`;
    const connections = await Promise.all([
      connect(server.host, options),
      connect({ host: server.host, ...options }),
      connect(`sftp://${login}@${server.host}:${server.port}/start%20here`, { cnopts }),
    ]);
    for (const sftp of connections) assert.deepEqual(await sftp.listdir('/start here'), ['file']);
    assert.equal(connections[2]?.getcwd(), '/start here');
    await Promise.all(connections.map((sftp) => sftp.close()));
  });

  test('servers without REALPATH, with drives, without types or sizes are borne', async (t) => {
    for (const faults of [
      { noRealpath: true },
      { windowsPaths: true },
      { noFileType: true, noLongname: true },
    ]) {
      const server = await startServer({ files: { 'dir/file': 'content', 'dir/sub/': '' } }, { faults });
      t.after(() => server.close());
      const sftp = await connectToServer(server, { defaultPath: '/dir' });
      assert.deepEqual(await sftp.listdir(), ['file', 'sub']);
      assert.match(String(sftp.getcwd()), /\/dir$/);
      await sftp.cd('sub', async () => assert.deepEqual(await sftp.listdir(), []));
      await sftp.close();
    }
  });
});
