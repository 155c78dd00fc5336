import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { AuthenticationError, CredentialError, SshError } from '../../../src/errors.js';
import { printable } from '../../../src/shared/printable.js';
import { Redaction } from '../../../src/shared/redaction.js';

function withSecrets(...secrets: readonly (string | undefined)[]): Redaction {
  const redaction = new Redaction();
  redaction.add(...secrets);
  return redaction;
}

describe('secrets that are struck out', () => {
  test('X14: in every spelling in which they may come back', () => {
    const secret = ' Pass\tword "ü\u0301€+(a|b)*/%\\ \u{1f511}';
    const { apply } = withSecrets(secret);
    const bytes = Buffer.from(secret);
    for (const spelling of [
      secret,
      secret.trim(),
      secret.toUpperCase(),
      secret.normalize('NFC'),
      secret.normalize('NFD'),
      printable(secret),
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
      bytes.toString('base64').replace(/=+$/, ''),
      bytes.toString('base64url'),
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      bytes.toString('latin1'),
      printable(bytes.toString('latin1')),
    ]) {
      assert.match(apply(`a <${spelling}> b ${spelling}`), /^a < *\*\*\*> b *\*\*\*$/, inspect(spelling));
    }
  });

  test('X14: also where only their beginning is left of a text that was cut', () => {
    const { apply } = withSecrets('planted-password', 'plant');
    for (let length = 4; length < 16; length++) {
      const said = `it was ${'planted-password'.slice(0, length)}`;
      const cut = printable(`it was planted-password`, said.length);
      assert.doesNotMatch(apply(cut), /plan/, cut);
      assert.match(apply(cut), /^it was \*\*\*/);
    }
  });

  test('the longest wins, what is shorter than four characters stays, and so does all else', () => {
    const { apply } = withSecrets('open', 'open sesame', 'abc', '', undefined);
    assert.equal(apply('open sesame, abc, open, ope…'), '***, abc, ***, ope…');
    assert.equal(new Redaction().apply('as it is…'), 'as it is…');
  });

  test('X14: in errors of ours, in what they hold and in their causes', () => {
    const redaction = withSecrets('planted');
    const cause = new Error('is planted', { cause: Object.assign(new Error('x'), { path: '/planted' }) });
    const tried = ['password (planted)'];
    const error = new AuthenticationError('said planted', { tried, offered: ['planted'], cause });
    assert.equal(redaction.applyTo(error), error);
    assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /planted/);
    assert.equal(error.message, 'said ***');
    assert.deepEqual([error.tried, error.offered], [['password (***)'], ['***']]);
    const theirs = new TypeError('planted');
    assert.equal(redaction.applyTo(theirs).message, 'planted');
    assert.equal(redaction.applyTo(new SshError('SSH_FAILED', 'all is well')).message, 'all is well');
  });

  test('names and codes stay, which programs branch on, though a secret is a part of them', () => {
    const error = new CredentialError('WRONG_PASSPHRASE', 'The passphrase is wrong');
    withSecrets('wrong', 'CredentialError').applyTo(error);
    assert.deepEqual(
      [error.name, error.code, error.message],
      ['CredentialError', 'WRONG_PASSPHRASE', 'The passphrase is ***'],
    );
  });
});
