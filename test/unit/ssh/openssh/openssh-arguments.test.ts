import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type ArgumentOptions,
  optionArguments,
  quotePath,
  targetArguments,
} from '../../../../src/ssh/openssh/openssh-arguments.js';

const base: ArgumentOptions = { host: 'h', config: true, connectTimeoutMs: 1500, interactive: false };
const settings = (changes: Partial<ArgumentOptions>): readonly string[] =>
  optionArguments({ ...base, ...changes });

describe('the arguments for ssh', () => {
  test('nothing leads back into this machine, and nobody is asked, whatever the configuration says', () => {
    const args = settings({});
    for (const wanted of [
      '-oForwardAgent=no',
      '-oForwardX11=no',
      '-oClearAllForwardings=yes',
      '-oPermitLocalCommand=no',
      '-oTunnel=no',
      '-oRemoteCommand=none',
      '-oBatchMode=yes',
      '-oConnectTimeout=2',
    ]) {
      assert.ok(args.includes(wanted), wanted);
    }
    assert.ok(settings({ interactive: true }).includes('-oBatchMode=no'));
  });

  test('what is given is passed on, and what is not is left to the configuration', () => {
    const args = settings({
      config: false,
      port: 2222,
      username: 'me',
      privateKey: '/k/a "b" 100%',
      agent: false,
      proxyJump: 'me@hop:22,[::1]',
      keepaliveIntervalMs: 1001,
      keepaliveCountMax: 4,
      algorithms: { ciphers: ['aes256-ctr', 'aes128-ctr'], compression: false },
    });
    assert.deepEqual(args.slice(0, 7), ['-F', 'none', '-T', '-p', '2222', '-l', 'me']);
    for (const wanted of [
      '-oIdentitiesOnly=yes',
      '-oIdentityFile="/k/a \\"b\\" 100%%"',
      '-oIdentityAgent=none',
      '-oProxyJump=me@hop:22,[::1]',
      '-oServerAliveInterval=2',
      '-oServerAliveCountMax=4',
      '-oCiphers=aes256-ctr,aes128-ctr',
      '-oCompression=no',
    ]) {
      assert.ok(args.includes(wanted), `${wanted} in ${args.join(' ')}`);
    }
    const untouched = settings({}).join(' ');
    assert.doesNotMatch(untouched, /-F|-p|-l |Identity|ProxyJump|Alive|Ciphers|=Compression/);
  });

  test('the legacy preset is appended to ssh’s own lists, and a list that is given stands in its place', () => {
    const args = settings({ algorithms: { preset: 'legacy', macs: ['hmac-sha2-256'] } });
    const own = settings({});
    assert.deepEqual(
      args.filter((argument) => !own.includes(argument)),
      [
        '-oKexAlgorithms=+diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha1,' +
          'diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1',
        '-oHostKeyAlgorithms=+ssh-rsa',
        '-oCiphers=+aes128-cbc,aes192-cbc,aes256-cbc,3des-cbc',
        '-oMACs=hmac-sha2-256',
        '-oPubkeyAcceptedKeyTypes=+ssh-rsa',
      ],
    );
    const { length } = settings({ algorithms: { preset: 'legacy' } });
    assert.equal(length, own.length + 5);
    assert.deepEqual(settings({ algorithms: { preset: 'modern' } }), own);
  });

  test('the host stands behind --, with the subsystem or the command after it', () => {
    assert.deepEqual(targetArguments('h'), ['--', 'h']);
    const subsystem = { type: 'subsystem', name: 'sftp' } as const;
    assert.deepEqual(targetArguments('h', subsystem), ['-s', '--', 'h', 'sftp']);
    const exec = { type: 'exec', command: '-x; $(y)\nz' } as const;
    assert.deepEqual(targetArguments('fe80::1%eth0', exec), ['--', 'fe80::1%eth0', '-x; $(y)\nz']);
  });

  test('A2 what could be taken for an option, a user or a command is refused', () => {
    for (const host of [
      '-oProxyCommand=x',
      '-h',
      'u@h',
      'h\n-oA',
      '$(x)',
      '`x`',
      'a b',
      'ssh://h',
      '',
      "'",
    ]) {
      assert.throws(() => targetArguments(host), TypeError, host);
    }
    for (const username of ['-oA', 'u@h', 'a\nb', '$(x)', '`x`', 'a;b', 'a b', '', '\\x', 'a\u0000']) {
      assert.throws(() => settings({ username }), TypeError, username);
    }
    for (const proxyJump of ['-oA', 'a b', '$(x)', 'a;b@c', 'h:x', 'a@-h', 'h\n', ''])
      assert.throws(() => settings({ proxyJump }), TypeError, proxyJump);
    for (const name of ['aes -oA', 'a,b', '', '+x,y', 'a\n']) {
      assert.throws(() => settings({ algorithms: { ciphers: [name] } }), TypeError, name);
    }
    for (const port of [0, 65_536, 1.5, Number.NaN]) assert.throws(() => settings({ port }), RangeError);
    for (const privateKey of ['', 'a\nb', 'a\0']) assert.throws(() => settings({ privateKey }), TypeError);
    for (const name of ['-x', '', 'a\nb', 'a\0']) {
      assert.throws(() => targetArguments('h', { type: 'subsystem', name }), TypeError, name);
    }
    assert.throws(() => targetArguments('h', { type: 'exec', command: 'a\0' }), TypeError);
    assert.throws(() => quotePath('agent', 'a\nProxyCommand x'), TypeError);
  });
});
