/** A user as containers have them: with neither a home nor an entry in the user database. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { startServer, type TestServer } from '../../../src/testing/index.js';

const needsRoot = process.getuid?.() === 0 ? false : 'needs root';
/** Nobody has this one. */
const UID = 54_321;

const SCRIPT = `
  import { connect } from ${JSON.stringify(new URL('../../../src/index.ts', import.meta.url).href)};
  const { host, port, username, password, fingerprint } = JSON.parse(process.argv[1]);
  const say = async (call) => {
    try {
      const sftp = await call();
      const told = await sftp?.normalize?.('.');
      await sftp?.close?.();
      return told ?? 'done';
    } catch (error) {
      return (error.code ?? error.name) + ': ' + error.message;
    }
  };
  const login = { port, username, password };
  const all = {
    given: await say(() => connect(host, { ...login, cnopts: { fingerprint } })),
    noCheck: await say(() => connect(host, { ...login, cnopts: { hostkeys: null, config: true } })),
    noName: await say(() => connect(host, { port, password, cnopts: { fingerprint } })),
    noHosts: await say(() => connect(host, login)),
    acceptNew: await say(() => connect(host, { ...login, cnopts: { hostKeyPolicy: 'accept-new' } })),
    noKeys: await say(() => connect(host, { port, username, cnopts: { fingerprint } })),
    tilde: await say(() => connect(host, { ...login, cnopts: { knownhosts: '~/known' } })),
  };
  process.stdout.write(JSON.stringify(all));
`;

describe('a user without a home and without a name', { skip: needsRoot }, () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ files: {} });
  });
  after(() => server?.close());

  test('needs neither where nothing is asked of them, and is told which option to give where it is', async () => {
    const { host, port, username, password, hostKey } = server;
    const input = JSON.stringify({ host, port, username, password, fingerprint: hostKey.fingerprint });
    const flags = ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', SCRIPT, input];
    const child = spawn(process.execPath, flags, {
      uid: UID,
      gid: UID,
      env: { PATH: process.env.PATH },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = once(child, 'exit');
    const said = JSON.parse(await text(child.stdout));
    await exited;
    const noHome = (path: string) =>
      `NO_HOME_DIRECTORY: This user has no home directory, so ${path} cannot be expanded: set HOME, or give a path without ~`;
    const { noHosts, noKeys, ...others } = said;
    assert.deepEqual(others, {
      given: '/',
      noCheck: '/',
      noName:
        'NO_USERNAME: The user that runs this program has no name in the user database: give the option username',
      acceptNew: noHome('~/.ssh/known_hosts'),
      tilde: noHome('~/known'),
    });
    assert.match(noHosts, /^HOST_KEY_UNKNOWN: .*\n[\s\S]*add this line to ~\/\.ssh\/known_hosts:\n/);
    assert.match(noKeys, /^NO_CREDENTIALS: .* give password or privateKey/);
  });
});
