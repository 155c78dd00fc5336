import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AuthenticationError,
  ConnectionError,
  HostKeysError,
  type SftpError,
  SshError,
} from '../../../../../src/errors.js';
import { fingerprintOf } from '../../../../../src/ssh/host-keys/key-blob.js';
import { explainFailure, type Failure } from '../../../../../src/ssh/openssh/failures/openssh-failure.js';

const fingerprint = `SHA256:${'a'.repeat(43)}`;
const base: Failure = {
  host: 'h',
  port: 2222,
  username: 'me',
  complaints: [],
  tried: ['password'],
  serverKey: { type: 'ssh-ed25519', fingerprint },
  known: [],
  place: { file: '/home/me/known hosts', readsCertificates: true },
  offer: { kex: ['k1', 'k2'], keyTypes: ['t'], ciphers: ['c'], digests: ['m'] },
};

const explain = (text: string, changes: Partial<Failure> = {}): SftpError & { code: string } =>
  explainFailure({ ...base, complaints: text.split('\n'), ...changes }) as SftpError & { code: string };

function knownAs(type: string): Failure['known'] {
  const key = Buffer.from([0, 0, 0, type.length, ...Buffer.from(type), 1, 2, 3]);
  return [{ marker: undefined, type, key, file: '/k', line: 2 }];
}

const CASES = [
  [
    'No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.',
    HostKeysError,
    'HOST_KEY_UNKNOWN',
  ],
  [
    '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.',
    HostKeysError,
    'HOST_KEY_CHANGED',
  ],
  [
    '@ WARNING: REVOKED HOST KEY DETECTED! @\nHost key verification failed.',
    HostKeysError,
    'HOST_KEY_REVOKED',
  ],
  ['Bad server host key: Invalid key length', HostKeysError, 'HOST_KEY_REFUSED'],
  ['me@h: Permission denied (publickey,password).', AuthenticationError, undefined],
  ['Received disconnect from h port 22:2: Too many authentication failures', AuthenticationError, undefined],
  ['ssh: Could not resolve hostname h: Name or service not known', ConnectionError, 'ENOTFOUND'],
  ['ssh: Could not resolve hostname h: Temporary failure in name resolution', ConnectionError, 'EAI_AGAIN'],
  ['ssh: connect to host h port 22: Connection refused', ConnectionError, 'ECONNREFUSED'],
  ['ssh: connect to host h port 22: Connection timed out', ConnectionError, 'ETIMEDOUT'],
  ['ssh: connect to host h port 22: No route to host', ConnectionError, 'EHOSTUNREACH'],
  ['ssh: connect to host h port 22: Network is unreachable', ConnectionError, 'ENETUNREACH'],
  ['kex_exchange_identification: read: Connection reset by peer', ConnectionError, 'ECONNRESET'],
  ['Connection closed by 127.0.0.1 port 22', ConnectionError, 'ECONNRESET'],
  [
    'Unable to negotiate with h port 22: no matching cipher found. Their offer: 3des-cbc',
    SshError,
    'NEGOTIATION_FAILED',
  ],
  ['/c: line 1: Bad configuration option: nosuch', SshError, 'CONFIG_INVALID'],
  ['kex_exchange_identification: banner line contains invalid characters', SshError, 'NOT_SSH'],
  ['something that nobody knows', SshError, 'SSH_FAILED'],
  ['', SshError, 'SSH_FAILED'],
] as const;

