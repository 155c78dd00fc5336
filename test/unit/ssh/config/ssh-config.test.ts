import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { SshError } from '../../../../src/errors.js';
import { resolveSshConfig, type SshConfig } from '../../../../src/ssh/config/ssh-config.js';
import { applyAlgorithmList } from '../../../../src/ssh/config/ssh-config-algorithms.js';
import { findIncluded, readConfigFile } from '../../../../src/ssh/config/ssh-config-files.js';
import { parseConfigLine } from '../../../../src/ssh/config/ssh-config-line.js';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tsftp-config-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function resolve(text: string, host = 'web'): Promise<SshConfig> {
  const path = join(folder, 'config');
  await writeFile(path, text);
  return resolveSshConfig({ host }, path);
}

function isSshError(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => error instanceof SshError && error.code === code && message.test(error.message);
}

describe('a line of ssh_config', () => {
  test('is a keyword and values, with quotes, escapes and comments', () => {
    const values = (text: string): readonly string[] | undefined => parseConfigLine(text)?.values;
    assert.deepEqual(parseConfigLine('  HostName = a # b\r'), {
      keyword: 'hostname',
      values: ['a'],
      text: 'a # b',
    });
    assert.deepEqual(values('Host "a b" c\\ d \'e f\' g#h'), ['a b', 'c d', 'e f', 'g#h']);
    assert.deepEqual(values('User domain\\me'), ['domain\\me']);
    assert.equal(parseConfigLine('   # nothing'), undefined);
    assert.equal(parseConfigLine(' \t\f\r'), undefined);
  });

  test('that is cut off is refused', () => {
    for (const line of ['Host "a', 'HostName', 'HostName =', '= a', 'Host # a']) {
      assert.throws(() => parseConfigLine(line), SyntaxError, line);
    }
  });
});

