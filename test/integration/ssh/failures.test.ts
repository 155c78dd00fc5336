/** What a user reads when connecting fails: the same, whichever transport was asked for. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type CnOptsFields,
  type ConnectOptions,
  connect,
  HostKeysError,
  SftpError,
} from '../../../src/index.js';
import {
  addUser,
  makeKey,
  needsOpenSsh,
  type Sshd,
  startSshd,
  type TemporaryUser,
} from '../../support/sshd.js';

const NO_PIN = `SHA256:${'A'.repeat(43)}`;

interface Case {
  readonly options?: ConnectOptions;
  readonly cnopts?: CnOptsFields;
  readonly server?: Sshd;
  readonly name: string;
  readonly code: string;
  /** Parts of the message. */
  readonly says: readonly (string | RegExp)[];
  /** Where the deciding line is. */
  readonly at?: readonly [file: string, line: number];
  /** Do the transports differ in words (their lists of algorithms do)? */
  readonly differs?: true;
}

/** The system's ssh does not show the key itself, so the last step differs. */
function withoutKey(message: string): string {
  return message.replace(/(?:pin the key[\s\S]*\nor )?(?:add this line|let ssh add it) to [\s\S]*/, '');
}

describe('a failure to connect', { skip: needsOpenSsh }, () => {
  let sshd: Sshd;
  let ecdsa: Sshd;
  let old: Sshd;
  let closed: Sshd;
  let user: TemporaryUser;
  let folder = '';
  let other = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-failures '));
    const locked = await makeKey(join(folder, 'locked'), 'ed25519', 'open sesame');
    other = await makeKey(join(folder, 'stranger'), 'ed25519');
    sshd = await startSshd({ authorizedKeys: [locked] });
    ecdsa = await startSshd({ hostKeyTypes: ['ecdsa'] });
    old = await startSshd({ config: ['KexAlgorithms diffie-hellman-group14-sha1'] });
    closed = await startSshd({ config: ['AllowTcpForwarding no'], authorizedKeys: [locked] });
    user = addUser('the right one');
  });
  after(async () => {
    user?.[Symbol.dispose]();
    for (const server of [sshd, ecdsa, old, closed]) await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const nameOf = (server: Sshd): string => `[${server.host}]:${server.port}`;
  const write = async (name: string, text: string): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  };

  /** The errors of both transports, which must be of one class, code and place, and as a rule of the same words. */
  async function check({
    options,
    cnopts,
    server = sshd,
    name,
    code,
    says,
    at,
    differs,
  }: Case): Promise<void> {
    const errors: SftpError[] = [];
    for (const transport of ['ssh2', 'openssh'] as const) {
      const error = await connect({
        host: server.host,
        port: server.port,
        username: server.user,
        privateKey: server.privateKeyPath,
        ...options,
        cnopts: { knownhosts: server.knownHosts, agent: false, config: false, ...cnopts, transport },
      }).then(
        () => assert.fail('it connected'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof SftpError, String(error));
      assert.deepEqual([error.name, error.code], [name, code], `${transport}: ${error.message}`);
      for (const part of says) {
        const found = typeof part === 'string' ? error.message.includes(part) : part.test(error.message);
        assert.ok(found, `${transport}: ${part} is not in: ${error.message}`);
      }
      if (at !== undefined) {
        assert.ok(error instanceof HostKeysError);
        assert.deepEqual([error.file, error.line], at);
      }
      errors.push(error);
    }
    if (differs !== true)
      assert.equal(...(errors.map(({ message }) => withoutKey(message)) as [string, string]));
  }

  test('H1 a host that is not known is shown with its fingerprint, and how to trust it', async () => {
    const knownhosts = await write('empty of it', `example.com ${other}\n`);
    const says = [
      `127.0.0.1:${sshd.port} (ssh-ed25519 SHA256:`,
      'is not known',
      "\n\n  fingerprint: 'SHA256:",
      ` to ${knownhosts}:\n\n  `,
    ];
    await check({ cnopts: { knownhosts }, name: 'HostKeysError', code: 'HOST_KEY_UNKNOWN', says });
  });

  test('H2 a key that has changed is shown with the old one, its line, and the command that forgets it', async () => {
    const knownhosts = await write('changed', `# a comment\n${nameOf(sshd)} ${other}\n`);
    const command = `ssh-keygen -R '${nameOf(sshd)}' -f '${knownhosts}'`;
    const says = [
      'HAS CHANGED',
      `${knownhosts}:2 holds another one (SHA256:`,
      `\n\n  ${command}\n\n`,
      ` to ${knownhosts}:\n\n  `,
    ];
    const cnopts = { knownhosts, hostKeyAlgorithms: ['ssh-ed25519'] };
    const at = [knownhosts, 2] as const;
    await check({ cnopts, name: 'HostKeysError', code: 'HOST_KEY_CHANGED', says, at });
  });

  test('H2 a key of another type than the known one is told apart', async () => {
    const knownhosts = await write('other', `${nameOf(ecdsa)} ${other}\n`);
    const says = [
      'ecdsa-sha2-nistp256',
      `has another type than the known one (ssh-ed25519, ${knownhosts}:1)`,
    ];
    const at = [knownhosts, 1] as const;
    const cnopts = { knownhosts };
    await check({ server: ecdsa, cnopts, name: 'HostKeysError', code: 'HOST_KEY_OTHER_TYPE', says, at });
  });

  test('H3 a revoked key is shown with its line, also where it is known or pinned', async () => {
    const key = sshd.hostKeys.ed25519;
    const knownhosts = await write('revoked', `${nameOf(sshd)} ${key}\n@revoked * ${key}\n`);
    const expected = {
      name: 'HostKeysError',
      code: 'HOST_KEY_REVOKED',
      says: [`is marked as revoked in ${knownhosts}:2`],
      at: [knownhosts, 2],
    } as const;
    await check({ cnopts: { knownhosts }, ...expected });
    const sftp = await connect({
      host: sshd.host,
      port: sshd.port,
      username: sshd.user,
      privateKey: sshd.privateKeyPath,
      cnopts: { knownhosts: sshd.knownHosts, agent: false },
    });
    const { fingerprint } = sftp.remoteServerKey;
    await sftp.close();
    await check({ cnopts: { knownhosts, fingerprint }, ...expected });
  });

  test('a key that is not the pinned one is told, with the one that was expected', async () => {
    const says = ['does not have the pinned fingerprint', `(expected ${NO_PIN})`];
    await check({ cnopts: { fingerprint: NO_PIN }, name: 'HostKeysError', code: 'HOST_KEY_CHANGED', says });
  });

  test('a known_hosts file that is not there is named', async () => {
    const knownhosts = join(folder, 'nowhere');
    await check({
      cnopts: { knownhosts },
      name: 'HostKeysError',
      code: 'KNOWN_HOSTS_UNUSABLE',
      says: [knownhosts],
    });
  });

  test('a wrong password, and a key that the server does not know, tell what was tried and what to check', async () => {
    const refused = { name: 'AuthenticationError', code: 'AUTHENTICATION_FAILED' };
    const failed = (username: string) =>
      `Authentication failed for ${username}@127.0.0.1:${sshd.port} (tried: `;
    const password = { privateKey: undefined, username: user.name, password: 'wrong guess' };
    const accepts = '; the server accepts: publickey, password)';
    await check({
      ...refused,
      options: password,
      says: [`${failed(user.name)}password${accepts}. Check the user name and the password`],
    });
    const privateKey = join(folder, 'stranger');
    await check({
      ...refused,
      options: { privateKey },
      says: [`${failed(sshd.user)}publickey (${privateKey})${accepts}`, 'authorized_keys on the server'],
    });
  });

  test('a key that cannot be read or opened is told', async () => {
    const missing = { privateKey: join(folder, 'nowhere') };
    await check({ options: missing, name: 'CredentialError', code: 'KEY_UNREADABLE', says: ['nowhere'] });
    const locked = { privateKey: join(folder, 'locked') };
    const closedKey = {
      name: 'PasswordRequiredError',
      code: 'PASSPHRASE_REQUIRED',
      says: ['privateKeyPass'],
    };
    await check({ options: locked, ...closedKey });
    const wrong = { name: 'CredentialError', code: 'WRONG_PASSPHRASE', says: ['is wrong'] };
    await check({ options: { ...locked, privateKeyPass: 'wrong guess' }, ...wrong });
    const garbage = {
      privateKey: '-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n',
    };
    await check({
      options: garbage,
      name: 'CredentialError',
      code: 'INVALID_KEY',
      says: ['Cannot parse the private key '],
    });
  });

  test('nothing in common is shown with both offers, and the preset that would help', async () => {
    const says = [
      `127.0.0.1:${old.port}: `,
      /We offer: key exchange .*curve25519-sha256.*\. The server offers: key exchange diffie-hellman-group14-sha1\./,
      "algorithms: 'legacy'",
    ];
    await check({ server: old, name: 'SshError', code: 'NEGOTIATION_FAILED', says, differs: true });
    const cnopts = { hostKeyAlgorithms: ['rsa-sha2-512'] };
    const offers = /We offer: host keys rsa-sha2-512\. The server offers: host keys ecdsa-sha2-nistp256\./;
    await check({
      server: ecdsa,
      cnopts,
      name: 'SshError',
      code: 'NEGOTIATION_FAILED',
      says: [offers],
      differs: true,
    });
  });

  test('a closed port, and a name that does not exist, are named', async () => {
    const refused = { name: 'ConnectionError', code: 'ECONNREFUSED' };
    await check({ options: { port: 1 }, ...refused, says: ['127.0.0.1:1: the connection was refused'] });
    const options = { host: 'name.invalid' } as ConnectOptions;
    const says = ['name.invalid was not found; check the spelling'];
    await check({ options, name: 'ConnectionError', code: 'ENOTFOUND', says });
  });

  test('a subsystem or a command that does not start says so, in its own words', async () => {
    const says = ['The server refused the subsystem nothing; it may not offer it to this user'];
    const refused = { name: 'SshError', code: 'CHANNEL_REFUSED', says, differs: true } as const;
    await check({ cnopts: { subsystem: 'nothing' }, ...refused });
    const serverCommand = 'echo not here >&2; exit 9';
    const ended = `The server closed the command ${serverCommand} (with status 9); the server says: not here`;
    await check({ cnopts: { serverCommand }, name: 'SshError', code: 'CHANNEL_CLOSED', says: [ended] });
  });

  describe('at a host on the way', () => {
    /** What ssh's own configuration says about a hop, which both transports then follow. */
    async function through(hop: Sshd, known: string): Promise<CnOptsFields> {
      const lines = [
        'Host gate',
        `HostName ${hop.host}`,
        `Port ${hop.port}`,
        `User ${hop.user}`,
        `IdentityFile "${hop.privateKeyPath}"`,
        'IdentitiesOnly yes',
        `UserKnownHostsFile ${known}`,
        `Host 127.0.0.1`,
        `UserKnownHostsFile ${sshd.knownHosts}`,
        'Host *',
        'GlobalKnownHostsFile none',
      ];
      const config = await write(`config ${hop.port}`, `${lines.join('\n')}\n`);
      return { knownhosts: undefined, config, proxyJump: 'gate' };
    }

    test('a key that is not known or has changed is that host’s, not the server’s', async () => {
      const empty = join(ecdsa.folder, 'empty');
      await writeFile(empty, '');
      const key = `The host key of 127.0.0.1:${ecdsa.port} (ecdsa-sha2-nistp256 SHA256:`;
      const code = 'HOST_KEY_UNKNOWN';
      const says = [key, 'is not known', `to ${empty}:\n\n  `];
      await check({ cnopts: await through(ecdsa, empty), name: 'HostKeysError', code, says });
      const wrong = join(ecdsa.folder, 'wrong');
      await writeFile(wrong, `\n${nameOf(ecdsa)} ${old.hostKeys.ecdsa}\n`);
      const changed = { name: 'HostKeysError', code: 'HOST_KEY_CHANGED', says: [key, 'HAS CHANGED'] };
      await check({ cnopts: await through(ecdsa, wrong), ...changed, at: [wrong, 2] });
    });

    test('who is not let in, and what cannot be agreed on, is told of that host', async () => {
      const stranger = await through({ ...ecdsa, user: 'nobody-there' }, ecdsa.knownHosts);
      const refused = `Authentication failed for nobody-there@127.0.0.1:${ecdsa.port} (tried: publickey (`;
      const code = 'AUTHENTICATION_FAILED';
      // The hop gets the key that the program gave for the server, with ssh the one of its configuration.
      await check({ cnopts: stranger, name: 'AuthenticationError', code, says: [refused], differs: true });
      const unable = [
        `No common SSH algorithm with 127.0.0.1:${old.port}: `,
        'The server offers: key exchange diffie-',
      ];
      const cnopts = await through(old, old.knownHosts);
      await check({ cnopts, name: 'SshError', code: 'NEGOTIATION_FAILED', says: unable, differs: true });
    });

    test('a host that is not there, or that leads nowhere, is named', async () => {
      const cnopts = await through({ ...closed, port: 1 }, closed.knownHosts);
      const says = ['Cannot connect to 127.0.0.1:1: the connection was refused'];
      await check({ cnopts, name: 'ConnectionError', code: 'ECONNREFUSED', says });
      const refused = {
        name: 'SshError',
        code: 'CHANNEL_REFUSED',
        says: [`to 127.0.0.1:${sshd.port}`],
      };
      const shut = await through(closed, closed.knownHosts);
      const options = { privateKey: closed.privateKeyPath };
      await check({ options, cnopts: shut, ...refused, differs: true });
    });
  });
});
