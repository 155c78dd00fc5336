/** Generated configurations, looked up by us and by `ssh -G`: the answers must be the same. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { SshError } from '../../../src/errors.js';
import { resolveSshConfig, type SshConfig, type SshConfigQuery } from '../../../src/ssh/config/ssh-config.js';
import { applyAlgorithmList } from '../../../src/ssh/config/ssh-config-algorithms.js';
import { needsOpenSsh } from '../../support/sshd.js';

const run = promisify(execFile);
const CONFIGURATIONS = 2_000;
const PARALLEL = 6;

/** What `ssh -G` prints, as lists by keyword; its words where it refuses the configuration. */
async function askSsh({ host, user, port }: SshConfigQuery, file: string) {
  const options = [
    ...(user === undefined ? [] : ['-l', user]),
    ...(port === undefined ? [] : ['-p', `${port}`]),
  ];
  try {
    const { stdout } = await run('ssh', ['-G', '-T', '-F', file, ...options, '--', host]);
    const answer = new Map<string, string[]>();
    for (const line of stdout.split('\n')) {
      const [keyword = '', ...rest] = line.split(' ');
      answer.set(keyword, [...(answer.get(keyword) ?? []), rest.join(' ')]);
    }
    return answer;
  } catch (error) {
    return String((error as { stderr?: unknown }).stderr);
  }
}

type Answer = Exclude<Awaited<ReturnType<typeof askSsh>>, string>;

const HOSTS = ['web', 'db1', 'db2.example.com', 'Web', 'host.example.org', '10.0.0.7'];
const USERS = ['root', 'ann', 'bob'];
const FLAGS = ['yes', 'no', 'true', 'FALSE'];
const FILES = ['~/.ssh/a', '/k/%%b', '~/x', '"/k/with space"', '/k/esc\\ aped', 'rel/c', 'none'];

const one = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const separator = one(' ', '  ', '\t', '=', ' = ', ' =');
const pattern = one(
  'web',
  'db*',
  'd?1',
  '*',
  '*.example.*',
  '!web',
  '!db2*',
  '10.*',
  'Web',
  '"web"',
  '?*',
  'w*b*',
);

const lists = {
  Ciphers: ['aes128-ctr', 'aes256-gcm@openssh.com', 'aes192-ctr'],
  MACs: ['hmac-sha2-256', 'hmac-sha1', 'umac-64@openssh.com'],
  KexAlgorithms: ['curve25519-sha256', 'diffie-hellman-group14-sha1'],
  HostKeyAlgorithms: ['ssh-ed25519', 'rsa-sha2-512', 'ssh-rsa'],
  PubkeyAcceptedAlgorithms: ['ssh-ed25519', 'ssh-rsa', 'rsa-sha2-256'],
};

const algorithms = one(...Object.entries(lists)).chain(([keyword, names]) =>
  fc
    .tuple(one('', '+', '-', '^'), fc.uniqueArray(one(...names), { minLength: 1 }), fc.boolean())
    .map(
      ([sign, some, wild]) => `${keyword} ${sign}${some.join(',')}${sign === '-' && wild ? ',*128*' : ''}`,
    ),
);

const setting = fc.oneof(
  { weight: 2, arbitrary: one('HostName real.example.com', 'hostname %h.lan', 'HOSTNAME 10.1.1.1') },
  { weight: 2, arbitrary: one(...USERS).map((user) => `User ${user}`) },
  { weight: 2, arbitrary: one('22', '2222', '010').map((port) => `Port ${port}`) },
  { weight: 3, arbitrary: one(...FILES).map((file) => `IdentityFile ${file}`) },
  one(...FLAGS).map((flag) => `IdentitiesOnly ${flag}`),
  one('~/agent', 'none', 'SSH_AUTH_SOCK', '/a/%h/%r/%p', '%d/agent').map((path) => `IdentityAgent ${path}`),
  fc
    .array(one(...FILES.slice(0, 6)), { minLength: 1, maxLength: 3 })
    .map((f) => `UserKnownHostsFile ${f.join(' ')}`),
  fc
    .array(one('/g/a', '/g/b'), { minLength: 1, maxLength: 2 })
    .map((f) => `GlobalKnownHostsFile ${f.join(' ')}`),
  one('Alias', 'other').map((name) => `HostKeyAlias ${name}`),
  one('hop', 'me@hop:2200', 'a,b@[::1]:22', 'none', 'ssh://c@d:33,e').map((hop) => `ProxyJump ${hop}`),
  one('none', 'nc %h %p').map((command) => `ProxyCommand ${command}`),
  algorithms,
  one('30', '1m30', '2h', 'none', '0').map((time) => `ConnectTimeout ${time}`),
  one('15', '1M', '0').map((time) => `ServerAliveInterval ${time}`),
  one('3', '7').map((count) => `ServerAliveCountMax ${count}`),
  one('yes', 'no').map((flag) => `Compression ${flag}`),
  one('yes', 'ask', 'accept-new', 'no', 'OFF').map((policy) => `StrictHostKeyChecking ${policy}`),
  one('# a comment', '', 'ForwardAgent yes', '   # another'),
);

