/** Which public keys belong to the files of ssh_config's IdentityFile, so that an agent may sign with these alone. */
import { expandHome } from './home-path.js';
import { fingerprintOf } from './key-blob.js';
import { parsePrivateKey } from './private-key.js';
import { MAXIMUM_BYTES, readTextFile } from './text-file.js';

const MAGIC = 'openssh-key-v1\0';

/**
 * The fingerprints of the keys: from `file.pub`, else from the file itself, be it public, or private, also encrypted
 * where it is in OpenSSH's format. A file that cannot be read, or that holds no key, is passed over.
 */
export function readPublicKeys(files: readonly string[]): ReadonlySet<string> {
  const keys = files.map(readPublicKey);
  return new Set(keys.flatMap((key) => (key === undefined ? [] : [fingerprintOf(key)])));
}

function readPublicKey(path: string): Buffer | undefined {
  const file = expandHome(path);
  return readPublicText(readText(`${file}.pub`)) ?? readAnyText(readText(file));
}

function readText(path: string): string {
  try {
    return readTextFile(path, { maximumBytes: MAXIMUM_BYTES.key, encoding: 'utf8' }).text;
  } catch {
    return '';
  }
}

function readPublicText(text: string): Buffer | undefined {
  const base64 = /^\s*[a-z][\w@.-]+[ \t]+(AAAA[\w+/]+=*)/.exec(text)?.[1];
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64');
}

function readAnyText(text: string): Buffer | undefined {
  try {
    return (
      readPublicText(text) ??
      readOpenSshHeader(text) ??
      parsePrivateKey(text, 'identity').parsed.getPublicSSH()
    );
  } catch {
    return undefined;
  }
}

/** OpenSSH's PROTOCOL.key: behind cipher, kdf, its options and the number of keys stands the public key, in clear. */
function readOpenSshHeader(text: string): Buffer | undefined {
  const base64 = /-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(text)?.[1];
  if (base64 === undefined) return undefined;
  const bytes = Buffer.from(base64, 'base64');
  let at = MAGIC.length;
  for (let skipped = 0; skipped < 3; skipped++) at += 4 + bytes.readUInt32BE(at);
  const length = bytes.readUInt32BE(at + 4);
  return bytes.subarray(at + 8, at + 8 + length);
}
