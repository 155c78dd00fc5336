/** The same round through the API on servers that others have written; docs/interoperability.md has the matrix. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { declareCompactSuite, type Expectations } from '../../support/compact-suite.js';
import { makeFolder } from '../../support/folder.js';
import { independentServers, type RunningServer, startProftpd } from '../../support/independent-servers.js';

interface Known extends Expectations {
  /** The extensions that our client uses. */
  readonly extensions: readonly string[];
  readonly symlinkOrder?: 'openssh' | 'draft' | 'none';
  /** Default: true. */
  readonly keepsTimes?: boolean;
}

const openSsh = ['posix-rename@openssh.com', 'fsync@openssh.com', 'limits@openssh.com', 'copy-data'];

/** What we know of each, and rely on: a new version that differs shows here. */
const known: Readonly<Record<string, Known>> = {
  'OpenSSH sshd': { extensions: openSsh },
  'Dropbear with sftp-server': { extensions: openSsh },
  'Green End SFTP server': {
    extensions: ['posix-rename@openssh.com', 'fsync@openssh.com'],
    symlinkOrder: 'draft',
  },
  'lsh sftp-server': {
    extensions: [],
    renameReplaces: true,
    symlinkOrder: 'draft',
    keepsTimes: false,
  },
  'Net::SFTP::SftpServer (Perl)': {
    extensions: [],
    renameReplaces: true,
    symlinkOrder: 'none',
    keepsTimes: false,
  },
  'ProFTPD mod_sftp': { extensions: ['posix-rename@openssh.com', 'fsync@openssh.com'] },
  'rclone (Go, pkg/sftp)': {
    extensions: ['posix-rename@openssh.com'],
    renameReplaces: true,
    symlinkOrder: 'none',
  },
  asyncssh: { extensions: ['posix-rename@openssh.com', 'fsync@openssh.com'], symlinkOrder: 'draft' },
  paramiko: { extensions: [] },
  'Erlang ssh_sftpd': { extensions: [], symlinkOrder: 'draft' },
  'Twisted Conch': { extensions: [], renameReplaces: true, symlinkOrder: 'draft' },
  'pkg/sftp (Go)': { extensions: ['posix-rename@openssh.com'], renameReplaces: true },
  'ssh2 (npm)': { extensions: [], renameReplaces: true, symlinkOrder: 'draft' },
};

const proftpd = independentServers.find(({ name }) => name.startsWith('ProFTPD'));

describe('with a ProFTPD that denies SITE_CHMOD', { skip: proftpd?.skip }, () => {
  let server: RunningServer;
  before(async () => {
    server = await startProftpd(['<Limit SITE_CHMOD>', 'DenyAll', '</Limit>']);
  });
  after(() => server?.stop());

  test('files are replaced and mirrored, and the report tells that permissions were refused', async (t) => {
    const sftp = await server.connect();
    t.after(() => sftp.close());
    await sftp.chdir(server.root);
    const source = makeFolder(t);
    for (const content of ['old', 'a newer one']) {
      writeFileSync(join(source, 'file'), content, { mode: 0o600 });
      await sftp.put(join(source, 'file'), 'put', { atomic: true });
      await sftp.put(join(source, 'file'), 'kept', { preserveMode: true });
      await sftp.mirror(source, 'mirror', { direction: 'up' });
    }
    for (const name of ['put', 'kept', 'mirror/file']) {
      assert.equal(String(await sftp.readFile(name)), 'a newer one', name);
    }
    assert.equal((await sftp.mirror(source, 'mirror', { direction: 'up' })).kept, 1);
    const { notPreserved } = await sftp.putR(source, 'tree', { preserveMode: true });
    assert.equal(notPreserved.length, 1);
  });
});

for (const { name, skip, start } of independentServers) {
  describe(`with ${name}`, { skip }, () => {
    let server: RunningServer;
    const {
      extensions,
      symlinkOrder = 'openssh',
      keepsTimes = true,
      ...expected
    } = known[name] ?? { extensions: [] };
    before(async () => {
      server = await start();
    });
    after(() => server?.stop());

    declareCompactSuite(() => server, expected);

    test('the extensions are those of the matrix', async (t) => {
      const sftp = await server.connect();
      t.after(() => sftp.close());
      const found = openSsh.filter((extension) => sftp.sftpClient.extensions.includes(extension));
      assert.deepEqual(found.sort(), [...extensions].sort());
    });

    test(`symlink has its arguments in the order of the matrix: ${symlinkOrder}`, async (t) => {
      const sftp = await server.connect();
      t.after(() => sftp.close());
      await sftp.chdir(server.root);
      await sftp.writeFile('target', 'content');
      const order = symlinkOrder === 'draft' ? 'draft' : 'openssh';
      // Twisted counts what a link says from the home directory; in a jail an absolute path leads elsewhere.
      const target = server.root === '/' ? 'target' : `${server.root}/target`;
      const linking = sftp.symlink(target, 'link', { order });
      if (symlinkOrder === 'none') {
        // One does not know links, the other does not allow them.
        await assert.rejects(linking, { code: /^(ENOTSUP|EACCES)$/ });
        return;
      }
      await linking;
      assert.equal(String(await sftp.readFile('link')), 'content');
    });

    test('a second mirror has nothing to do, and the times are those of the source', async (t) => {
      const sftp = await server.connect();
      t.after(() => sftp.close());
      const target = `${server.root.replace(/\/$/, '')}/mirror`;
      const source = makeFolder(t);
      const names = Array.from({ length: 40 }, (_, index) => `file ${index}`);
      for (const [index, name] of names.entries()) {
        writeFileSync(join(source, name), randomBytes(index * 1000 + 1));
        utimesSync(join(source, name), 1_000_000_000, 1_000_000_000 + index);
      }
      const first = await sftp.mirror(source, target, { direction: 'up' });
      assert.deepEqual([first.created, first.notPreserved.length], [40, keepsTimes ? 0 : 40]);
      const second = await sftp.mirror(source, target, { direction: 'up' });
      assert.deepEqual([second.created, second.updated, second.kept], [0, 0, 40]);
      const reasons = new Set(second.plan.map(({ reason }) => reason));
      assert.deepEqual([...reasons], [keepsTimes ? 'same' : 'times-refused']);
      if (!keepsTimes) return;
      const times = (await sftp.listdirAttr(target)).map(({ filename = '', mtime }) => [filename, mtime]);
      assert.deepEqual(
        new Map(times as [string, number][]),
        new Map(names.map((name, index) => [name, 1_000_000_000 + index])),
      );
    });

    test('100 calls at once are answered', async (t) => {
      const sftp = await server.connect();
      t.after(() => sftp.close());
      await Promise.all(Array.from({ length: 100 }, () => sftp.stat(server.root)));
    });
  });
}
