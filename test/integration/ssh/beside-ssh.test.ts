/**
 * Set-ups as people have them, tried by the system's ssh and by the built-in transport: both connect, or both fail for
 * the same reason. Where we are stricter, and say so, it stands here; laxer we are nowhere.
 */
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  AuthenticationError,
  ConnectionError,
  CredentialError,
  connect,
  HostKeysError,
  SshError,
} from '../../../src/index.js';
import { makeKey, needsOpenSsh, type Sshd, startSshd } from '../../support/sshd.js';

type Outcome = 'connects' | 'host key' | 'login' | 'network' | 'algorithms' | 'not supported' | 'other';

interface Place {
  readonly sshd: Sshd;
  readonly hop: Sshd;
  /** A folder of this case alone. */
  readonly folder: string;
  /** A key of the same type as the server's, and not it. */
  readonly stranger: string;
  /** Writes a file into the folder, and gives its path. */
  write(name: string, text: string): Promise<string>;
}

interface SetUp {
  readonly name: string;
  /** What is in the file, in front of the defaults. */
  readonly lines: (place: Place) => Promise<readonly string[]> | readonly string[];
  readonly outcome: Outcome;
  /** What comes of it here, where that is stricter than ssh. */
  readonly ours?: Outcome;
}

const keyOf = ({ sshd }: Place): string => `${sshd.hostKeys.ed25519}`;
const nameOf = ({ port }: Sshd): string => `[127.0.0.1]:${port}`;
const knownAs = async (place: Place, text: string): Promise<readonly string[]> => [
  `UserKnownHostsFile ${await place.write('known', text)}`,
];

