import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readPublicKeys } from '../../../../src/ssh/credentials/identity-files.js';
import { fingerprintOf } from '../../../../src/ssh/host-keys/key-blob.js';
import { makeFolder } from '../../../support/folder.js';
import { makeKey, needsOpenSsh } from '../../../support/sshd.js';

test('the public key is found beside, in place of, and inside a private key', {
  skip: needsOpenSsh,
}, async (t) => {
  const folder = makeFolder(t);
  for (const [name, passphrase, extra] of [
    ['plain', '', []],
    ['encrypted', 'planted', []],
    ['pem', '', ['-m', 'PKCS8']],
  ] as const) {
    const file = join(folder, name);
    const key = await makeKey(file, name === 'pem' ? 'ecdsa' : 'ed25519', passphrase, extra);
    const wanted = new Set([fingerprintOf(Buffer.from(key.split(' ')[1] ?? '', 'base64'))]);
    assert.deepEqual(readPublicKeys([file]), wanted, `${name}, beside`);
    copyFileSync(`${file}.pub`, `${file}-public`);
    renameSync(`${file}.pub`, `${file}.moved`);
    assert.deepEqual(readPublicKeys([file]), wanted, `${name}, inside`);
    assert.deepEqual(readPublicKeys([`${file}-public`]), wanted, `${name}, in place`);
    const cut = join(folder, 'cut');
    writeFileSync(cut, readFileSync(file, 'utf8').slice(0, 60));
    assert.deepEqual(readPublicKeys([cut, join(folder, 'missing')]), new Set());
  }
});
