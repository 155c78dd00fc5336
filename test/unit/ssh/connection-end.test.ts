import assert from 'node:assert/strict';
import type { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { ConnectionEnd } from '../../../src/ssh/connection-end.js';

describe('the time that a channel may take to open', () => {
  test('it is that of connecting, however long, and an error says how to get more', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const end = new ConnectionEnd<PassThrough>({ host: 'h', port: 22, connectTimeoutMs: 120_000 }, () => '');
    let outcome: unknown;
    const opening = end
      .open('the subsystem sftp', {}, () => {})
      .catch((error) => {
        outcome = error;
      });
    t.mock.timers.tick(119_999);
    await Promise.resolve();
    assert.equal(outcome, undefined);
    t.mock.timers.tick(1);
    await opening;
    assert.equal(
      String(outcome),
      'SshError: The server did not start the subsystem sftp within 120 seconds: allow more time with connectTimeout',
    );
  });
});
