import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { HostKeysError } from '../../../../src/errors.js';
import {
  type HostKeyQuestion,
  type HostKeyRules,
  judgeHostKey,
  settleHostKey,
  toRules,
  wantedKeyTypes,
} from '../../../../src/ssh/host-keys/host-key.js';
import { fingerprintOf } from '../../../../src/ssh/host-keys/key-blob.js';
import { HostKeys } from '../../../../src/ssh/host-keys/known-hosts.js';
import { appendKnownHost } from '../../../../src/ssh/host-keys/known-hosts-file.js';

function field(bytes: Buffer | string): Buffer {
  const data = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
}

function makeKey(type = 'ssh-ed25519'): Buffer {
  return Buffer.concat([field(type), field(randomBytes(32))]);
}

function text(key: Buffer, type = 'ssh-ed25519'): string {
  return `${type} ${key.toString('base64')}`;
}

const key = makeKey();
const other = makeKey();
const shown = { host: 'host', port: 2222, key };

/** The outcome of both steps: the code of the refusal, or `trusted`. */
async function decide(rules: HostKeyRules, what = shown): Promise<string> {
  const refusal = await settleHostKey(what, rules, judgeHostKey(what, rules));
  return refusal?.code ?? 'trusted';
}

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-host-key-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

describe('the rules about a host key', () => {
  test('H7 whatever is not true, or a promise of it, refuses, and so does an error', async () => {
    const answers: unknown[] = [
      false,
      Promise.resolve(false),
      null,
      undefined,
      0,
      1,
      'true',
      {},
      new Error(),
    ];
    for (const answer of answers) {
      const verify = () => answer as boolean;
      assert.equal(await decide({ keys: null, verify }), 'HOST_KEY_REFUSED', String(answer));
      assert.equal(await decide({ keys: new HostKeys(), verify }), 'HOST_KEY_UNKNOWN', String(answer));
    }
    const failing = [
      () => {
        throw new Error('no');
      },
      () => Promise.reject(new Error('no')),
    ];
    for (const verify of failing) assert.equal(await decide({ keys: null, verify }), 'HOST_KEY_REFUSED');
    for (const verify of [() => true, () => Promise.resolve(true)]) {
      assert.equal(await decide({ keys: null, verify }), 'trusted');
    }
  });

  test('the program is told the key and what known_hosts thinks, and is not asked about a revoked one', async () => {
    const questions: HostKeyQuestion[] = [];
    const verify = (question: HostKeyQuestion): boolean => questions.push(question) > 0;
    const keys = new HostKeys().add('[host]:2222', other);
    assert.equal(await decide({ keys, verify }), 'trusted');
    const [question] = questions;
    assert.deepEqual(
      [question?.host, question?.port, question?.type, question?.fingerprint, question?.refusal?.code],
      ['host', 2222, 'ssh-ed25519', fingerprintOf(key), 'HOST_KEY_CHANGED'],
    );
    keys.parse(`@revoked * ${text(key)}\n`);
    assert.equal(await decide({ keys, verify }), 'HOST_KEY_REVOKED');
    assert.equal(questions.length, 1);
  });

  test('H3 a revoked key is refused also where its fingerprint is pinned', async () => {
    const keys = new HostKeys();
    const pins = [fingerprintOf(key)];
    assert.equal(await decide({ keys, pins }), 'trusted');
    keys.parse(`@revoked * ${text(key)}\n`);
    assert.equal(await decide({ keys, pins }), 'HOST_KEY_REVOKED');
  });

  test('an alias is looked up in place of the address, whatever the port', async () => {
    const keys = new HostKeys().add('name', key);
    assert.equal(await decide({ keys }), 'HOST_KEY_UNKNOWN');
    assert.equal(await decide({ keys, alias: 'name' }), 'trusted');
    assert.deepEqual(wantedKeyTypes('host', 2222, { keys, alias: 'name' }), ['ssh-ed25519']);
  });

  test('H6 an authority for the host is named, and keeps its key from being accepted as new', async (t) => {
    const file = join(makeFolder(t), 'known_hosts');
    const keys = new HostKeys();
    keys.parse(`@cert-authority *:2222 ${text(other)}\n`, 'mine');
    const { refusal } = judgeHostKey(shown, { keys });
    assert.match(refusal?.message ?? '', /only an authority for it \(mine:1\)/);
    assert.equal(await decide({ keys, acceptNewIn: file }), 'HOST_KEY_UNKNOWN');
    assert.equal(existsSync(file), false);
  });

  test('H9 a key that cannot be read, or is too short, is refused whatever is known', () => {
    const rsa = Buffer.concat([
      field('ssh-rsa'),
      field(Buffer.from([1, 0, 1])),
      field(Buffer.alloc(64, 0xff)),
    ]);
    const broken = Buffer.concat([field('ssh-rsa'), field(Buffer.from([1, 0, 1])), field(Buffer.alloc(4))]);
    const expected = [
      [Buffer.alloc(0), /is of a type that cannot be verified/],
      [field('ssh-dss'), /is of a type that cannot be verified/],
      [rsa, /has only 512 bits\. RSA keys need 2048 bits/],
      [broken, /has only an unknown number of bits\./],
    ] as const;
    for (const [bytes, message] of expected) {
      const { refusal, final } = judgeHostKey({ ...shown, key: bytes }, { keys: null, verify: () => true });
      assert.deepEqual([refusal?.code, final], ['HOST_KEY_REFUSED', true]);
      assert.match(refusal?.message ?? '', message);
    }
    assert.equal(
      judgeHostKey({ ...shown, key: rsa }, { keys: null, minimumRsaBits: 512 }).refusal,
      undefined,
    );
  });

  test('fingerprints, known hosts and null are rules too', () => {
    assert.deepEqual(toRules(null), { keys: null });
    assert.deepEqual(toRules(['SHA256:x']), { keys: null, pins: ['SHA256:x'] });
  });

  test('the command that mends it is for the file in use', (t) => {
    const file = join(makeFolder(t), 'my_hosts');
    writeFileSync(file, `# mine\n[host]:2222 ${text(other)}\n`);
    const { refusal } = judgeHostKey(shown, { keys: new HostKeys().load(file) });
    assert.deepEqual([refusal?.code, refusal?.file, refusal?.line], ['HOST_KEY_CHANGED', file, 2]);
    assert.ok(refusal?.message.includes(`ssh-keygen -R '[host]:2222' -f ${file}`), refusal?.message);
    assert.ok(
      refusal?.message.includes(`add this line to ${file}:\n\n  [host]:2222 ${text(key)}\n`),
      refusal?.message,
    );
    assert.ok(
      refusal?.message.includes(fingerprintOf(key)) && refusal.message.includes(fingerprintOf(other)),
    );
  });
});