const line = fc
  .tuple(one('', '  ', '\t'), setting, separator, one('', ' ', ' # note', '\r'))
  .map(([indent, text, between, end]) => {
    const spaced = /^ *#/.test(text) ? text : text.replace(' ', between);
    // What ssh makes of a comment behind these two depends on their order.
    return `${indent}${spaced}${text.startsWith('Proxy') && end.includes('#') ? '' : end}`;
  });

const criterion = fc.oneof(
  fc
    .array(pattern, { minLength: 1, maxLength: 2 })
    .map((list) => `host ${list.map((p) => p.replace(/"/g, '')).join(',')}`),
  pattern.map((text) => `originalhost ${text}`),
  one(...USERS).map((user) => `user ${user}`),
  one(
    '!user ann',
    '!host web',
    'localuser root',
    'host real.*',
    'user a*,!ann',
    '!originalhost db*',
    'HOST WEB',
  ),
);

const header = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.array(pattern, { minLength: 1, maxLength: 3 }).map((list) => `Host ${list.join(' ')}`),
  },
  {
    weight: 2,
    arbitrary: fc.array(criterion, { minLength: 1, maxLength: 2 }).map((list) => `Match ${list.join(' ')}`),
  },
  one(
    'Match all',
    'Host *',
    'Match final all',
    'Match final host real*',
    'Match canonical host web',
    'host = web',
  ),
);

const block = fc.tuple(header, fc.array(line, { maxLength: 4 })).map(([head, body]) => [head, ...body]);
const text = fc
  .tuple(fc.array(line, { maxLength: 3 }), fc.array(block, { maxLength: 5 }))
  .map(([before, blocks]) => [...before, ...blocks.flat()]);

const scenario = fc.record({
  lines: text,
  included: text,
  includeAt: fc.option(fc.nat(12)),
  host: one(...HOSTS),
  user: fc.option(one(...USERS), { nil: undefined, freq: 3 }),
  port: fc.option(one(22, 8022), { nil: undefined, freq: 4 }),
});

const supported = async (kind: string): Promise<readonly string[]> =>
  (await run('ssh', ['-Q', kind])).stdout.trim().split('\n');

