import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { describe, test } from 'node:test';
import {
  hostKeyError,
  type KnownHostsPlace,
  knownHostsError,
} from '../../../../src/ssh/host-keys/host-key-error.js';
import { rsaBits } from '../../../../src/ssh/host-keys/key-blob.js';
import { HostKeys, type KnownHostEntry } from '../../../../src/ssh/host-keys/known-hosts.js';

const shown = { host: 'h', port: 22, type: 'ssh-ed25519', fingerprint: 'SHA256:x' };
const place: KnownHostsPlace = { file: '/home/me/.ssh/known_hosts' };
const entry: KnownHostEntry = {
  marker: undefined,
  type: 'ssh-ed25519',
  key: Buffer.from('key'),
  file: '/home/me/my hosts',
  line: 7,
};
const isWindows = process.platform === 'win32';

function lengthPrefixed(...texts: readonly string[]): Buffer {
  return Buffer.concat(texts.map((text) => lengthOf(Buffer.from(text))));
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

describe('the error about a host key', () => {
  const key = lengthPrefixed('ssh-ed25519', 'k'.repeat(32));
  const publicKey = `ssh-ed25519 ${key.toString('base64')}`;

  test('shows the fingerprint, the option that pins it, and the line for known_hosts', () => {
    const error = knownHostsError({ ...shown, key, port: 2222 }, 'unknown', undefined, place);
    assert.equal(
      error.message,
      [
        'The host key of h:2222 (ssh-ed25519 SHA256:x) is not known.',
        'Compare the fingerprint with one that you have from the owner of the server. If they are equal, pin the key with this option of connect:',
        '',
        "  fingerprint: 'SHA256:x'",
        '',
        'or add this line to /home/me/.ssh/known_hosts:',
        '',
        `  [h]:2222 ${publicKey}`,
        '',
      ].join('\n'),
    );
    assert.equal(error.publicKey, publicKey);
    const keys = new HostKeys();
    keys.parse(error.message.split('\n').at(-2)?.trim() ?? '', 'the message');
    assert.equal(keys.check('h', 2222, key).status, 'trusted');
  });

  test('pins a jump host where it is named', () => {
    const { message } = knownHostsError({ ...shown, key }, 'unknown', undefined, {
      ...place,
      isJumpHost: true,
    });
    assert.match(message, /\n\n {2}proxyJump: \[\{ host: 'h', fingerprint: 'SHA256:x' \}\]\n\n/);
  });

  test('names the command that trusts it where the key itself is not seen', () => {
    const { message } = knownHostsError(shown, 'unknown', undefined, place);
    assert.match(message, /let ssh add it to \/home\/me\/\.ssh\/known_hosts:\n\n {2}ssh h\n$/);
    const other = knownHostsError({ ...shown, port: 2222 }, 'unknown', undefined, { ...place, file: '/k' });
    assert.match(other.message, /\n\n {2}ssh -p 2222 -o UserKnownHostsFile=\/k h\n$/);
    const jump = knownHostsError(shown, 'unknown', undefined, { ...place, isJumpHost: true });
    assert.doesNotMatch(jump.message, /proxyJump|fingerprint:/);
  });

  test('writes and forgets under the alias, if there is one', () => {
    const { message } = knownHostsError(shown, 'changed', entry, { ...place, alias: 'other' });
    assert.match(message, /ssh-keygen -R other -f /);
    assert.match(message, /\n\n {2}ssh -o HostKeyAlias=other h\n$/);
    const seen = knownHostsError({ ...shown, key }, 'changed', entry, { ...place, alias: 'other' });
    assert.ok(seen.message.endsWith(`\n\n  other ${publicKey}\n`), seen.message);
  });

  test('quotes what a shell would take apart', () => {
    const { message } = knownHostsError(shown, 'changed', entry, place);
    assert.ok(message.includes(isWindows ? '"/home/me/my hosts"' : "'/home/me/my hosts'"), message);
    const odd = knownHostsError(shown, 'changed', { ...entry, file: "/it's" }, place);
    if (!isWindows) assert.ok(odd.message.includes("-f '/it'\\''s'"), odd.message);
    const { message: plain } = knownHostsError(shown, 'changed', { ...entry, file: undefined }, place);
    assert.match(plain, /HAS CHANGED: a key given by the program holds another one/);
    assert.match(plain, /\n\n {2}ssh-keygen -R h\n\nand /);
  });

  test('tells of an authority whether it could have helped', () => {
    const authority = { ...entry, marker: 'cert-authority' as const };
    const read = knownHostsError(shown, 'unknown', authority, { ...place, readsCertificates: true });
    assert.match(
      read.message,
      /only an authority for it \(\/home\/me\/my hosts:7\), which has not signed it/,
    );
    const unread = knownHostsError(shown, 'unknown', authority, place);
    assert.match(unread.message, /and certificates of hosts are not read here/);
    assert.equal(unread.line, 7);
  });

  test('shows what is known where it decides, and does without where it is not', () => {
    const otherType = knownHostsError(shown, 'other-type', entry, place);
    assert.match(
      otherType.message,
      /has another type than the known one \(ssh-ed25519, \/home\/me\/my hosts:7\)\./,
    );
    assert.match(knownHostsError(shown, 'other-type', undefined, place).message, /than the known one\.\n/);
    assert.match(
      knownHostsError(shown, 'revoked', entry, place).message,
      /revoked in \/home\/me\/my hosts:7\./,
    );
    assert.match(knownHostsError(shown, 'revoked', undefined, place).message, /marked as revoked\. /);
    assert.match(knownHostsError(shown, 'changed', undefined, place).message, /HAS CHANGED\.\n/);
  });

  test('does not repeat a type that only a server could have thought of', () => {
    for (const type of [undefined, 'x\u001b[2J', 'a b']) {
      const error = hostKeyError({ ...shown, type }, 'HOST_KEY_REFUSED', 'is bad');
      assert.equal(error.message, 'The host key of h:22 (unreadable SHA256:x) is bad');
      assert.equal(error.keyType, type === undefined ? undefined : 'unreadable');
    }
  });
});

test('an RSA key whose modulus is nothing has no length, and others have theirs', () => {
  const key = (modulus: Buffer) =>
    Buffer.concat([Buffer.from('ssh-rsa'), Buffer.from([1, 0, 1]), modulus].map(lengthOf));
  assert.equal(rsaBits(key(Buffer.alloc(3))), undefined);
  assert.equal(rsaBits(key(Buffer.alloc(0))), undefined);
  assert.equal(rsaBits(key(Buffer.from([0, 0x80, 0]))), 16);
  assert.equal(rsaBits(lengthOf(Buffer.from('ssh-ed25519'))), undefined);
});

test('a key without its base64, or with that of another type, is no host key', () => {
  for (const key of ['ssh-ed25519', 'ssh-ed25519 AAAA', '']) {
    assert.throws(() => new HostKeys().add('h', key), { name: 'TypeError', message: /^not a host key/ });
  }
});
