/**
 * Private keys, whatever they are wrapped in: OpenSSH's own format, PEM (PKCS#1, SEC 1), PKCS#8 and PuTTY's,
 * plain or encrypted. No error holds a piece of the key or of its passphrase.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import type { ParsedKey } from 'ssh2';
import ssh2 from 'ssh2';
import { CredentialError, PasswordRequiredError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { isHostKeyType, keyType } from '../host-keys/key-blob.js';
import { IS_DENO } from '../runtime.js';
import { findKeyText, formatOf, type KeyFormat, layoutProblem, readOpenSshHeader } from './key-text.js';

/** A private key, opened and ready to sign. */
export interface PrivateKey {
  /** For people: where it came from, for instance `~/.ssh/id_ed25519`. */
  readonly label: string;
  readonly parsed: ParsedKey;
}

/** The ciphers of OpenSSH's own format (`ssh-keygen -Z`) that are read here: all but chacha20-poly1305. */
const READABLE_CIPHER = /^(?:none|3des-cbc|aes(?:128|192|256)-(?:cbc|ctr)|aes(?:128|256)-gcm@openssh\.com)$/;

/** Does this string hold a key, rather than name its file? */
export function isKeyText(text: string): boolean {
  return findKeyText(text) !== undefined;
}

/**
 * Opens a key. Rejects with `PasswordRequiredError` if it is encrypted and no passphrase was given, else
 * with `CredentialError`: `WRONG_PASSPHRASE`, `UNSUPPORTED_KEY`, or `INVALID_KEY`.
 */
export function parsePrivateKey(given: string, label: string, passphrase?: string): PrivateKey {
  const text = findKeyText(given) ?? given;
  const format = formatOf(text);
  refuseUnreadable(text, label, format);
  const encrypted = isEncrypted(text, label, format);
  if (encrypted && passphrase === undefined) {
    throw new PasswordRequiredError(
      'PASSPHRASE_REQUIRED',
      `The private key ${label} is encrypted: give its passphrase as privateKeyPass, or load it into an agent`,
    );
  }
  const parsed = format === 'pem' ? openPem(text, label, passphrase, encrypted) : text;
  return { label, parsed: finish(parsed, label, format === 'pem' ? undefined : passphrase, encrypted) };
}

function refuseUnreadable(text: string, label: string, format: KeyFormat): void {
  if (format === 'public') {
    throw invalid(
      `${label} is a public key; give the private key (the file with the same name without .pub)`,
    );
  }
  if (format === 'unknown') {
    throw invalid(`${label} is not a private key in a format that we know`);
  }
  if (format === 'putty' && !/^\s*PuTTY-User-Key-File-2: ssh-(?:rsa|dss)/.test(text)) {
    throw new CredentialError(
      'UNSUPPORTED_KEY',
      `The private key ${label} is in a format of PuTTY that we cannot read (only RSA in version 2 is): ` +
        'export it in PuTTYgen with Conversions, "Export OpenSSH key"',
    );
  }
  const problem = format === 'putty' ? undefined : layoutProblem(text);
  if (problem !== undefined) throw invalid(`The private key ${label} ${problem}`);
  if (/-----BEGIN DSA PRIVATE KEY-----/.test(text)) {
    throw unsupported(label, 'DSA');
  }
}

function isEncrypted(text: string, label: string, format: KeyFormat): boolean {
  if (format === 'openssh') {
    const header = readOpenSshHeader(text);
    if (header === undefined) throw damaged(label);
    const { cipher, publicKey } = header;
    const type = keyType(publicKey);
    if (type !== undefined && !isHostKeyType(type)) throw unsupported(label, printable(type, 64));
    if (!READABLE_CIPHER.test(cipher)) throw unreadableCipher(label, `with ${printable(cipher, 64)}`);
    return cipher !== 'none';
  }
  return format === 'putty'
    ? /^Encryption: (?!none)/m.test(text)
    : /BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED/m.test(text);
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
    if (encrypted && passphrase !== undefined) {
      throw wrongPassphrase(label);
    }
    throw damaged(label);
  }
  if (!isHostKeyType(key.type)) {
    throw unsupported(label, key.type);
  }
  // Deno does not read the keys of these curves as ssh2 gives them.
  if (IS_DENO && key.type.startsWith('ecdsa-') && (key.sign('') as Buffer | Error) instanceof Error) {
    const text = `The private key ${label} is an ECDSA key, with which Deno cannot sign: use Ed25519 or RSA`;
    throw new CredentialError('UNSUPPORTED_KEY', text);
  }
  return key;
}

function openPem(text: string, label: string, passphrase: string | undefined, encrypted: boolean): string {
  let key: KeyObject;
  try {
    key = createPrivateKey(encrypted && passphrase !== undefined ? { key: text, passphrase } : { key: text });
  } catch (error) {
    // What Node's OpenSSL no longer opens, as DES and RC4.
    if ((error as NodeJS.ErrnoException).code === 'ERR_OSSL_EVP_UNSUPPORTED') {
      throw unreadableCipher(label, 'in an old way');
    }
    throw encrypted ? wrongPassphrase(label) : damaged(label);
  }
  const write = key.asymmetricKeyType === undefined ? undefined : WRITERS[key.asymmetricKeyType];
  if (write === undefined) {
    throw unsupported(label, key.asymmetricKeyType ?? 'unknown');
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

function invalid(text: string): CredentialError {
  return new CredentialError('INVALID_KEY', text);
}

function damaged(label: string): CredentialError {
  return invalid(`Cannot parse the private key ${label}`);
}

function unreadableCipher(label: string, how: string): CredentialError {
  return new CredentialError(
    'UNSUPPORTED_KEY',
    `The private key ${label} is encrypted ${how}, which cannot be read here: encrypt it anew with ` +
      'ssh-keygen -p -Z aes256-ctr -f FILE, or load it into an agent',
  );
}

function wrongPassphrase(label: string): CredentialError {
  return new CredentialError('WRONG_PASSPHRASE', `The passphrase for the private key ${label} is wrong`);
}

function unsupported(label: string, type: string): CredentialError {
  return new CredentialError(
    'UNSUPPORTED_KEY',
    `The private key ${label} has the unsupported type ${type}: use Ed25519, ECDSA or RSA`,
  );
}
