/** The table in docs/from-pysftp.md names what there is, and all of it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { describe, test } from 'node:test';
import * as api from '../../../src/index.js';
import { startServer } from '../../../src/testing/index.js';
import { connectToServer } from '../../support/login.js';

const rows = (await readFile('docs/from-pysftp.md', 'utf8'))
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.split('|').map((cell) => cell.trim()));

/** What is in code marks: `Connection.cd(path, body)` → `Connection.cd`. */
function namesIn(cell = ''): string[] {
  return [...cell.matchAll(/`([\w.]+)[^`]*`/g)].map(([, name = '']) => name);
}

const shown = new Set(rows.flatMap((cells) => cells.slice(1).flatMap(namesIn)));

/** As its documentation lists them. */
const PYSFTP = [
  'CnOpts get_hostkey hostkeys log compression ciphers Connection active_ciphers active_compression cd chdir chmod',
  'chown close cwd execute exists get get_d get_r getcwd getfo isdir isfile lexists listdir listdir_attr logfile',
  'lstat makedirs mkdir normalize open put put_d put_r putfo pwd readlink remote_server_key remove rename rmdir',
  'security_options sftp_client stat symlink timeout truncate unlink walktree path_advance path_retreat reparent',
  'st_mode_to_int known_hosts WTCallbacks username private_key password port private_key_pass cnopts default_path',
  'ConnectionException CredentialException SSHException AuthenticationException PasswordRequiredException',
  'HostKeysException IOError OSError',
].flatMap((line) => line.split(' '));

describe('docs/from-pysftp.md', () => {
  test('names everything that pysftp documents', () => {
    const old = new Set(rows.flatMap((cells) => namesIn(cells[1])).map((name) => name.split('.').at(-1)));
    assert.deepEqual(
      PYSFTP.filter((name) => !old.has(name)),
      [],
    );
  });

  test('names everything that is exported', () => {
    assert.deepEqual(
      Object.keys(api).filter((name) => !shown.has(name)),
      [],
    );
  });

  test('names every method and property of Connection, and none that is not there', async (t) => {
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    const sftp = await connectToServer(server);
    t.after(() => sftp.close());
    const names = [...Object.getOwnPropertyNames(Object.getPrototypeOf(sftp)), ...Object.keys(sftp)];
    const members = names.filter((name) => name !== 'constructor').map((name) => `Connection.${name}`);
    const documented = [...shown].filter((name) => name.startsWith('Connection.'));
    assert.deepEqual(documented.toSorted(), members.sort());
  });
});
