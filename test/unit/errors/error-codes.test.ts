import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { withCodes } from '../../../scripts/error-codes.js';
import { ERROR_CODES } from '../../../src/errors/error-codes.js';
import { isTransient, outlookOf } from '../../../src/errors/outlook.js';
import * as errors from '../../../src/errors.js';
import { mayReconnect } from '../../../src/shared/retry.js';

const DETAILS = {
  host: 'h',
  port: 22,
  tried: [],
  offered: [],
  extension: 'x',
  status: 4,
  statusName: 'SSH_FX_FAILURE',
  operation: 'open',
  serverMessage: '',
  source: 'a',
  destination: 'b',
  bytesDone: 0,
  side: 'remote',
  path: 'b',
} as const;

/** Classes whose constructors take the code, if at all, among the details. */
const WITHOUT_CODE: ReadonlySet<string> = new Set([
  'AuthenticationError',
  'ConnectionLostError',
  'TimeoutError',
  'ProtocolError',
  'UnsupportedError',
  'TransferError',
]);

const classes = new Map<string, unknown>(Object.entries(errors).filter(([name]) => name.endsWith('Error')));

function make(name: string, code: string): errors.SftpError {
  const Class = classes.get(name) as new (...values: unknown[]) => errors.SftpError;
  return WITHOUT_CODE.has(name) ? new Class('text', { ...DETAILS, code }) : new Class(code, 'text', DETAILS);
}

const all = Object.entries(ERROR_CODES).flatMap(([name, codes]) =>
  Object.entries(codes).map(([code, row]) => ({ name, code, ...row })),
);

describe('The table of error codes', () => {
  test('has a row for every class of errors', () => {
    assert.deepEqual(Object.keys(ERROR_CODES).sort(), [...classes.keys()].sort());
  });

  test('is the table of the documentation', () => {
    const document = readFileSync('docs/errors.md', 'utf8');
    assert.equal(document, withCodes(document), 'npm run error-codes');
  });

  test('has every code that the library gives', () => {
    // `tsftp/fs` gives those of Node.js, and the program has none of its own that leave it.
    const known = new Set<string>(all.map(({ code }) => code));
    const given = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !/^(?:testing|fs|cli)\b/.test(name))
      .flatMap((name) => {
        const text = readFileSync(join('src', name), 'utf8');
        return [...text.matchAll(/(?:Error|failedAfterwards|\bfailure)\(\s*'([A-Z][A-Z0-9_]+)'/g)];
      })
      .map(([, code = '']) => code);
    assert.deepEqual(
      given.filter((code) => !known.has(code)),
      [],
    );
  });

  test('says what helps against every error', () => {
    for (const { name, code, outlook } of all) {
      const error = make(name, code);
      assert.deepEqual([error.name, error.code], [name, code]);
      assert.equal(outlookOf(error), outlook, `${name} ${code}`);
      assert.equal(isTransient(error), outlook === 'retry', `${name} ${code}`);
    }
  });

  test('has an answer for errors that are not in it', () => {
    assert.equal(outlookOf(make('ConnectionError', 'EPIPE')), 'retry');
    assert.equal(outlookOf(make('SftpStatusError', 'EFOO')), 'ask');
    const ofTheDisk = Object.assign(new Error('x'), { code: 'ENOENT' });
    for (const other of [new TypeError('x'), undefined, 'text', ofTheDisk]) {
      assert.equal(outlookOf(other), 'fix');
    }
  });

  test('has a client reconnect after failures of the network only', () => {
    const reconnecting = all.filter(({ name, code }) => mayReconnect(make(name, code)));
    assert.deepEqual(
      new Set(reconnecting.map(({ name }) => name)),
      new Set(['ConnectionError', 'SshError', 'ConnectionLostError']),
    );
    const ofSsh = reconnecting.filter(({ name }) => name === 'SshError');
    assert.deepEqual(
      ofSsh.map(({ code }) => code),
      ['CHANNEL_TIMEOUT'],
    );
    assert.equal(mayReconnect(make('ConnectionLostError', 'CLOSED')), false);
    assert.equal(mayReconnect(make('ConnectionError', 'ENOTFOUND')), false);
  });
});