const SET_UPS: readonly SetUp[] = [
  { name: 'a known host behind an alias', lines: () => [], outcome: 'connects' },
  {
    name: 'a host known without its port',
    lines: (place) => knownAs(place, `127.0.0.1 ${keyOf(place)}\n`),
    outcome: 'connects',
    ours: 'host key',
  },
  {
    name: 'a hashed name',
    lines: async (place) => {
      const file = await place.write('known', `${nameOf(place.sshd)} ${keyOf(place)}\n`);
      execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' });
      return [`UserKnownHostsFile ${file}`];
    },
    outcome: 'connects',
  },
  {
    name: 'wildcards',
    lines: (place) => knownAs(place, `[127.0.?.*]:* ${keyOf(place)}\n`),
    outcome: 'connects',
  },
  {
    name: 'wildcards with an exception',
    lines: (place) => knownAs(place, `[127.*]:*,!${nameOf(place.sshd)} ${keyOf(place)}\n`),
    outcome: 'host key',
  },
  {
    name: 'comments, blank lines, carriage returns and a broken line',
    lines: (place) =>
      knownAs(place, `# mine\r\n\r\nbroken\r\n${nameOf(place.sshd)} ${keyOf(place)} a comment\r\n`),
    outcome: 'connects',
  },
  {
    name: 'only the RSA key of a server with three',
    lines: (place) => knownAs(place, `${nameOf(place.sshd)} ${place.sshd.hostKeys.rsa}\n`),
    outcome: 'connects',
  },
  {
    name: 'a key that has changed',
    lines: (place) => knownAs(place, `${nameOf(place.sshd)} ${place.stranger}\n`),
    outcome: 'host key',
  },
  {
    name: 'a key that is known beside an old one',
    lines: (place) =>
      knownAs(place, `${nameOf(place.sshd)} ${place.stranger}\n${nameOf(place.sshd)} ${keyOf(place)}\n`),
    outcome: 'connects',
  },
  {
    name: 'a key that is known and revoked',
    lines: (place) => knownAs(place, `${nameOf(place.sshd)} ${keyOf(place)}\n@revoked * ${keyOf(place)}\n`),
    outcome: 'host key',
  },
  {
    name: 'an authority that is the key itself',
    lines: (place) => knownAs(place, `@cert-authority * ${keyOf(place)}\n`),
    outcome: 'host key',
  },
  {
    name: 'two files, the key in the second',
    lines: async (place) => {
      const first = await place.write('first', `example.com ${place.stranger}\n`);
      const second = await place.write('second', `${nameOf(place.sshd)} ${keyOf(place)}\n`);
      return [`UserKnownHostsFile ${first} ${second}`];
    },
    outcome: 'connects',
  },
  {
    name: 'a file with a space in its name, and one from the home',
    lines: async (place) => {
      const file = await place.write('known hosts', `example.com ${place.stranger}\n`);
      const second = await place.write('second', `${nameOf(place.sshd)} ${keyOf(place)}\n`);
      return [`UserKnownHostsFile "${file}" ~/${relative(homedir(), second)}`];
    },
    outcome: 'connects',
  },
  {
    name: 'a file for everybody',
    lines: async (place) => {
      const global = await place.write('global', `${nameOf(place.sshd)} ${keyOf(place)}\n`);
      return ['UserKnownHostsFile none', `GlobalKnownHostsFile ${global}`];
    },
    outcome: 'connects',
  },
  { name: 'no file at all', lines: () => ['UserKnownHostsFile none'], outcome: 'host key' },
  {
    name: 'a file that is missing',
    lines: ({ folder }) => [`UserKnownHostsFile ${folder}/nowhere`],
    outcome: 'host key',
  },
  {
    name: 'an unknown host that may be added',
    lines: ({ folder }) => ['StrictHostKeyChecking accept-new', `UserKnownHostsFile ${folder}/new`],
    outcome: 'connects',
  },
  {
    name: 'a changed key where new hosts may be added',
    lines: async (place) => [
      'StrictHostKeyChecking accept-new',
      ...(await knownAs(place, `${nameOf(place.sshd)} ${place.stranger}\n`)),
    ],
    outcome: 'host key',
  },
  {
    name: 'an unknown host with a question that nobody answers',
    lines: ({ folder }) => ['StrictHostKeyChecking ask', `UserKnownHostsFile ${folder}/new`],
    outcome: 'host key',
  },
  {
    name: 'an unknown host without any check',
    lines: ({ folder }) => ['StrictHostKeyChecking no', `UserKnownHostsFile ${folder}/new`],
    outcome: 'connects',
    ours: 'host key',
  },
  {
    name: 'a changed key without any check',
    lines: async (place) => [
      'StrictHostKeyChecking off',
      ...(await knownAs(place, `${nameOf(place.sshd)} ${place.stranger}\n`)),
    ],
    outcome: 'connects',
    ours: 'host key',
  },
  {
    name: 'an alias for the host key',
    lines: async (place) => [
      'HostKeyAlias the.files',
      ...(await knownAs(place, `the.files ${keyOf(place)}\n`)),
    ],
    outcome: 'connects',
  },
  {
    name: 'an alias for the host key that is not known, though the address is',
    lines: () => ['HostKeyAlias the.files'],
    outcome: 'host key',
  },
  {
    name: 'host key algorithms that pass over the known key',
    lines: async (place) => [
      'HostKeyAlgorithms rsa-sha2-512',
      ...(await knownAs(place, `${nameOf(place.sshd)} ${keyOf(place)}\n`)),
    ],
    outcome: 'host key',
  },
  {
    name: 'several identities, of which the last one fits',
    lines: async ({ sshd, folder }) => {
      await makeKey(join(folder, 'one'), 'ed25519');
      return [
        `IdentityFile ${folder}/one`,
        `IdentityFile ${folder}/nowhere`,
        `IdentityFile ${sshd.privateKeyPath}`,
      ];
    },
    outcome: 'connects',
  },
  {
    name: 'an identity that the server does not know',
    lines: async ({ folder }) => {
      await makeKey(join(folder, 'one'), 'ed25519');
      return [`IdentityFile ${folder}/one`];
    },
    outcome: 'login',
  },
  {
    name: 'an identity with tokens, a space and quotes in its name',
    lines: async ({ sshd, folder }) => {
      await copyFile(sshd.privateKeyPath, join(folder, `key of ${sshd.user} on 127.0.0.1%`));
      return [`IdentityFile "${folder}/key of %r on %h%%"`];
    },
    outcome: 'connects',
  },
  {
    name: 'an identity from the home, in a block of Match and an included file',
    lines: async ({ sshd, folder, write }) => {
      await copyFile(sshd.privateKeyPath, join(folder, 'key'));
      const part = await write('part', `IdentityFile ~/${relative(homedir(), join(folder, 'key'))}\n`);
      return ['Match host files', `Include ${part}`, 'Host files'];
    },
    outcome: 'connects',
  },
  { name: 'a user that is not there', lines: () => ['User nobody-there'], outcome: 'login' },
  {
    name: 'key algorithms that rule out the key',
    lines: () => ['PubkeyAcceptedAlgorithms rsa-sha2-512'],
    outcome: 'login',
  },
  { name: 'ciphers that the server lacks', lines: () => ['Ciphers aes256-ctr'], outcome: 'algorithms' },
  { name: 'a port where nothing listens', lines: () => ['Port 1'], outcome: 'network' },
  { name: 'a name that does not exist', lines: () => ['HostName name.invalid'], outcome: 'network' },
  { name: 'a way over another host', lines: () => ['ProxyJump gate'], outcome: 'connects' },
  {
    name: 'a way over another host that is not known',
    lines: () => ['ProxyJump stranger'],
    outcome: 'host key',
  },
  {
    name: 'a way over two hosts, by their addresses and names',
    lines: ({ hop }) => [`ProxyJump root@localhost:${hop.port},gate`],
    outcome: 'connects',
  },
  {
    name: 'a way over a host that is not there',
    lines: () => ['ProxyJump root@127.0.0.1:1'],
    outcome: 'network',
  },
  {
    name: 'no way over another host',
    lines: () => ['ProxyJump none', 'ProxyJump gate'],
    outcome: 'connects',
  },
  {
    name: 'a command as the way',
    lines: ({ folder }) => [`ProxyCommand touch ${folder}/ran`],
    outcome: 'network',
    ours: 'not supported',
  },
  {
    name: 'a list of revoked keys',
    lines: async (place) => [`RevokedHostKeys ${await place.write('revoked.pub', `${keyOf(place)}\n`)}`],
    outcome: 'host key',
    ours: 'not supported',
  },
];

