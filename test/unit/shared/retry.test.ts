import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AuthenticationError, ConnectionError, ConnectionLostError } from '../../../src/errors.js';
import { isLost, mayReconnect, retryPolicy, tryRepeatedly } from '../../../src/shared/retry.js';

const refused = () => new ConnectionError('ECONNREFUSED', 'refused', { host: 'h', port: 22 });
const quick = { attempts: 3, delay: 0, factor: 1, jitter: 0, maxDelay: 0 };

describe('retryPolicy', () => {
  test('has defaults, and is nothing where nothing is to be tried again', () => {
    assert.deepEqual(retryPolicy({ attempts: 2, delay: undefined }), {
      attempts: 2,
      delay: 1000,
      factor: 2,
      jitter: 0.5,
      maxDelay: 60_000,
    });
    assert.equal(retryPolicy(undefined), undefined);
    assert.equal(retryPolicy(false), undefined);
  });

  for (const [options, error] of [
    [{ attempts: -1 }, RangeError],
    [{ attempts: Number.NaN }, RangeError],
    [{ delay: -1 }, RangeError],
    [{ delay: 2 ** 31 }, RangeError],
    [{ factor: 0.5 }, RangeError],
    [{ jitter: 2 }, RangeError],
    [{ attempts: '3' }, TypeError],
    [true, TypeError],
    [null, TypeError],
  ] as const) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      assert.throws(() => retryPolicy(options as never), error);
    });
  }
});

describe('tryRepeatedly', () => {
  test('tries as often as the policy says, and gives the last failure', async () => {
    let tried = 0;
    const attempt = async () => {
      tried += 1;
      throw refused();
    };
    await assert.rejects(tryRepeatedly(attempt, { policy: quick }), { code: 'ECONNREFUSED' });
    assert.equal(tried, 4);
    tried = 0;
    await assert.rejects(
      tryRepeatedly(attempt, {
        policy: quick,
        lost: new ConnectionError('ECONNRESET', 'lost', { host: 'host', port: 22 }),
      }),
      ConnectionError,
    );
    assert.equal(tried, 3);
    tried = 0;
    await assert.rejects(tryRepeatedly(attempt, { policy: undefined }), ConnectionError);
    assert.equal(tried, 1);
  });

  test('does not try again what somebody has refused', async () => {
    let tried = 0;
    const attempt = async () => {
      tried += 1;
      throw new AuthenticationError('no', { tried: [], offered: [] });
    };
    await assert.rejects(tryRepeatedly(attempt, { policy: quick }), AuthenticationError);
    assert.equal(tried, 1);
  });

  test('an abort ends the pause with its reason', async () => {
    const abort = new AbortController();
    const attempt = async () => {
      setImmediate(() => abort.abort('enough'));
      throw refused();
    };
    const policy = { ...quick, delay: 100_000, maxDelay: 100_000 };
    await assert.rejects(
      tryRepeatedly(attempt, { policy, signal: abort.signal }),
      (reason) => reason === 'enough',
    );
  });
});

describe('what may be better the next time', () => {
  for (const [error, expected] of [
    [refused(), true],
    [new ConnectionError('ENOTFOUND', 'who', { host: 'h', port: 22 }), false],
    [new ConnectionLostError('lost'), true],
    [new ConnectionLostError('closed', { code: 'CLOSED' }), false],
    [new Error('other'), false],
  ] as const) {
    test(`${error.message}: ${expected ? 'yes' : 'no'}`, () => assert.equal(mayReconnect(error), expected));
  }

  test('a connection that was closed is not lost', () => {
    assert.equal(isLost(new ConnectionLostError('closed', { code: 'CLOSED' })), false);
    assert.equal(isLost(undefined), false);
  });
});
