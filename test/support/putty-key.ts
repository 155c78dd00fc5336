/** Keys as PuTTY stores them. */
import { createCipheriv, createHash, createHmac, createPrivateKey, type KeyObject } from 'node:crypto';

function field(bytes: Buffer | string): Buffer {
  const data = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  return Buffer.concat([length, data]);
}

/** PuTTY's version 2: the numbers as in SSH, AES-256-CBC with a key from SHA-1, and a MAC over all of it. */
export function makePuttyKey(privateKey: KeyObject, passphrase?: string): string {
  // As another object: exporting a generated key as JWK can block for ever (docs/upstream.md).
  const der = privateKey.export({ type: 'pkcs8', format: 'der' });
  const jwk = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' }).export({ format: 'jwk' });
  const number = (name: 'n' | 'e' | 'd' | 'p' | 'q' | 'qi'): Buffer => {
    const bytes = Buffer.from(jwk[name] ?? '', 'base64url');
    return field((bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
  };
  const sha1 = (...parts: readonly (string | Buffer)[]): Buffer =>
    parts.reduce((hash, part) => hash.update(part), createHash('sha1')).digest();
  const encryption = passphrase === undefined ? 'none' : 'aes256-cbc';
  const publicBlob = Buffer.concat([field('ssh-rsa'), number('e'), number('n')]);
  const bare = Buffer.concat([number('d'), number('p'), number('q'), number('qi')]);
  const blob =
    passphrase === undefined ? bare : Buffer.concat([bare, Buffer.alloc((16 - (bare.length % 16)) % 16)]);
  const covered = Buffer.concat(
    ['ssh-rsa', encryption, 'comment', publicBlob, blob].map((part) => field(part)),
  );
  const mac = createHmac('sha1', sha1('putty-private-key-file-mac-key', passphrase ?? '')).update(covered);
  let stored = blob;
  if (passphrase !== undefined) {
    const halves = [0, 1].map((index) => sha1(Buffer.from([0, 0, 0, index]), passphrase));
    const cipher = createCipheriv('aes-256-cbc', Buffer.concat(halves).subarray(0, 32), Buffer.alloc(16));
    stored = cipher.setAutoPadding(false).update(blob);
  }
  const lines = (bytes: Buffer): string[] => bytes.toString('base64').match(/.{1,64}/g) ?? [];
  return [
    'PuTTY-User-Key-File-2: ssh-rsa',
    `Encryption: ${encryption}`,
    'Comment: comment',
    `Public-Lines: ${lines(publicBlob).length}`,
    ...lines(publicBlob),
    `Private-Lines: ${lines(stored).length}`,
    ...lines(stored),
    `Private-MAC: ${mac.digest('hex')}`,
    '',
  ].join('\n');
}