describe('beside the system’s ssh', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let hop: Sshd;
  let folder = '';
  let stranger = '';
  let agent: string | undefined;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-beside-'));
    stranger = await makeKey(join(folder, 'stranger'), 'ed25519');
    sshd = await startSshd({ config: ['Ciphers aes128-ctr,aes128-gcm@openssh.com'] });
    const key = (await readFile(`${sshd.privateKeyPath}.pub`, 'utf8')).trim();
    hop = await startSshd({ hostKeyTypes: ['ed25519'], authorizedKeys: [key] });
    agent = process.env.SSH_AUTH_SOCK;
    delete process.env.SSH_AUTH_SOCK;
  });
  after(async () => {
    if (agent !== undefined) process.env.SSH_AUTH_SOCK = agent;
    for (const server of [sshd, hop]) await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  /** Writes the same set-up twice, as `accept-new` writes into it. */
  async function prepare({ lines }: SetUp, name: string): Promise<string> {
    const own = join(folder, name);
    await mkdir(own);
    const write = async (file: string, text: string): Promise<string> => {
      await writeFile(join(own, file), text);
      return join(own, file);
    };
    const known = `${await readFile(sshd.knownHosts, 'utf8')}${await readFile(hop.knownHosts, 'utf8')}[localhost]:${hop.port} ${hop.hostKeys.ed25519}\n`;
    const defaults = [
      'Host files',
      'HostName 127.0.0.1',
      `Port ${sshd.port}`,
      'Host gate',
      'HostName 127.0.0.1',
      `Port ${hop.port}`,
      'Host stranger',
      'HostName 127.0.0.1',
      `Port ${hop.port}`,
      'UserKnownHostsFile none',
      'Host *',
      `User ${sshd.user}`,
      `UserKnownHostsFile ${await write('all known', known).then((path) => `"${path}"`)}`,
      'GlobalKnownHostsFile none',
      'IdentitiesOnly yes',
    ];
    const first = await lines({ sshd, hop, folder: own, stranger, write });
    const identity = `IdentityFile ${sshd.privateKeyPath}`;
    const last = first.some((line) => /^(?:IdentityFile|Include) /.test(line)) ? [] : [identity];
    return await write('config', ['Host files', ...first, ...defaults, ...last, ''].join('\n'));
  }

  for (const [index, setUp] of SET_UPS.entries()) {
    const { name, outcome, ours = outcome } = setUp;
    test(`${name}: ${outcome}${ours === outcome ? '' : `; here ${ours}`}`, async () => {
      const configs = [await prepare(setUp, `ssh-${index}`), await prepare(setUp, `ours-${index}`)] as const;
      const [theirs, found] = await Promise.all([trySsh(configs[0]), tryOurs(configs[1])]);
      assert.equal(theirs.outcome, outcome, theirs.words);
      assert.equal(found.outcome, ours, found.words);
    });
  }
});

interface Found {
  readonly outcome: Outcome;
  readonly words: string;
}

const WORDS: readonly (readonly [RegExp, Outcome])[] = [
  [/REVOKED|HAS CHANGED|host key is known for|[Hh]ost key verification failed|revoked/, 'host key'],
  [/Permission denied \(/, 'login'],
  [/Unable to negotiate/, 'algorithms'],
  [/Connection refused|Could not resolve|Connection closed by|Broken pipe/, 'network'],
];

function trySsh(config: string): Promise<Found> {
  return new Promise((resolve) => {
    const args = ['-F', config, '-T', '-oBatchMode=yes', '-oConnectTimeout=10', 'files', 'true'];
    const env = { ...process.env, SSH_ASKPASS_REQUIRE: 'never' };
    const child = execFile('ssh', args, { env }, (error, _stdout, stderr) => {
      const failed = WORDS.find(([pattern]) => pattern.test(stderr))?.[1] ?? 'other';
      resolve({ outcome: error === null ? 'connects' : failed, words: stderr });
    });
    child.stdin?.end();
  });
}

async function tryOurs(config: string): Promise<Found> {
  try {
    const sftp = await connect('files', { cnopts: { config } });
    await sftp.close();
    return { outcome: 'connects', words: '' };
  } catch (error) {
    return { outcome: classOf(error), words: String(error) };
  }
}

function classOf(error: unknown): Outcome {
  if (error instanceof HostKeysError) return 'host key';
  if (error instanceof AuthenticationError || error instanceof CredentialError) return 'login';
  if (error instanceof ConnectionError) return 'network';
  if (!(error instanceof SshError)) return 'other';
  if (error.code === 'NEGOTIATION_FAILED') return 'algorithms';
  return error.code === 'CONFIG_UNSUPPORTED' ? 'not supported' : 'other';
}
