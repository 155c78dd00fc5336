/** Which public keys belong to the files of ssh_config's IdentityFile, so that an agent may sign with these alone. */
import { expandHome } from '../home-path.js';
import { fingerprintOf } from '../host-keys/key-blob.js';
import { MAXIMUM_BYTES, readTextFile } from '../text-file.js';
import { readOpenSshHeader } from './key-text.js';
import { parsePrivateKey } from './private-key.js';

/**
 * The fingerprints of the keys: from `file.pub`, else from the file itself, be it public, or private, also encrypted
 * where it is in OpenSSH's format. A file that cannot be read, or that holds no key, is passed over.
 */
export function readPublicKeys(files: readonly string[]): ReadonlySet<string> {
  const keys = files.map(readPublicKey);
  return new Set(keys.flatMap((key) => (key === undefined ? [] : [fingerprintOf(key)])));
}

function readPublicKey(path: string): Buffer | undefined {
  return readPublicText(readText(`${path}.pub`)) ?? readAnyText(readText(path));
}

function readText(path: string): string {
  try {
    return readTextFile(expandHome(path), { maximumBytes: MAXIMUM_BYTES.key, encoding: 'utf8' }).text;
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
      readOpenSshHeader(text)?.publicKey ??
      parsePrivateKey(text, 'identity').parsed.getPublicSSH()
    );
  } catch {
    return undefined;
  }
}
