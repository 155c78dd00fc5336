/** Public keys as they travel and as known_hosts stores them (RFC 4253, section 6.6). */
import { createHash } from 'node:crypto';

/** The types of host keys that we can verify. An unknown one in a known_hosts file is skipped. */
const HOST_KEY_TYPES: ReadonlySet<string> = new Set([
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
]);

export function isHostKeyType(type: string): boolean {
  return HOST_KEY_TYPES.has(type);
}

/** Base64 as ssh reads it: whole, padded, and nothing besides. `undefined` for all else, which Node would pass over. */
export function decodeBase64(text: string): Buffer<ArrayBuffer> | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** The key of a line, where it is of the type that the line names and there is nothing behind it. */
export function decodeKey(type: string, base64: string): Buffer<ArrayBuffer> | undefined {
  const key = decodeBase64(base64);
  if (key === undefined || keyType(key) !== type) return undefined;
  const length = readStrings(key, Infinity).reduce((sum, field) => sum + 4 + field.length, 0);
  return length === key.length ? key : undefined;
}

/** The type that the key itself names, or `undefined` if it is no key. */
export function keyType(key: Uint8Array): string | undefined {
  const [type] = readStrings(key, 1);
  return type === undefined || type.length === 0 || type.length > 64 ? undefined : type.toString('latin1');
}

/** `SHA256:…`, as `ssh-keygen -l` prints it. */
export function fingerprintOf(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

/** The length of an RSA key's modulus in bits; `undefined` for keys of other types and broken ones. */
export function rsaBits(key: Uint8Array): number | undefined {
  const [type, , modulus] = readStrings(key, 3);
  if (type?.toString('latin1') !== 'ssh-rsa' || modulus === undefined) {
    return undefined;
  }
  const first = modulus.findIndex((byte) => byte !== 0);
  const top = modulus[first];
  return top === undefined ? undefined : (modulus.length - first) * 8 - (Math.clz32(top) - 24);
}

function readStrings(key: Uint8Array, count: number): Buffer[] {
  const bytes = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  const strings: Buffer[] = [];
  let at = 0;
  while (strings.length < count && at + 4 <= bytes.length) {
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) {
      break;
    }
    strings.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return strings;
}