describe('ssh_config', () => {
  test('the first value wins, every IdentityFile counts, and tokens are expanded', async () => {
    const config = await resolve(
      'Host w*\n HostName %h.example.com\n IdentityFile /k/%h-%r-%%\nHost *\n HostName other\n User ann\n IdentityFile /k/%n\n',
    );
    assert.equal(config.hostName, 'web.example.com');
    assert.deepEqual(config.identityFiles, ['/k/web.example.com-ann-%', '/k/web']);
  });

  test('a command of Match exec is not run: the block does not apply, and a warning says so', async () => {
    const witness = join(folder, 'witness');
    const config = await resolve(
      `Match host web exec "touch ${witness}"\n User mallory\nMatch all\n Port 7\n`,
    );
    assert.deepEqual([config.user, config.port], [undefined, 7]);
    assert.match(config.warnings.join(), /Match host web exec touch.*condition exec/);
    assert.equal(readConfigFile({ path: witness, folder, optional: true, guarded: false }), undefined);
    assert.deepEqual((await resolve('Match host other exec "true"\n User x\n')).warnings, []);
  });

  test('mistakes are told with file and line', async () => {
    const wrong = {
      'Port 0': /port/i,
      'Port x': /number/,
      'Compression maybe': /yes or no/,
      'User a b': /one value/,
    };
    for (const [line, message] of Object.entries(wrong)) {
      await assert.rejects(resolve(`# first\n${line}\n`), isSshError('CONFIG_INVALID', message));
      await assert.rejects(resolve(`# first\n${line}\n`), isSshError('CONFIG_INVALID', /config, line 2/));
    }
    await assert.rejects(resolve('IdentityFile %z'), isSshError('CONFIG_INVALID', /%z/));
    await assert.rejects(
      resolve(['IdentityFile $', '{TSFTP_NOT_SET}'].join('')),
      isSshError('CONFIG_INVALID', /TSFTP_NOT_SET/),
    );
    assert.throws(
      () => resolveSshConfig({ host: 'a' }, join(folder, 'none')),
      isSshError('CONFIG_UNUSABLE', /ENOENT/),
    );
  });

  test('Include reads what a pattern finds, in order, and a file that includes itself ends', async () => {
    await mkdir(join(folder, 'd'), { recursive: true });
    for (const [name, port] of [
      ['b.conf', 2],
      ['a.conf', 1],
      ['.hidden.conf', 9],
      ['c.txt', 3],
    ] as const) {
      await writeFile(join(folder, 'd', name), `Port ${port}\nIdentityFile /k/${name}\n`);
    }
    const config = await resolve(
      `Host web\nInclude ${folder}/d/*.conf ${folder}/d/[c].txt ${folder}/none/*\n`,
    );
    assert.equal(config.port, 1);
    assert.deepEqual(config.identityFiles, ['/k/a.conf', '/k/b.conf', '/k/c.txt']);
    assert.equal(
      (await resolve(`Host other\nInclude ${folder}/d/*.conf\nHost web\nUser me\n`)).port,
      undefined,
    );
    await assert.rejects(resolve(`Include ${folder}/config`), isSshError('CONFIG_INVALID', /16 deep/));
    const from = { path: join(folder, 'x'), folder: join(folder, 'd'), optional: false, guarded: true };
    assert.deepEqual(findIncluded('a.*', from), [
      { ...from, path: join(folder, 'd', 'a.conf'), optional: true },
    ]);
  });

  test('a file of the user that others can write to is refused', {
    skip: process.platform === 'win32',
  }, async () => {
    const path = join(folder, 'open');
    await writeFile(path, `User ${userInfo().username}\n`);
    await chmod(path, 0o666);
    assert.throws(
      () => readConfigFile({ path, folder, optional: true, guarded: true }),
      isSshError('CONFIG_UNUSABLE', /chmod 600/),
    );
    await chmod(path, 0o644);
    assert.match(readConfigFile({ path, folder, optional: true, guarded: true }) ?? '', /^User/);
  });

  test('names that look like those of objects are keywords nobody knows', async () => {
    const config = await resolve('__proto__ x\nconstructor y\nMatch __proto__ z\nUser me\n');
    assert.equal(config.user, undefined);
    assert.equal(config.warnings.length, 1);
  });

  test('what ssh would do and is not done here is a warning, where it applies', async () => {
    const lines = ['PasswordAuthentication no', 'CanonicalizeHostname yes', 'RequiredRSASize 4096'];
    const config = await resolve(
      `Host web\n${lines.join('\n')}\nHost other\nPreferredAuthentications password\n`,
    );
    assert.equal(config.requiredRsaBits, 4096);
    assert.equal(config.warnings.length, 2);
    assert.match(
      config.warnings.join(),
      /PasswordAuthentication no is not followed; use transport: 'openssh'/,
    );
    const harmless =
      'PasswordAuthentication yes\nCanonicalizeHostname no\nAddressFamily any\nForwardAgent yes\n';
    assert.deepEqual((await resolve(harmless)).warnings, []);
  });

  test('none switches off, and a jump goes before a command', async () => {
    const config = await resolve(
      'IdentityFile none\nIdentityAgent none\nProxyJump none\nConnectTimeout none\nConnectTimeout 1m30\n',
    );
    assert.deepEqual(config.identityFiles, []);
    assert.equal(config.identityAgent, false);
    assert.equal(config.proxyJump, undefined);
    assert.equal(config.connectTimeoutMs, 90_000);
    const jump = await resolve('ProxyJump hop\nProxyCommand nc %h %p\n');
    assert.deepEqual([jump.proxyJump, jump.proxyCommand], ['hop', undefined]);
  });
});

test('lists of algorithms are added to, cut, or put first, and only what is supported is meant', () => {
  const defaults = ['a1', 'a2', 'b1'];
  const supported = [...defaults, 'old'];
  assert.deepEqual(applyAlgorithmList('b1,a1', defaults, supported), ['b1', 'a1']);
  assert.deepEqual(applyAlgorithmList('+old,a1', defaults, supported), ['a1', 'a2', 'b1', 'old']);
  assert.deepEqual(applyAlgorithmList('-a*', defaults, supported), ['b1']);
  assert.deepEqual(applyAlgorithmList('^b1,new', defaults, supported), ['b1', 'a1', 'a2']);
});
