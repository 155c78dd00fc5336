import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SftpError } from '../../../../src/errors.js';
import { anew } from '../../../../src/session/quirks/repeated-handle.js';

/** Runs attempts one after the other; each says how it ends, and whether a handle is given twice meanwhile. */
async function run(...steps: readonly (readonly [outcome: string | Error, repeats?: boolean])[]) {
  let attempts = 0;
  let repeats = 0;
  const attempt = async () => {
    const [outcome, isRepeated = false] = steps[attempts++] ?? assert.fail('one attempt too many');
    if (isRepeated) repeats += 1;
    if (outcome instanceof Error) throw outcome;
    return outcome;
  };
  const result = await anew(attempt, () => repeats).catch((error: unknown) => error);
  assert.equal(attempts, steps.length);
  return result;
}

describe('anew', () => {
  const mismatch = new SftpError('SIZE_MISMATCH', 'other bytes than were sent');

  test('does once what no repeated handle concerns', async () => {
    assert.equal(await run(['first']), 'first');
    assert.equal(await run([mismatch]), mismatch);
  });

  test('does again what succeeded while a handle was given twice, since its bytes may have gone elsewhere', async () => {
    assert.equal(await run(['first', true], ['second']), 'second');
  });

  test('does again what ended with wrong content while a handle was given twice', async () => {
    assert.equal(await run([mismatch, true], ['second']), 'second');
    assert.equal(await run([new SftpError('HANDLE_TWICE', 'twice')], ['second']), 'second');
  });

  test('gives every other failure as it is', async () => {
    const refusal = new SftpError('EACCES', 'denied');
    assert.equal(await run([refusal, true]), refusal);
  });
});
