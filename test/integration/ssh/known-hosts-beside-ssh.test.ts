/**
 * Generated known_hosts files under both policies, over both transports: nowhere laxer than ssh. ssh-keygen looks up all
 * of them at once; ssh itself connects with some, and with all where TSFTP_KNOWN_HOSTS_FILES says how many that is.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { type CnOptsFields, connect, HostKeys, HostKeysError } from '../../../src/index.js';
import { judgeHostKey, settleHostKey } from '../../../src/ssh/host-keys/host-key.js';
import { prepareTrust } from '../../../src/ssh/openssh/openssh-host-key.js';
import { readResolution } from '../../../src/ssh/openssh/openssh-resolution.js';
import { startServer, type TestServer } from '../../../src/testing/index.js';
import { makeKey, needsOpenSsh } from '../../support/sshd.js';

const run = promisify(execFile);
const FILES = 2_000;
const WITH_SSH = Number(process.env.TSFTP_KNOWN_HOSTS_FILES ?? 12);
const POLICIES = ['strict', 'accept-new'] as const;
type Policy = (typeof POLICIES)[number];

function hashed(name: string): string {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

describe('generated known_hosts files beside ssh', { skip: needsOpenSsh }, () => {
  let folder = '';
  let server: TestServer;
  let texts: readonly string[] = [];
  let right = '';
  /** The keys that are some; ssh passes over lines with others. */
  let usable: readonly string[] = [];
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tsftp-beside-'));
    server = await startServer({ files: {} });
    right = server.hostKey.publicKey;
    const changed = await makeKey(join(folder, 'changed'), 'ed25519');
    const otherType = await makeKey(join(folder, 'other'), 'ecdsa');
    usable = [right, changed, otherType];
    const name = `[127.0.0.1]:${server.port}`;
    const names = fc.oneof(
      fc.constantFrom(
        name,
        name,
        name,
        `a,${name}`,
        `[*]:${server.port}`,
        '*',
        `*,!${name}`,
        `!a,*`,
        `[127.0.0.?]:*`,
      ),
      fc.constantFrom('127.0.0.1', 'a', '[127.0.0.1]:1', `${name}x`, '|1|broken', ','),
      fc.constant(name).map(hashed),
    );
    const keys = fc.constantFrom(
      right,
      right,
      right,
      changed,
      otherType,
      `${right}junk`,
      'ssh-ed25519 AAAA',
      '',
    );
    const markers = fc.constantFrom('', '', '', '', '@revoked ', '@cert-authority ', '@nonsense ', '# ');
    const ends = fc.constantFrom('\n', '\n', '\r\n', ' a comment\n', '\n\n');
    const line = fc
      .tuple(markers, names, keys, ends)
      .map(([marker, host, key, end]) => `${marker}${host} ${key}${end}`);
    texts = fc.sample(fc.array(line, { minLength: 0, maxLength: 4 }), FILES).map((lines) => lines.join(''));
  });
  after(async () => {
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The lines of each file that ssh-keygen finds: whether it finds one does not depend on the others. */
  async function findWithKeygen(): Promise<readonly (readonly string[])[]> {
    const file = join(folder, 'all');
    await writeFile(file, texts.join(''));
    const args = ['-F', `[127.0.0.1]:${server.port}`, '-f', file];
    const { stdout } = await run('ssh-keygen', args, { maxBuffer: 1e9 });
    const found = new Set(
      [...stdout.matchAll(/^# Host .* found: line (\d+)/gm)].map(([, line]) => Number(line)),
    );
    let first = 1;
    return texts.map((text) => {
      const lines = text.split('\n').slice(0, -1);
      const begin = first;
      first += lines.length;
      return lines.filter((_line, index) => found.has(begin + index));
    });
  }

  /** As ssh decides by the lines for a host (hostfile.c), but that a key for another port counts for nothing. */
  function isAccepted(lines: readonly string[], policy: Policy): boolean {
    const keysOf = (marked: (first: string) => boolean): readonly string[] =>
      lines
        .map((line) => line.trim().split(/\s+/))
        .filter(([first = '']) => marked(first))
        .map((fields) =>
          fields
            .slice(fields[0]?.startsWith('@') ? 2 : 1)
            .slice(0, 2)
            .join(' '),
        )
        .filter((key) => usable.includes(key));
    const plain = keysOf((first) => !first.startsWith('@'));
    const revoked = keysOf((first) => first === '@revoked');
    if (revoked.includes(right)) return false;
    return plain.includes(right) || (policy === 'accept-new' && plain.length === 0);
  }

  async function isAcceptedHere(file: string, policy: Policy): Promise<boolean> {
    const key = Buffer.from(right.split(' ')[1] ?? '', 'base64');
    const shown = { host: '127.0.0.1', port: server.port, key };
    const keys = new HostKeys();
    keys.parse(readFileSync(file, 'latin1'), file);
    const rules = { keys, ...(policy === 'accept-new' && { acceptNewIn: file }) };
    return (await settleHostKey(shown, rules, judgeHostKey(shown, rules))) === undefined;
  }

  /** With what ssh is told: the files that it reads then, and whether it may add. */
  async function isAcceptedThere(file: string, policy: Policy, own: string): Promise<boolean> {
    const resolution = readResolution(`hostname 127.0.0.1\nport ${server.port}\n`, '127.0.0.1');
    const hostKeys = new HostKeys();
    hostKeys.parse(readFileSync(file, 'latin1'), file);
    const given = await prepareTrust({ hostKeys, policy, acceptNewIn: file }, resolution, own);
    const told = given.arguments.join('\n');
    const files = [...(/UserKnownHostsFile=(.*)/.exec(told)?.[1]?.matchAll(/"([^"]+)"/g) ?? [])].map(
      ([, path]) => path,
    );
    const keys = new HostKeys();
    for (const path of files) keys.parse(readFileSync(path ?? '', 'latin1'));
    const lines = keys.lookup('127.0.0.1', server.port).map(({ marker, type, key }) => {
      return `${marker === undefined ? '' : `@${marker} `}host ${type} ${key.toString('base64')}`;
    });
    return isAccepted(lines, told.includes('StrictHostKeyChecking=accept-new') ? 'accept-new' : 'strict');
  }

  test('X1: of 2,000 files none makes either transport accept what ssh-keygen and the rules of ssh would refuse', async () => {
    const found = await findWithKeygen();
    const own = join(folder, 'own');
    await mkdir(own);
    const file = join(folder, 'one');
    let accepted = 0;
    for (const [index, text] of texts.entries()) {
      writeFileSync(file, text);
      // The second policy, and of that our own client, may add to the file.
      for (const policy of POLICIES) {
        const there = await isAcceptedThere(file, policy, own);
        const here = await isAcceptedHere(file, policy);
        const lines = found[index] ?? [];
        const yardstick = isAccepted(lines, policy);
        accepted += Number(here);
        assert.ok(
          yardstick || !(here || there),
          `${policy}, ${JSON.stringify({ text, lines, here, there })}`,
        );
        assert.equal(here, there, `${policy}, ${JSON.stringify(text)}`);
      }
    }
    // Else nothing would have been compared.
    assert.ok(accepted > FILES / 4, String(accepted));
  });

  async function isAcceptedBySsh(file: string, policy: Policy): Promise<boolean> {
    const settings = [
      `StrictHostKeyChecking=${policy === 'strict' ? 'yes' : policy}`,
      `UserKnownHostsFile=${file}`,
    ];
    const all = [
      ...settings,
      'GlobalKnownHostsFile=none',
      'BatchMode=yes',
      'IdentityAgent=none',
      'IdentityFile=none',
    ];
    const args = [
      '-F',
      'none',
      '-p',
      String(server.port),
      ...all.map((one) => `-o${one}`),
      'test@127.0.0.1',
      'true',
    ];
    const words = await run('ssh', args).then(
      () => assert.fail('it was let in'),
      ({ stderr }: { stderr: string }) => stderr,
    );
    assert.match(words, /Permission denied|Host key verification failed/);
    return /Permission denied/.test(words);
  }

  async function isAcceptedByUs(cnopts: CnOptsFields): Promise<boolean> {
    const { port, username, password } = server;
    return await connect('127.0.0.1', { port, username, password, cnopts: { agent: false, ...cnopts } }).then(
      (sftp) => sftp.close().then(() => true),
      (error: unknown) => {
        assert.ok(error instanceof HostKeysError, String(error));
        return false;
      },
    );
  }

  test(`X1: ssh itself accepts what either transport accepts, with ${WITH_SSH} files under both policies`, async () => {
    const config = join(folder, 'config');
    for (const [index, text] of texts
      .filter((one) => one !== '')
      .slice(0, WITH_SSH)
      .entries()) {
      for (const policy of POLICIES) {
        const file = (who: string): string => join(folder, `${index} ${policy} ${who}`.replaceAll(' ', '-'));
        for (const who of ['ssh', 'ssh2', 'openssh']) await writeFile(file(who), text);
        const theirs = await isAcceptedBySsh(file('ssh'), policy);
        for (const transport of ['ssh2', 'openssh'] as const) {
          await writeFile(config, `UserKnownHostsFile ${file(transport)}\nGlobalKnownHostsFile none\n`);
          const ours = await isAcceptedByUs({ transport, config, hostKeyPolicy: policy });
          assert.ok(theirs || !ours, `${transport}, ${policy}: ${JSON.stringify(text)}`);
        }
      }
    }
  });
});
