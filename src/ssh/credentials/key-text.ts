/**
 * The text of a key as people hand it on: as it stands in its file, with `\n` written out as in an environment variable,
 * or as base64 of the file, as CI systems keep it. And what can be told of a key without opening it.
 */
import { Buffer } from 'node:buffer';

export type KeyFormat = 'openssh' | 'pem' | 'putty' | 'public' | 'unknown';

const FORMATS: readonly (readonly [RegExp, KeyFormat])[] = [
  [/-----BEGIN OPENSSH PRIVATE KEY-----/, 'openssh'],
  [/-----BEGIN (?:RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY-----/, 'pem'],
  [/^\s*PuTTY-User-Key-File-/, 'putty'],
  [/^\s*(?:ssh-\w+|ecdsa-sha2-\w+|sk-[\w@.-]+) AAAA|BEGIN (?:SSH2 |RSA )?PUBLIC KEY/, 'public'],
];

/** A key is longer than that in every encoding. */
const MINIMUM_BASE64_LENGTH = 40;

const MAGIC = 'openssh-key-v1\0';

export function formatOf(text: string): KeyFormat {
  return FORMATS.find(([pattern]) => pattern.test(text))?.[1] ?? 'unknown';
}

/** The key as its file has it; `undefined` for what is no key, and so perhaps the path of one. */
export function findKeyText(given: string): string | undefined {
  const text = readWrittenLines(given);
  if (isKey(text)) return text;
  const decoded = decodeBase64(text);
  return decoded !== undefined && isKey(decoded) ? decoded : undefined;
}

function isKey(text: string): boolean {
  return text.includes('-----BEGIN ') || formatOf(text) !== 'unknown';
}

/** Where no line ends, `\n` stands for the end of one; the quotes around it are those of an .env file. */
function readWrittenLines(text: string): string {
  const plain = text.replace(/^\uFEFF/, '');
  const whole = plain.trim();
  if (/[\r\n]/.test(whole) || !isKey(whole)) return plain;
  return whole.replace(/^(["'])(.*)\1$/, '$2').replace(/(?:\\r)?\\n/g, '\n');
}

function decodeBase64(text: string): string | undefined {
  const compact = text.replace(/\s+/g, '');
  const isBase64 = compact.length >= MINIMUM_BASE64_LENGTH && /^[\w+/-]+={0,2}$/.test(compact);
  return isBase64 ? Buffer.from(compact, 'base64').toString('utf8') : undefined;
}

/** What became of a key's lines on the way, for people, or `undefined` where they are in order. */
export function layoutProblem(text: string): string | undefined {
  if (!/-----END [A-Z ]+-----/.test(text))
    return 'has no END line, so a part of it is missing: give the whole file';
  if (/^[ \t]+(?:-----|[\w+/=]{16})/m.test(text)) {
    return 'is indented: every line of it must begin at the margin, as in its file';
  }
  if (/^-----BEGIN [A-Z ]+-----[ \t]*$[\s\S]+^-----END /m.test(text)) return undefined;
  return 'has lost its line breaks: keep them as in its file, write each as \\n, or give base64 of the whole file';
}

/** What stands in clear in a key of OpenSSH's format. */
export interface OpenSshHeader {
  readonly cipher: string;
  /** The key's public half, as RFC 4253, section 6.6 has it. */
  readonly publicKey: Buffer;
}

/** OpenSSH's PROTOCOL.key: cipher, key derivation, its options, the number of keys, and the public key. */
export function readOpenSshHeader(text: string): OpenSshHeader | undefined {
  const base64 = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(text)?.[1] ?? '';
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  let at = MAGIC.length;
  const next = (): Buffer => {
    const start = at + 4;
    at = start + bytes.readUInt32BE(at);
    return bytes.subarray(start, at);
  };
  try {
    const cipher = next().toString('latin1');
    next();
    next();
    at += 4;
    return { cipher, publicKey: next() };
  } catch {
    return undefined; // It ends before that.
  }
}
