import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { HostKeysError } from '../../../../src/errors.js';
import { matches, parseWildcards } from '../../../../src/shared/pattern.js';
import { HostKeys } from '../../../../src/ssh/host-keys/known-hosts.js';

const runFile = promisify(execFile);

function field(bytes: Buffer | string): Buffer {
  const data = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
}

function makeKey(type = 'ssh-ed25519', secret: Buffer = randomBytes(32)): { bytes: Buffer; text: string } {
  const bytes = Buffer.concat([field(type), field(secret)]);
  return { bytes, text: `${type} ${bytes.toString('base64')}` };
}

function hashed(name: string): string {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

function status(text: string, host: string, port: number, key: Buffer): string {
  const keys = new HostKeys();
  keys.parse(text, 'file');
  const { status: found, entry } = keys.check(host, port, key);
  return entry === undefined ? found : `${found}:${entry.line}`;
}

const key = makeKey();
const other = makeKey();
const ecdsa = makeKey('ecdsa-sha2-nistp256');

describe('known hosts', () => {
  test('a plain name is trusted with its own key and changed with another of its type', () => {
    assert.equal(status(`# comment\n\nhost ${key.text} me@there\n`, 'host', 22, key.bytes), 'trusted:3');
    assert.equal(status(`host ${key.text}\n`, 'host', 22, other.bytes), 'changed:1');
    assert.equal(status(`host ${key.text}\n`, 'elsewhere', 22, key.bytes), 'unknown');
  });

  test('a key of another type than the known ones is told apart from a changed one', () => {
    assert.equal(status(`host ${ecdsa.text}\n`, 'host', 22, key.bytes), 'other-type:1');
  });

  test('one of several keys of a type is enough', () => {
    assert.equal(status(`host ${other.text}\nhost ${key.text}\n`, 'host', 22, key.bytes), 'trusted:2');
  });

  test('H3 a revoked key is revoked although it is trusted elsewhere', () => {
    const text = `host ${key.text}\n@revoked * ${key.text}\n`;
    assert.equal(status(text, 'host', 22, key.bytes), 'revoked:2');
    assert.equal(status(text, 'host', 22, other.bytes), 'changed:1');
  });

  test('H6 an authority is never taken for a plain key', () => {
    assert.equal(status(`@cert-authority * ${key.text}\n`, 'host', 22, key.bytes), 'unknown:1');
    assert.equal(status(`@nonsense host ${key.text}\n`, 'host', 22, key.bytes), 'unknown');
  });

  test('H5 a port other than 22 has a name of its own', () => {
    const text = `[host]:2222 ${key.text}\nplain ${key.text}\n`;
    assert.equal(status(text, 'host', 2222, key.bytes), 'trusted:1');
    assert.equal(status(text, 'host', 22, key.bytes), 'unknown');
    assert.equal(status(text, 'plain', 2222, key.bytes), 'unknown');
    assert.equal(status(text, '::1', 2222, key.bytes), 'unknown');
  });

  test('H4 lists, wildcards, negation, hashes, CRLF and letters of either case are understood', () => {
    assert.equal(status(`a,b,host ${key.text}\n`, 'host', 22, key.bytes), 'trusted:1');
    assert.equal(status(`*.Example.com ${key.text}\r\n`, 'WWW.example.COM', 22, key.bytes), 'trusted:1');
    assert.equal(
      status(`*.example.com,!bad.example.com ${key.text}\n`, 'bad.example.com', 22, key.bytes),
      'unknown',
    );
    assert.equal(status(`!bad.example.com,* ${key.text}\n`, 'good', 22, key.bytes), 'trusted:1');
    assert.equal(status(`${hashed('host')} ${key.text}\n`, 'Host', 22, key.bytes), 'trusted:1');
    assert.equal(status(`${hashed('[host]:2022')} ${key.text}\n`, 'host', 2022, key.bytes), 'trusted:1');
    assert.equal(status(`[*.example.com]:* ${key.text}\n`, 'a.example.com', 99, key.bytes), 'trusted:1');
    assert.equal(status(`  \thost\t${key.text}`, 'host', 22, key.bytes), 'trusted:1');
  });

  test('H4 a line of a megabyte, unknown types and broken lines do not disturb the others', () => {
    const lines = [
      `${'x'.repeat(1_000_000)} ${key.text}`,
      `host ssh-unknown@example.com ${key.bytes.toString('base64')}`,
      'host ssh-ed25519 !!!!',
      'host ssh-ed25519',
      'host',
      `host ssh-rsa ${key.bytes.toString('base64')}`,
      '|1|short|hash ssh-ed25519 AAAA',
      'host 2048 35 1234567',
      `host ${key.text}`,
    ];
    assert.equal(status(lines.join('\n'), 'host', 22, key.bytes), 'trusted:9');
  });

  test('X18: what is behind the base64 of a key, or not base64, makes the line none', () => {
    const base64 = key.bytes.toString('base64');
    for (const wrong of [
      `${base64}junk`,
      `${base64}=`,
      `${base64}==x`,
      `${base64.slice(0, 8)}!${base64.slice(8)}`,
      `-${base64}`,
    ]) {
      assert.equal(status(`host ssh-ed25519 ${wrong}\n`, 'host', 22, key.bytes), 'unknown', wrong);
      assert.throws(() => new HostKeys().add('host', `ssh-ed25519 ${wrong}`), TypeError);
    }
    const [, magic, salt = '', digest = ''] = hashed('host').split('|');
    assert.equal(magic, '1');
    const names = [`|1|${salt}|${digest}!`, `|1|${salt}x|${digest}`, `|1| ${salt}|${digest}`];
    for (const name of names)
      assert.equal(status(`${name} ${key.text}\n`, 'host', 22, key.bytes), 'unknown', name);
  });

  test('the key types of a host are given once each, without revoked ones and authorities', () => {
    const keys = new HostKeys();
    keys.parse(`h ${ecdsa.text}\nh ${key.text}\nh ${other.text}\n@revoked h ${makeKey('ssh-rsa').text}\n`);
    assert.deepEqual(keys.keyTypes('h'), ['ecdsa-sha2-nistp256', 'ssh-ed25519']);
    assert.deepEqual(keys.keyTypes('h', 2222), []);
  });

  test('keys of the program are trusted like those of a file', () => {
    const keys = new HostKeys().add('[h]:2222', key.text).add('i', other.bytes);
    assert.equal(keys.check('h', 2222, key.bytes).status, 'trusted');
    assert.equal(keys.check('i', 22, other.bytes).status, 'trusted');
    assert.equal(keys.size, 2);
    assert.throws(() => keys.add('h', 'no key'), TypeError);
    assert.throws(() => keys.add('h i', key.text), TypeError);
  });

  test('a file that is missing or holds no key is an error with its name', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tsftp-hosts-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const empty = join(folder, 'empty');
    writeFileSync(empty, '# nothing\n');
    for (const file of [empty, join(folder, 'missing'), folder]) {
      assert.throws(
        () => new HostKeys().load(file),
        (error) =>
          error instanceof HostKeysError && error.code === 'KNOWN_HOSTS_UNUSABLE' && error.file === file,
      );
    }
  });

  test('wildcards agree with a regular expression, also where stars abound', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 });
    const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 });
    fc.assert(
      fc.property(letters, patterns, (text, pattern) => {
        const expression = `^${pattern.replace(/\*+/g, '.*').replaceAll('?', '.')}$`;
        assert.equal(matches(parseWildcards(pattern), text), new RegExp(expression).test(text));
      }),
      { numRuns: 2000 },
    );
    assert.equal(matches(parseWildcards(`${'*a'.repeat(500)}b`), 'a'.repeat(2_000)), false);
  });
});