describe('why ssh gave up', () => {
  for (const [text, type, code] of CASES) {
    test(`${text.split('\n')[0] || 'no words at all'}: ${type.name} ${code ?? ''}`, () => {
      const error = explain(text);
      assert.ok(error instanceof type, String(error));
      if (code !== undefined) assert.equal(error.code, code);
      assert.match(error.message, /h:22|configuration/);
    });
  }

  test('a key of another type than those known is told apart, with file, line and command', () => {
    const known = knownAs('ecdsa-sha2-nistp256');
    for (const words of ['REMOTE HOST IDENTIFICATION HAS CHANGED', 'No ED25519 host key is known for h']) {
      const error = explain(words, { known });
      assert.ok(error instanceof HostKeysError);
      assert.equal(error.code, 'HOST_KEY_OTHER_TYPE');
      assert.deepEqual([error.file, error.line], ['/k', 2]);
      assert.deepEqual([error.keyType, error.fingerprint], ['ssh-ed25519', fingerprint]);
      assert.match(
        error.message,
        /\(ecdsa-sha2-nistp256, \/k:2\)[\s\S]*ssh -p 2222 -o 'UserKnownHostsFile=\/home\/me\/known hosts' h\n$/,
      );
    }
  });

  test('a changed key is told with what was known, and how to forget it', () => {
    const known = knownAs('ssh-ed25519');
    const error = explain('REMOTE HOST IDENTIFICATION HAS CHANGED', { known });
    assert.ok(error instanceof HostKeysError);
    assert.deepEqual([error.code, error.file, error.line], ['HOST_KEY_CHANGED', '/k', 2]);
    assert.match(
      error.message,
      /\/k:2 holds another one \(SHA256:[\s\S]*ssh-keygen -R '\[h\]:2222' -f \/k\n/,
    );
  });

  test('what we find does not outdo what ssh says: a command may know of it, or a revocation', () => {
    const changed = explain('REMOTE HOST IDENTIFICATION HAS CHANGED');
    assert.deepEqual([changed.code, (changed as HostKeysError).file], ['HOST_KEY_CHANGED', undefined]);
    const revoked = explain('REVOKED HOST KEY DETECTED', { known: knownAs('ssh-ed25519') });
    assert.deepEqual([revoked.code, (revoked as HostKeysError).file], ['HOST_KEY_REVOKED', undefined]);
    const unseen = explain('Host key verification failed.', { serverKey: undefined });
    assert.ok(unseen instanceof HostKeysError && /does not trust .*h:2222/.test(unseen.message));
  });

  test('a server that offers what the legacy preset adds is told of it, and no other', () => {
    const words = 'Unable to negotiate with h port 22: no matching cipher found. Their offer: ';
    assert.match(explain(`${words}aes256-cbc,none`).message, /algorithms: 'legacy'/);
    assert.doesNotMatch(explain(`${words}arcfour`).message, /legacy/);
  });

  test('both offers are shown, ours too', () => {
    const words =
      'Unable to negotiate with UNKNOWN port 65535: no matching key exchange method found. Their offer: k3';
    assert.match(
      explain(words).message,
      /h:2222: .*We offer: key exchange k1,k2\. The server offers: key exchange k3\./,
    );
  });

  test('a key that fits no pin has changed', () => {
    const pins = [`SHA256:${'b'.repeat(43)}`];
    const words =
      'No ED25519 host key is known for [h]:2222 and you have requested strict checking.\nHost key verification failed.';
    const error = explain(words, { pins });
    assert.ok(error instanceof HostKeysError);
    assert.deepEqual([error.code, error.fingerprint], ['HOST_KEY_CHANGED', fingerprint]);
    assert.ok(error.message.includes(`expected ${pins[0]}`), error.message);
    assert.equal(explain(words).code, 'HOST_KEY_UNKNOWN');
  });

  test('a way on that a hop refuses, and one that ends, name both ends', () => {
    const behind = { host: 'web', port: 22 };
    const refused =
      'channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed';
    const error = explain(refused, { behind });
    assert.deepEqual([error.name, error.code], ['SshError', 'CHANNEL_REFUSED']);
    assert.match(error.message, /h:2222 refused to connect to web:22 \(administratively prohibited/);
    const ended = explain('nc: no such host\nConnection closed by UNKNOWN port 65535', { behind });
    assert.equal(ended.code, 'PROXY_FAILED');
    assert.match(ended.message, /web:22: .*nc: no such host/);
  });

  test('what was tried and what is offered is in the error', () => {
    const error = explain('me@h: Permission denied (publickey,password).');
    assert.ok(error instanceof AuthenticationError);
    assert.deepEqual([error.tried, error.offered], [['password'], ['publickey', 'password']]);
  });

  test('what answers in place of SSH is quoted', () => {
    const error = explain('Connection closed by h port 2222', { greeting: 'HTTP/1.1 400 Bad\u001b Request' });
    assert.equal(error.code, 'NOT_SSH');
    assert.match(error.message, /h:2222 is not an SSH server; it sent: "HTTP.1.1 400 Bad/);
    assert.doesNotMatch(error.message, /\p{Cc}/u);
  });

  test('a server that ends the login is quoted', () => {
    const error = explain('Received disconnect from h port 2222:14: go away\nDisconnected from h port 2222');
    assert.ok(error instanceof AuthenticationError);
    assert.match(error.message, /h:2222 ended the login: go away/);
  });

  test('what a server writes cannot move the cursor', () => {
    assert.doesNotMatch(explain('\u001b[2J\u0007 words').message, /\p{Cc}/u);
  });
});

describe('what a server says with its farewell', () => {
  test('X13: decides nothing, also where it looks like the words of ssh', () => {
    const forged = [
      'Received disconnect from 127.0.0.1 port 2222:2: @ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @',
      '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @',
      'Host key verification failed.',
      'Disconnected from 127.0.0.1 port 2222',
    ];
    for (const lines of [forged, forged.slice(0, 1), [...forged].reverse()]) {
      const error = explain(lines.join('\n'));
      assert.equal(error.name, 'AuthenticationError', error.message);
      assert.doesNotMatch(error.message, /ssh-keygen/);
    }
  });

  test('X13: no right key is to be forgotten, whatever is said about it', () => {
    const known = knownAs('ssh-ed25519');
    const [{ key } = { key: Buffer.alloc(0) }] = known;
    const serverKey = { type: 'ssh-ed25519', fingerprint: fingerprintOf(key) };
    const words = '@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.';
    const error = explain(words, { known, serverKey });
    assert.equal(error.code, 'HOST_KEY_CHANGED');
    assert.match(error.message, /is known \(\/k:2\), but ssh does not trust it/);
    assert.doesNotMatch(error.message, /ssh-keygen/);
  });
});
