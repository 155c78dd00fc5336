/** The same round through the API on servers that others have written; docs/interoperability.md has the matrix. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { declareCompactSuite, type Expectations } from '../../support/compact-suite.js';
import { independentServers, type RunningServer } from '../../support/independent-servers.js';

interface Known extends Expectations {
  /** The extensions that our client uses. */
  readonly extensions: readonly string[];
  readonly symlinkOrder?: 'openssh' | 'draft' | 'none';
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
  'lsh sftp-server': { extensions: [], renameReplaces: true, symlinkOrder: 'draft' },
  'Net::SFTP::SftpServer (Perl)': { extensions: [], renameReplaces: true, symlinkOrder: 'none' },
  'ProFTPD mod_sftp': { extensions: ['posix-rename@openssh.com', 'fsync@openssh.com'] },
  'rclone (Go, pkg/sftp)': {
    extensions: ['posix-rename@openssh.com'],
    renameReplaces: true,
    symlinkOrder: 'none',
  },
  asyncssh: { extensions: ['posix-rename@openssh.com', 'fsync@openssh.com'], symlinkOrder: 'draft' },
  paramiko: { extensions: [] },
};

for (const { name, skip, start } of independentServers) {
  describe(`with ${name}`, { skip }, () => {
    let server: RunningServer;
    const { extensions, symlinkOrder = 'openssh', ...expected } = known[name] ?? { extensions: [] };
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
      const linking = sftp.symlink('target', 'link', { order });
      if (symlinkOrder === 'none') {
        // One does not know links, the other does not allow them.
        await assert.rejects(linking, { code: /^(ENOTSUP|EACCES)$/ });
        return;
      }
      await linking;
      assert.equal(String(await sftp.readFile('link')), 'content');
    });

    test('100 calls at once are answered', async (t) => {
      const sftp = await server.connect();
      t.after(() => sftp.close());
      await Promise.all(Array.from({ length: 100 }, () => sftp.stat(server.root)));
    });
  });
}
