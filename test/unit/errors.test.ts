import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as errors from '../../src/errors.js';

const cause = new Error('the reason');

/** One of each class: the error, its name, its code, and the classes that it belongs to beside `SftpError`. */
const SAMPLES: readonly {
  readonly error: errors.SftpError;
  readonly name: keyof typeof errors;
  readonly code: string;
  readonly details?: Readonly<Record<string, unknown>>;
}[] = [
  { error: new errors.SftpError('ANY', 'text', { cause }), name: 'SftpError', code: 'ANY' },
  {
    error: new errors.ConnectionError('ECONNREFUSED', 'text', { cause, host: 'h', port: 22 }),
    name: 'ConnectionError',
    code: 'ECONNREFUSED',
    details: { host: 'h', port: 22 },
  },
  {
    error: new errors.CredentialError('NO_CREDENTIALS', 'text', { cause }),
    name: 'CredentialError',
    code: 'NO_CREDENTIALS',
  },
  {
    error: new errors.PasswordRequiredError('PASSPHRASE_REQUIRED', 'text', { cause }),
    name: 'PasswordRequiredError',
    code: 'PASSPHRASE_REQUIRED',
  },
  {
    error: new errors.AuthenticationError('text', { cause, tried: ['password'], offered: ['publickey'] }),
    name: 'AuthenticationError',
    code: 'AUTHENTICATION_FAILED',
    details: { tried: ['password'], offered: ['publickey'] },
  },
  {
    error: new errors.HostKeysError('HOST_KEY_CHANGED', 'text', {
      cause,
      fingerprint: 'SHA256:abc',
      keyType: 'ssh-ed25519',
      file: 'known_hosts',
      line: 3,
    }),
    name: 'HostKeysError',
    code: 'HOST_KEY_CHANGED',
    details: { fingerprint: 'SHA256:abc', keyType: 'ssh-ed25519', file: 'known_hosts', line: 3 },
  },
  { error: new errors.SshError('SSH_FAILED', 'text', { cause }), name: 'SshError', code: 'SSH_FAILED' },
  {
    error: new errors.ConnectionLostError('text', { cause }),
    name: 'ConnectionLostError',
    code: 'CONNECTION_LOST',
  },
  { error: new errors.TimeoutError('text', { cause }), name: 'TimeoutError', code: 'ETIMEDOUT' },
  { error: new errors.ProtocolError('text', { cause }), name: 'ProtocolError', code: 'PROTOCOL_ERROR' },
  {
    error: new errors.UnsupportedError('text', { cause, extension: 'fsync@openssh.com' }),
    name: 'UnsupportedError',
    code: 'ENOTSUP',
    details: { extension: 'fsync@openssh.com' },
  },
  {
    error: new errors.SftpStatusError('ENOENT', 'text', {
      cause,
      status: 2,
      statusName: 'SSH_FX_NO_SUCH_FILE',
      operation: 'open',
      path: '/a',
      serverMessage: 'No such file',
    }),
    name: 'SftpStatusError',
    code: 'ENOENT',
    details: {
      status: 2,
      statusName: 'SSH_FX_NO_SUCH_FILE',
      operation: 'open',
      path: '/a',
      serverMessage: 'No such file',
    },
  },
  {
    error: new errors.TransferError('text', {
      cause,
      source: '/a',
      destination: 'b',
      bytesDone: 7,
      side: 'local',
      path: 'b',
    }),
    name: 'TransferError',
    code: 'TRANSFER_FAILED',
    details: { source: '/a', destination: 'b', bytesDone: 7, side: 'local', path: 'b' },
  },
];

describe('the error classes', () => {
  test('are all looked at here', () => {
    assert.deepEqual(SAMPLES.map(({ name }) => name).sort(), Object.keys(errors).sort());
  });

  for (const { error, name, code, details = {} } of SAMPLES) {
    test(`${name} tells its name, its code, its message, its cause and its details`, () => {
      assert.equal(error.name, name);
      assert.equal(error.constructor.name, name);
      assert.equal(error.code, code);
      assert.equal(error.message, 'text');
      assert.equal(error.cause, cause);
      assert.ok(error instanceof errors.SftpError);
      assert.ok(error instanceof Error);
      assert.match(String(error.stack), /text/);
      for (const [key, value] of Object.entries(details)) assert.deepEqual(Reflect.get(error, key), value);
    });
  }

  for (const { error, name, code, details = {} } of SAMPLES) {
    test(`${name} survives JSON with its message, its code, its details and its cause`, () => {
      const side = error instanceof errors.SftpStatusError ? { side: 'remote' } : {};
      assert.deepEqual(JSON.parse(JSON.stringify({ error })), {
        error: {
          name,
          code,
          message: 'text',
          cause: { name: 'Error', message: 'the reason' },
          ...details,
          ...side,
        },
      });
    });
  }

  test('survive JSON with causes of causes, also of foreign errors and of those in a circle', () => {
    const foreign = Object.assign(new Error('ENOSPC: full'), {
      code: 'ENOSPC',
      errno: -28,
      socket: new Map(),
    });
    const middle = new errors.SftpError('MIDDLE', 'middle', { cause: foreign });
    const outer = new errors.ConnectionLostError('outer', {
      cause: middle,
      transfer: { source: 'a', destination: 'b', bytesDone: 3 },
    });
    assert.deepEqual(JSON.parse(JSON.stringify(outer)), {
      name: 'ConnectionLostError',
      code: 'CONNECTION_LOST',
      message: 'outer',
      transfer: { source: 'a', destination: 'b', bytesDone: 3 },
      cause: {
        name: 'SftpError',
        code: 'MIDDLE',
        message: 'middle',
        cause: { name: 'Error', message: 'ENOSPC: full', code: 'ENOSPC', errno: -28 },
      },
    });
    foreign.cause = outer;
    assert.match(JSON.stringify(outer), /"message":"ENOSPC: full"/);
    assert.deepEqual(new errors.SftpError('ANY', 'text', { cause: 'words' }).toJSON().cause, 'words');
  });

  test('belong to their own class and to no other, but for a required password, a credential error too', () => {
    for (const { error, name } of SAMPLES) {
      const classes = Object.entries(errors).filter(([, type]) => error instanceof type);
      const expected = new Set([
        'SftpError',
        name,
        ...(name === 'PasswordRequiredError' ? ['CredentialError'] : []),
      ]);
      assert.deepEqual(new Set(classes.map(([key]) => key)), expected);
    }
  });

  test('have no cause of their own where none was given', () => {
    assert.ok(!Object.hasOwn(new errors.SftpError('ANY', 'text'), 'cause'));
    assert.ok(!Object.hasOwn(new errors.ProtocolError('text'), 'cause'));
    assert.ok(!Object.hasOwn(new errors.TimeoutError('text'), 'cause'));
    assert.ok(!Object.hasOwn(new errors.ConnectionLostError('text'), 'cause'));
  });

  test('take a more exact code where the reason is known', () => {
    assert.equal(new errors.ConnectionLostError('text', { code: 'ECONNRESET' }).code, 'ECONNRESET');
    const details = {
      code: 'ENOSPC',
      ...{ source: '/a', destination: 'b', bytesDone: 0, side: 'local' as const, path: 'b' },
    };
    assert.equal(new errors.TransferError('text', details).code, 'ENOSPC');
  });

  test('leave out what is not known about a host key', () => {
    const { fingerprint, keyType, file, line } = new errors.HostKeysError('KNOWN_HOSTS_UNUSABLE', 'text');
    assert.deepEqual([fingerprint, keyType, file, line], [undefined, undefined, undefined, undefined]);
  });
});
