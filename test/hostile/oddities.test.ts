/** Servers that are odd and mean no harm: a round through the API with longer files than the contract's. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startServer, type TestServer } from '../../src/testing/index.js';
import { declareCompactSuite } from '../support/compact-suite.js';
import { connectToServer } from '../support/login.js';
import { type Oddity, oddities } from '../support/oddities.js';

function start(
  { faults = {}, extensions }: Oddity,
  files: Readonly<Record<string, string>> = {},
): Promise<TestServer> {
  return startServer({ files }, { faults, ...(extensions && { extensions }) });
}

for (const [name, oddity] of Object.entries<Oddity>(oddities)) {
  describe(`a server that ${name}`, () => {
    let server: TestServer;
    before(async () => {
      server = await start(oddity);
    });
    after(() => server?.close());
    declareCompactSuite(() => ({ root: '/', connect: () => connectToServer(server) }), oddity);
  });
}

describe('what an odd server does not tell', () => {
  test('without REALPATH a copy over a link keeps the file, although it cannot be seen to be the same', async (t) => {
    for (const extensions of [undefined, []]) {
      const server = await start(
        { faults: { noRealpath: true }, ...(extensions && { extensions }) },
        { file: 'content' },
      );
      t.after(() => server.close());
      await using sftp = await connectToServer(server);
      await sftp.symlink('/file', '/link');
      for (const atomic of [true, false]) {
        await sftp.copy('/link', '/file', { atomic });
        assert.equal(String(await sftp.readFile('/file')), 'content');
      }
    }
  });

  test('without REALPATH a relative current directory has no absolute form', async (t) => {
    const server = await start({ faults: { noRealpath: true } }, { 'd/file': 'content' });
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    await sftp.chdir('d');
    await assert.rejects(sftp.pwd(), { code: 'ENOTSUP' });
    assert.equal(String(await sftp.readFile('file')), 'content');
    await sftp.chdir('/d');
    assert.equal(await sftp.pwd(), '/d');
  });

  test('without types and long names, links are still no directories', async (t) => {
    const server = await start(
      { faults: { noFileType: true, noLongname: true } },
      { 'd/kept': 'kept', 'tree/file': 'content' },
    );
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    await sftp.symlink('/d', '/tree/link');
    await assert.rejects(sftp.rmtree('/tree/link'), { code: 'ENOTDIR' });
    assert.equal((await sftp.lstat('/tree/link')).isSymbolicLink(), true);
    assert.deepEqual(
      [await sftp.isdir('/d'), await sftp.isfile('/d'), await sftp.isfile('/tree/file')],
      [true, false, true],
    );
    await sftp.rmtree('/tree');
    assert.equal(String(await sftp.readFile('/d/kept')), 'kept');
  });

  test('a directory that nobody may open has no known type, and is there', async (t) => {
    const failOn = ({ kind }: { kind: string }) => (kind === 'opendir' ? 'EACCES' : undefined);
    const server = await start({ faults: { noFileType: true, failOn } }, { 'd/file': 'content' });
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    assert.equal((await sftp.stat('/d')).type, 'unknown');
    assert.deepEqual([await sftp.exists('/d'), await sftp.isdir('/d')], [true, false]);
    await sftp.chdir('/d');
    assert.equal(String(await sftp.readFile('file')), 'content');
  });

  test('a walk goes on where there are few handles and nobody says so', async (t) => {
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`wide/${index}/x`, '']));
    for (const maxHandles of [1, 2, 5]) {
      const server = await start({ faults: { maxHandles }, extensions: [] }, files);
      t.after(() => server.close());
      await using sftp = await connectToServer(server);
      let count = 0;
      for await (const _ of sftp.walk('/wide')) count += 1;
      assert.equal(count, 80);
      assert.equal(server.counters.openHandles, 0);
    }
  });

  test('a directory that never opens fails, and is not tried without end', async (t) => {
    let tries = 0;
    const failOn = ({ kind, path }: { kind: string; path: string | undefined }) => {
      if (kind !== 'opendir' || path !== '/wide/7') return undefined;
      tries += 1;
      return 'EIO';
    };
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`wide/${index}/x`, '']));
    const server = await start({ faults: { failOn } }, files);
    t.after(() => server.close());
    await using sftp = await connectToServer(server);
    await assert.rejects(
      async () => {
        for await (const _ of sftp.walk('/wide'));
      },
      { name: 'SftpStatusError', operation: 'opendir' },
    );
    assert.ok(tries >= 1 && tries <= 6, `${tries} tries`);
  });
});
