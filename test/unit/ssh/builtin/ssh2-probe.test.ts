/** Another ssh2 than ours: a copy of the installed one in which one part has another name, or another effect. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import ssh2 from 'ssh2';
import { SshError } from '../../../../src/errors.js';
import { probeSsh2 } from '../../../../src/ssh/builtin/ssh2-probe.js';

const require = createRequire(import.meta.url);
const INSTALLED = dirname(require.resolve('ssh2/package.json'));

/** Every private part that `ssh2-internals.ts` and `ssh2-login.ts` reach for. */
const RENAMED: readonly string[] = [
  '_protocol',
  '_chanMgr',
  '_handlers',
  '_compatFlags',
  '_kexinit',
  '_decipher',
  '_packet',
  '_cipher',
  '_packetRW',
  '_authsQueue',
  '_callbacks',
  'allocPacket',
  'allocStart',
  'finalize',
  'encrypt',
  'authPK',
  'authPassword',
  'channelWindowAdjust',
  'USERAUTH_FAILURE',
  'SERVICE_ACCEPT',
  'GLOBAL_REQUEST',
  'CHANNEL_OPEN_CONFIRMATION',
  'incoming',
  'outgoing',
  'packetSize',
  'window',
  'state',
  'session',
  'subsystem',
];

/** What a later version might do otherwise under the same names. */
const CHANGED: readonly (readonly [string, string, RegExp, string])[] = [
  [
    'the bit for SHA-2 is another',
    'protocol/constants.js',
    /IMPLY_RSA_SHA2_SIGALGS: 1 << 4/,
    'IMPLY_RSA_SHA2_SIGALGS: 1 << 9',
  ],
  ['data is not handed over by push', 'client.js', /channel\.push\(data\)/, 'channel.emit("data", data)'],
  ['received data is not counted', 'client.js', /channel\.incoming\.window -= data\.length;/g, ';'],
  ['no strict key exchange is asked for', 'protocol/Protocol.js', /'kex-strict-c-v00@openssh\.com',/, ''],
  [
    'packets are allocated elsewhere',
    'protocol/zlib.js',
    /this\._protocol\._cipher\.allocPacket\(/g,
    '((n) => Buffer.alloc(n + 32))(',
  ],
  ['attempts are not noted', 'protocol/Protocol.js', /this\._authsQueue\.push\('password'\);/, ';'],
  [
    'a refusal of a channel request is passed over',
    'client.js',
    /channel\._callbacks\.shift\(\)\(true\)/,
    ';',
  ],
];

describe('the probe of ssh2', () => {
  let folder = '';
  let copies = 0;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'tsftp-ssh2-'));
    symlinkSync(dirname(INSTALLED), join(folder, 'node_modules'));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Gives the changed copy. */
  const change = (edit: (text: string, file: string) => string): (() => typeof ssh2) => {
    const copy = join(folder, `copy${copies++}`);
    // Without the addon, which is not to be loaded again and again.
    const filter = (path: string): boolean => !/[\\/]build(?:[\\/]|$)/.test(path.slice(INSTALLED.length));
    cpSync(join(INSTALLED, 'lib'), join(copy, 'lib'), { recursive: true, filter });
    cpSync(join(INSTALLED, 'package.json'), join(copy, 'package.json'));
    let edits = 0;
    for (const name of readdirSync(join(copy, 'lib'), { recursive: true }).map(String)) {
      if (!name.endsWith('.js')) continue;
      const path = join(copy, 'lib', name);
      const text = readFileSync(path, 'utf8');
      const edited = edit(text, name.replaceAll('\\', '/'));
      if (edited === text) continue;
      edits++;
      writeFileSync(path, edited);
    }
    assert.ok(edits > 0, 'nothing was changed');
    return () => require(join(copy, 'lib', 'index.js'));
  };

  const assertUnusable = (load: () => typeof ssh2): void => {
    assert.throws(
      () => probeSsh2(load()),
      (error) => {
        assert.ok(error instanceof SshError, String(error));
        assert.equal(error.code, 'SSH2_UNUSABLE');
        assert.match(
          error.message,
          /^The installed package ssh2 is not the one .*: install ssh2 1\.17\.0, or use/,
        );
        return true;
      },
    );
  };

  test('X21: passes the installed one, of the version that package.json has', () => {
    probeSsh2(ssh2);
    probeSsh2(change((text) => `${text}\n// The same.\n`)());
    const { dependencies } = JSON.parse(
      readFileSync(new URL('../../../../package.json', import.meta.url), 'utf8'),
    );
    assert.equal(
      dependencies.ssh2,
      JSON.parse(readFileSync(join(INSTALLED, 'package.json'), 'utf8')).version,
    );
  });

  for (const name of RENAMED) {
    test(`X21: fails where ${name} has another name`, () => {
      assertUnusable(
        change((text) => text.replace(new RegExp(`(?<![\\w$'/-])${name}(?![\\w$'/-])`, 'g'), `${name}2`)),
      );
    });
  }

  for (const [what, file, pattern, replacement] of CHANGED) {
    test(`X21: fails where ${what}`, () => {
      assertUnusable(change((text, name) => (name === file ? text.replace(pattern, replacement) : text)));
    });
  }
});
