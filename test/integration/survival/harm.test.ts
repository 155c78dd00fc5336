import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runHarm } from '../../support/harm-run.js';
import { withoutSftpServer } from '../../support/pipe-server.js';

const CASES = 500;

describe('trees onto trees that exist', { skip: withoutSftpServer }, () => {
  test('whatever fails, every file that was there is whole, old or new, and nothing happens after the end', async () => {
    const { failed } = await runHarm({ cases: CASES, seed: 1, kills: 0 });
    assert.ok(failed > CASES / 4, `${failed} of ${CASES} failed, so that there was something to survive`);
  });

  test('a program that is killed leaves every file that was there whole, old or new', async () => {
    const { killed } = await runHarm({ cases: 0, seed: 1, kills: 10 });
    assert.ok(killed >= 5, `${killed} of 10 were killed before they were through`);
  });
});