describe('accept-new', () => {
  test('makes the folder and the file for their owner only, and trusts from then on', async (t) => {
    const folder = join(makeFolder(t), 'ssh');
    const file = join(folder, 'known_hosts');
    const keys = new HostKeys();
    assert.equal(await decide({ keys, acceptNewIn: file }), 'trusted');
    assert.equal(readFileSync(file, 'latin1'), `[host]:2222 ${text(key)}\n`);
    if (process.platform !== 'win32') {
      assert.deepEqual([statSync(folder).mode & 0o777, statSync(file).mode & 0o777], [0o700, 0o600]);
    }
    assert.equal(await decide({ keys }), 'trusted');
    assert.equal(await decide({ keys: new HostKeys().load(file) }), 'trusted');
    const changed = { ...shown, key: other };
    assert.equal(await decide({ keys, acceptNewIn: file }, changed), 'HOST_KEY_CHANGED');
    const rsa = { ...shown, key: makeKey('ecdsa-sha2-nistp256') };
    assert.equal(await decide({ keys, acceptNewIn: file }, rsa), 'HOST_KEY_OTHER_TYPE');
    assert.equal(readFileSync(file, 'latin1').split('\n').length, 2);
  });

  test('keeps every byte that is there, and begins a line of its own', async (t) => {
    const file = join(makeFolder(t), 'known_hosts');
    const before = `# mine\r\n\r\nnonsense \xff\n@revoked * ${text(other)}\nlast ${text(other)} no newline`;
    writeFileSync(file, before, 'latin1');
    assert.equal(await decide({ keys: new HostKeys(), acceptNewIn: file }), 'trusted');
    assert.equal(readFileSync(file, 'latin1'), `${before}\n[host]:2222 ${text(key)}\n`);
  });

  test('hashes the name where the file does', async (t) => {
    const file = join(makeFolder(t), 'known_hosts');
    const line = `|1|${randomBytes(20).toString('base64')}|${randomBytes(20).toString('base64')} ${text(other)}\n`;
    writeFileSync(file, line);
    assert.equal(await decide({ keys: new HostKeys(), acceptNewIn: file }), 'trusted');
    const added = readFileSync(file, 'latin1').slice(line.length);
    assert.match(added, /^\|1\|[\w+/=]{28}\|[\w+/=]{28} ssh-ed25519 \S+\n$/);
    assert.equal(new HostKeys().load(file).check('host', 2222, key).status, 'trusted');
  });

  test('looks at what the file says by now: the same key is not added twice, another is refused', async (t) => {
    const file = join(makeFolder(t), 'known_hosts');
    writeFileSync(file, `[host]:2222 ${text(key)}\n`);
    assert.equal(await decide({ keys: new HostKeys(), acceptNewIn: file }), 'trusted');
    assert.equal(readFileSync(file, 'latin1'), `[host]:2222 ${text(key)}\n`);
    const late = { keys: new HostKeys(), acceptNewIn: file };
    assert.equal(await decide(late, { ...shown, key: other }), 'HOST_KEY_CHANGED');
  });

  test('a file that cannot be written is an error, not a key that is forgotten', async (t) => {
    const file = makeFolder(t);
    assert.equal(await decide({ keys: new HostKeys(), acceptNewIn: file }), 'KNOWN_HOSTS_UNUSABLE');
    writeFileSync(join(file, 'a-file'), '');
    const below = join(file, 'a-file', 'known_hosts');
    assert.equal(await decide({ keys: new HostKeys(), acceptNewIn: below }), 'KNOWN_HOSTS_UNUSABLE');
  });

  test('a name that would mean something else in the file is not written', (t) => {
    const file = join(makeFolder(t), 'known_hosts');
    for (const name of ['*', 'a,b', '!a', 'a b', 'a\nb', '|1|x|y', '#a', '@revoked', '', 'a?']) {
      assert.throws(() => appendKnownHost(file, name, key), HostKeysError);
    }
    assert.equal(existsSync(file), false);
  });
});