describe('ssh -G', { skip: needsOpenSsh }, () => {
  test(`${CONFIGURATIONS} generated configurations are resolved as ssh resolves them`, async (context) => {
    const folder = await mkdtemp('/tmp/tsftp-config-');
    context.after(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'empty'), '');
    const defaults = await askSsh({ host: 'x' }, join(folder, 'empty'));
    assert.ok(typeof defaults !== 'string');
    const kinds: Record<string, readonly string[]> = {
      ciphers: await supported('cipher'),
      macs: await supported('mac'),
      kexalgorithms: await supported('kex'),
      hostkeyalgorithms: await supported('HostKeyAlgorithms'),
      pubkeyacceptedalgorithms: await supported('PubkeyAcceptedAlgorithms'),
    };
    const scenarios = fc.sample(scenario, { numRuns: CONFIGURATIONS, seed: 20260 });
    let next = 0;
    let refused = 0;
    const work = async (): Promise<void> => {
      for (let index = next++; index < scenarios.length; index = next++) {
        const { lines, included, includeAt, ...query } = scenarios[index] ?? {
          lines: [],
          included: [],
          includeAt: null,
          host: 'x',
        };
        const file = join(folder, `${index}`);
        const all = [...lines];
        if (includeAt !== null) {
          await writeFile(`${file}.part`, included.join('\n'));
          all.splice(includeAt, 0, `Include ${file}.p?rt`);
        }
        await writeFile(file, all.join('\n'));
        const theirs = await askSsh(query, file);
        const where = () =>
          `configuration ${index} for ${JSON.stringify(query)}:\n${all.join('\n')}\n--- included\n${included.join('\n')}`;
        if (typeof theirs === 'string') {
          refused++;
          assert.throws(() => resolveSshConfig(query, file), SshError, `${theirs}${where()}`);
        } else {
          const ours = resolveSshConfig(query, file);
          assert.deepEqual(describeOurs(ours, defaults, kinds), describeTheirs(theirs, ours), where());
        }
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    assert.ok(refused < CONFIGURATIONS / 20, `${refused} configurations were refused`);
  });
});

const POLICIES: Readonly<Record<string, string>> = {
  strict: 'true',
  ask: 'ask',
  off: 'false',
  'accept-new': 'accept-new',
};
const yesNo = (flag: boolean | undefined): string => (flag === true ? 'yes' : 'no');

/** Our answer with ssh's defaults where nothing is set, so that the two can be compared. */
function describeOurs(ours: SshConfig, defaults: Answer, kinds: Record<string, readonly string[]>) {
  const fallback = (keyword: string): string => defaults.get(keyword)?.join('\n') ?? 'none';
  const list = (keyword: string, written: string | undefined): string =>
    written === undefined
      ? fallback(keyword)
      : applyAlgorithmList(written, fallback(keyword).split(','), kinds[keyword]).join(',');
  const { identityFiles, identityAgent } = ours;
  return {
    hostname: ours.hostName,
    user: ours.user ?? fallback('user'),
    port: String(ours.port ?? 22),
    identityfile: identityFiles?.join('\n') ?? fallback('identityfile').replaceAll('~', homedir()),
    identitiesonly: yesNo(ours.identitiesOnly),
    identityagent: identityAgent,
    userknownhostsfile: ours.userKnownHostsFiles?.join(' ') ?? fallback('userknownhostsfile'),
    globalknownhostsfile: ours.globalKnownHostsFiles?.join(' ') ?? fallback('globalknownhostsfile'),
    hostkeyalias: ours.hostKeyAlias ?? 'none',
    proxyjump: ours.proxyJump ?? 'none',
    proxycommand: ours.proxyCommand ?? 'none',
    ciphers: list('ciphers', ours.ciphers),
    macs: list('macs', ours.macs),
    kexalgorithms: list('kexalgorithms', ours.kexAlgorithms),
    hostkeyalgorithms: list('hostkeyalgorithms', ours.hostKeyAlgorithms),
    pubkeyacceptedalgorithms: list('pubkeyacceptedalgorithms', ours.pubkeyAcceptedAlgorithms),
    connecttimeout: ours.connectTimeoutMs === undefined ? 'none' : String(ours.connectTimeoutMs / 1000),
    serveraliveinterval: String((ours.serverAliveIntervalMs ?? 0) / 1000),
    serveralivecountmax: String(ours.serverAliveCountMax ?? 3),
    compression: yesNo(ours.compression),
    stricthostkeychecking: POLICIES[ours.strictHostKeyChecking ?? 'ask'],
  };
}

/** ssh prints identity files before it expands them, and a `none` among files as it stands. */
function describeTheirs(theirs: Answer, ours: SshConfig) {
  const get = (keyword: string): string => theirs.get(keyword)?.join('\n') ?? 'none';
  const keywords = Object.keys(describeOurs(ours, new Map(), {})).filter(
    (keyword) => keyword !== 'identityagent',
  );
  const files = (theirs.get('identityfile') ?? [])
    .filter((file) => file !== 'none')
    .map((file) => file.replaceAll('%%', '%').replace(/^~/, homedir()));
  const agent = theirs.get('identityagent')?.[0];
  return {
    ...Object.fromEntries(keywords.map((keyword) => [keyword, get(keyword)])),
    userknownhostsfile: get('userknownhostsfile'),
    identityfile: files.join('\n'),
    identityagent:
      agent === undefined
        ? undefined
        : agent === 'none'
          ? false
          : agent === 'SSH_AUTH_SOCK'
            ? (process.env.SSH_AUTH_SOCK ?? false)
            : agent,
  };
}
