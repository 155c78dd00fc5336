/**
 * Private keys, whatever they are wrapped in: OpenSSH's own format, PEM (PKCS#1, SEC 1), PKCS#8 and PuTTY's,
 * plain or encrypted. No error holds a piece of the key or of its passphrase.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import ssh2 from 'ssh2';
import { CredentialError, PasswordRequiredError } from '../errors.js';
import { isHostKeyType } from './key-blob.js';

/** A private key, opened and ready to sign. */
export interface PrivateKey {
  /** For people: where it came from, for instance `~/.ssh/id_ed25519`. */
  readonly label: string;
  readonly parsed: ParsedKey;
}

type Format = 'openssh' | 'pem' | 'putty' | 'public' | 'unknown';

/** Does this string hold a key, rather than name its file? */
export function isKeyText(text: string): boolean {
  return (
    text.includes('-----BEGIN ') || text.startsWith('PuTTY-User-Key-File-') || formatOf(text) === 'public'
  );
}

/**
 * Opens a key. Rejects with `PasswordRequiredError` if it is encrypted and no passphrase was given, else
 * with `CredentialError`: `WRONG_PASSPHRASE`, `UNSUPPORTED_KEY`, or `INVALID_KEY`.
 */
export function parsePrivateKey(text: string, label: string, passphrase?: string): PrivateKey {
  const format = formatOf(text);
  if (format === 'public') {
    throw new CredentialError(
      'INVALID_KEY',
      `${label} holds a public key; give the private one (the file of the same name without .pub)`,
    );
  }
  if (format === 'unknown') {
    throw new CredentialError('INVALID_KEY', `${label} is not a private key in a format that we know`);
  }
  if (/^\s*PuTTY-User-Key-File-(?!2: ssh-(?:rsa|dss))/.test(text)) {
    throw new CredentialError(
      'UNSUPPORTED_KEY',
      `the private key ${label} is in a format of PuTTY that we cannot read (only RSA in version 2 is): ` +
        'export it in PuTTYgen with Conversions, "Export OpenSSH key"',
    );
  }
  if (/-----BEGIN DSA PRIVATE KEY-----/.test(text)) {
    throw unsupported(label, 'DSA');
  }
  const encrypted = isEncrypted(text, format);
  if (encrypted && passphrase === undefined) {
    throw new PasswordRequiredError(
      'PASSPHRASE_REQUIRED',
      `the private key ${label} is encrypted: give its passphrase as privateKeyPass, or load it into an agent`,
    );
  }
  const parsed = format === 'pem' ? openPem(text, label, passphrase, encrypted) : text;
  return { label, parsed: finish(parsed, label, format === 'pem' ? undefined : passphrase, encrypted) };
}

function formatOf(text: string): Format {
  if (text.includes('-----BEGIN OPENSSH PRIVATE KEY-----')) {
    return 'openssh';
  }
  if (/-----BEGIN (?:RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY-----/.test(text)) {
    return 'pem';
  }
  if (/^\s*PuTTY-User-Key-File-/.test(text)) {
    return 'putty';
  }
  const isPublic = /^\s*(?:ssh-\w+|ecdsa-sha2-\w+|sk-[\w@.-]+) AAAA|BEGIN (?:SSH2 |RSA )?PUBLIC KEY/.test(
    text,
  );
  return isPublic ? 'public' : 'unknown';
}

function isEncrypted(text: string, format: Format): boolean {
  if (format === 'openssh') {
    return openSshCipher(text) !== 'none';
  }
  return format === 'putty'
    ? /^Encryption: (?!none)/m.test(text)
    : /BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED/m.test(text);
}

/** The first field after the magic names the cipher (OpenSSH's PROTOCOL.key). */
function openSshCipher(text: string): string {
  const base64 = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(text)?.[1] ?? '';
  const bytes = Buffer.from(base64, 'base64');
  const start = 'openssh-key-v1\0'.length + 4;
  return bytes.length < start
    ? 'none'
    : bytes.toString('latin1', start, start + bytes.readUInt32BE(start - 4));
}

function finish(text: string, label: string, passphrase: string | undefined, encrypted: boolean): ParsedKey {
  let parsed: ParsedKey | Error | ParsedKey[];
  try {
    parsed = ssh2.utils.parseKey(text, passphrase);
  } catch (error) {
    parsed = error as Error;
  }
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error) {
    if (key !== undefined && /unsupported/i.test(key.message)) {
      throw unsupported(label, 'this');
    }
    if (encrypted && passphrase !== undefined) {
      throw wrongPassphrase(label);
    }
    throw new CredentialError('INVALID_KEY', `the private key ${label} is damaged`);
  }
  if (!isHostKeyType(key.type)) {
    throw unsupported(label, key.type);
  }
  return key;
}

function openPem(text: string, label: string, passphrase: string | undefined, encrypted: boolean): string {
  let key: KeyObject;
  try {
    key = createPrivateKey(encrypted && passphrase !== undefined ? { key: text, passphrase } : { key: text });
  } catch {
    throw encrypted
      ? wrongPassphrase(label)
      : new CredentialError('INVALID_KEY', `the private key ${label} is damaged`);
  }
  const write = key.asymmetricKeyType === undefined ? undefined : WRITERS[key.asymmetricKeyType];
  if (write === undefined) {
    throw unsupported(label, key.asymmetricKeyType ?? 'this');
  }
  return write(key);
}

/** From Node's keys to what ssh2 reads, which is neither PKCS#8 nor Ed25519 outside of OpenSSH's format. */
const WRITERS: Partial<Record<string, (key: KeyObject) => string>> = {
  rsa: (key) => key.export({ type: 'pkcs1', format: 'pem' }).toString(),
  ec: (key) => key.export({ type: 'sec1', format: 'pem' }).toString(),
  ed25519: writeEd25519,
};

function writeEd25519(key: KeyObject): string {
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  const point = Buffer.from(x, 'base64url');
  const seed = Buffer.from(d, 'base64url');
  const publicKey = Buffer.concat([string('ssh-ed25519'), string(point)]);
  const secret = Buffer.concat([
    Buffer.alloc(8), // the two check numbers, equal
    publicKey,
    string(Buffer.concat([seed, point])),
    string(''),
  ]);
  const padding = Buffer.from([1, 2, 3, 4, 5, 6, 7]).subarray(0, (8 - (secret.length % 8)) % 8);
  const one = Buffer.from([0, 0, 0, 1]);
  const all = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    string('none'),
    string('none'),
    string(''),
    one,
    string(publicKey),
    string(Buffer.concat([secret, padding])),
  ]);
  const lines = all.toString('base64').replace(/.{70}/g, '$&\n');
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function string(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function wrongPassphrase(label: string): CredentialError {
  return new CredentialError('WRONG_PASSPHRASE', `the passphrase for the private key ${label} is wrong`);
}

function unsupported(label: string, type: string): CredentialError {
  return new CredentialError(
    'UNSUPPORTED_KEY',
    `the private key ${label} is of a type that we cannot use (${type}): use Ed25519, ECDSA or RSA`,
  );
}