function haveKeygen(): boolean {
  try {
    execFileSync('ssh-keygen', ['-F', 'x', '-f', '/dev/null'], { stdio: 'ignore' });
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
  return true;
}

const names = fc.constantFrom(
  'a',
  'ab',
  'b.example.com',
  'a.example.com',
  'x-1',
  '10.0.0.1',
  '::1',
  '[a]:2222',
  '[ab]:22',
);
const namePatterns = fc.oneof(
  names,
  fc.constantFrom(
    '*',
    '?',
    'a*',
    '*.example.com',
    '[a]:*',
    '!a',
    '!*.example.com',
    '!ab',
    '?b',
    '*:2222',
    'A',
    'AB',
  ),
);
const hostFields = fc.oneof(
  fc.array(namePatterns, { minLength: 1, maxLength: 4 }).map((list) => list.join(',')),
  names.map(hashed),
  fc.constantFrom('|1|broken', '|1||', '|2|a|b', ',', 'a,,b'),
);
const markers = fc.constantFrom('', '', '', '@revoked ', '@cert-authority ');

const HOSTS = [
  ['a', 22],
  ['ab', 22],
  ['A.Example.com', 22],
  ['b.example.com', 22],
  ['a', 2222],
  ['10.0.0.1', 22],
  ['::1', 22],
  ['x-1', 22],
] as const;
const FILES = 1250;

/**
 * Asks ssh-keygen for each host once, in all files laid end to end: whether a line matches does not depend on the
 * others, so its answer tells that of every file. It takes a name as it is, where ssh makes it small first.
 */
async function askKeygen(file: string): Promise<readonly (readonly number[])[]> {
  const asking = HOSTS.map(async ([host, port]) => {
    const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
    const { stdout } = await runFile('ssh-keygen', ['-F', name, '-f', file], { maxBuffer: 1e9 });
    return [...stdout.matchAll(/^# Host .* found: line (\d+)/gm)].map(([, line]) => Number(line));
  });
  return await Promise.all(asking);
}

describe('known hosts beside OpenSSH', {
  skip: haveKeygen() ? false : 'needs ssh-keygen (openssh-client)',
}, () => {
  test('H4 10,000 lookups find the lines that ssh-keygen -F finds', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tsftp-hosts-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const lines = fc.array(fc.tuple(markers, hostFields), { minLength: 1, maxLength: 12 });
    const ends = fc.constantFrom('\n', '\n', '\r\n', '\n\n', '\n# comment\n');
    const texts = fc
      .sample(fc.tuple(lines, ends), FILES)
      .map(([list, end]) =>
        list.map(([marker, hostField]) => `${marker}${hostField} ${key.text} c${end}`).join(''),
      );
    const file = join(folder, 'known_hosts');
    writeFileSync(file, texts.join(''));
    const theirs = await askKeygen(file);
    let lookups = 0;
    let first = 0;
    for (const text of texts) {
      const keys = new HostKeys();
      keys.parse(text);
      const count = text.split('\n').length - 1;
      for (const [index, [host, port]] of HOSTS.entries()) {
        const found = theirs[index]?.filter((line) => line > first && line <= first + count) ?? [];
        const ours = keys.lookup(host, port).map(({ line = 0 }) => first + line);
        assert.deepEqual(ours, found, `${host}:${port} in ${JSON.stringify(text)}`);
        lookups++;
      }
      first += count;
    }
    assert.equal(lookups, 10_000);
  });
});
