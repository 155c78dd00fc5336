/** Lines of known_hosts and of ssh_config: a verdict or an error of ours, soon, whatever is in them. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SftpError } from '../../src/errors.js';
import { resolveSshConfig } from '../../src/ssh/config/ssh-config.js';
import { HostKeys } from '../../src/ssh/host-keys/known-hosts.js';
import { Random } from './random.js';

const LINES = 20;
const MOST_MS = 2_000;

export function fuzzText(seed: number): number {
  const random = new Random(seed);
  const begin = performance.now();
  if (random.chance(50)) knownHosts(random);
  else sshConfig(random);
  assert.ok(performance.now() - begin < MOST_MS, 'it takes too long');
  return LINES;
}

const KEY = Buffer.concat([
  Buffer.from([0, 0, 0, 11]),
  Buffer.from('ssh-ed25519'),
  Buffer.from([0, 0, 0, 32]),
  Buffer.alloc(32, 7),
]);

function lines(random: Random, line: (random: Random) => string): string {
  const text = Array.from({ length: LINES }, () => line(random)).join(random.pick(['\n', '\r\n']));
  return random.chance(50) ? random.mutate(Buffer.from(text, 'latin1')).toString('latin1') : text;
}

const HOSTS = [
  'h',
  '[h]:2222',
  '*',
  '?',
  '!h',
  '*h*',
  '|1|',
  '|1|AA==|AA==',
  '192.0.2.1',
  '::1',
  '*'.repeat(60),
];

function knownHosts(random: Random): void {
  const text = lines(random, () =>
    [
      random.pick(['', '', '@revoked ', '@cert-authority ', '@', '# ']),
      Array.from({ length: 1 + random.below(4) }, () => random.pick(HOSTS)).join(','),
      random.pick([' ', '\t', '  ']),
      random.pick(['ssh-ed25519', 'ssh-rsa', 'ssh-dss', '\x1b', '']),
      ' ',
      random.pick([KEY.toString('base64'), random.bytes(60).toString('base64'), '====', '']),
      random.pick(['', ' a comment', ' \0']),
    ].join(''),
  );
  const keys = new HostKeys();
  keys.parse(text, 'file');
  for (const host of ['h', '192.0.2.1', `${'a'.repeat(300)}b`]) {
    const { status } = keys.check(host, random.pick([22, 2222]), KEY);
    assert.ok(['trusted', 'unknown', 'changed', 'revoked', 'other-type'].includes(status));
    keys.keyTypes(host, 22);
  }
}

const KEYWORDS = [
  'Host',
  'Match',
  'HostName',
  'User',
  'Port',
  'IdentityFile',
  'ProxyJump',
  'ProxyCommand',
  'Ciphers',
  'MACs',
  'KexAlgorithms',
  'ConnectTimeout',
  'ServerAliveInterval',
  'Compression',
  'StrictHostKeyChecking',
  'Include',
  'UserKnownHostsFile',
  'HostKeyAlias',
  'IdentitiesOnly',
  'IdentityAgent',
  'Unknown',
  '#',
  '',
];
const VALUES = [
  'h',
  '*',
  '!h',
  '"a b"',
  '"',
  'yes',
  'no',
  'none',
  '22',
  '99999',
  '-1',
  '1h30m',
  '%h',
  '%%',
  '%',
  '%r@%n',
  '~/x',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: ssh_config has it.
  '${HOME}',
  '${',
  'all',
  'exec "false"',
  'host h',
  'user *',
  'final',
  '+aes128-ctr',
  '^a,b',
  '-*',
  '*'.repeat(60),
  'no-such-file',
  '\\',
  "'",
];

function sshConfig(random: Random): void {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-fuzz-'));
  try {
    const path = join(folder, 'config');
    const text = lines(random, () => {
      const values = Array.from({ length: random.below(4) }, () => random.pick(VALUES)).join(' ');
      return `${random.pick(['', ' ', '\t'])}${random.pick(KEYWORDS)}${random.pick([' ', '=', ' = '])}${values}`;
    });
    writeFileSync(path, text, { encoding: 'latin1', mode: 0o600 });
    try {
      const { hostName } = resolveSshConfig({ host: random.pick(['h', 'host', 'a'.repeat(300)]) }, path);
      assert.equal(typeof hostName, 'string');
    } catch (error) {
      if (!(error instanceof SftpError)) throw error;
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
