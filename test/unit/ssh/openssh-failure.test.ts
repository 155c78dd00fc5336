import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AuthenticationError,
  ConnectionError,
  HostKeysError,
  type SftpError,
  SshError,
} from '../../../src/errors.js';
import { explainFailure, type Failure } from '../../../src/ssh/openssh-failure.js';

const fingerprint = `SHA256:${'a'.repeat(43)}`;
const base: Failure = {
  host: 'h',
  port: 2222,
  username: 'me',
  complaints: [],
  tried: ['password'],
  serverKey: { type: 'ssh-ed25519', fingerprint },
  knownTypes: [],
};

const explain = (text: string, changes: Partial<Failure> = {}): SftpError & { code: string } =>
  explainFailure({ ...base, complaints: text.split('\n'), ...changes }) as SftpError & { code: string };

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
      assert.match(error.message, /h:2222|configuration/);
    });
  }

  test('a key of another type than those known is told apart, with file and line', () => {
    const text = 'Offending ECDSA key in /home/me/.ssh/known_hosts:7\nREMOTE HOST IDENTIFICATION HAS CHANGED';
    const error = explain(text, { knownTypes: ['ecdsa-sha2-nistp256'] });
    assert.ok(error instanceof HostKeysError);
    assert.equal(error.code, 'HOST_KEY_OTHER_TYPE');
    assert.deepEqual([error.file, error.line], ['/home/me/.ssh/known_hosts', 7]);
    assert.deepEqual([error.keyType, error.fingerprint], ['ssh-ed25519', fingerprint]);
  });

  test('a server that offers what the legacy preset adds is told of it, and no other', () => {
    const words = 'Unable to negotiate with h port 22: no matching cipher found. Their offer: ';
    assert.match(explain(`${words}aes256-cbc,none`).message, /algorithms: 'legacy'/);
    assert.doesNotMatch(explain(`${words}arcfour`).message, /legacy/);
  });

  test('a key that fits no pin has changed, and a hop without a known key is still unknown', () => {
    const pins = [`SHA256:${'b'.repeat(43)}`];
    const words = (name: string): string =>
      `No ED25519 host key is known for ${name} and you have requested strict checking.\nHost key verification failed.`;
    const error = explain(words('[h]:2222'), { pins });
    assert.ok(error instanceof HostKeysError);
    assert.deepEqual([error.code, error.fingerprint], ['HOST_KEY_CHANGED', fingerprint]);
    assert.ok(error.message.includes(`expected ${pins[0]}`), error.message);
    assert.equal(explain(words('alias'), { pins, hostKeyAlias: 'Alias' }).code, 'HOST_KEY_CHANGED');
    assert.equal(explain(words('hop'), { pins }).code, 'HOST_KEY_UNKNOWN');
    assert.equal(explain(words('[h]:2222')).code, 'HOST_KEY_UNKNOWN');
  });

  test('what was tried and what is offered is in the error', () => {
    const error = explain('me@h: Permission denied (publickey,password).');
    assert.ok(error instanceof AuthenticationError);
    assert.deepEqual([error.tried, error.offered], [['password'], ['publickey', 'password']]);
  });

  test('what a server writes cannot move the cursor', () => {
    assert.doesNotMatch(explain('\u001b[2J\u0007 words').message, /\p{Cc}/u);
  });
});
