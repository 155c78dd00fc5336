import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import ssh2 from 'ssh2';
import { SshError } from '../errors.js';
import { ByteWriter } from '../wire/bytes.js';

/** The key by which clients know the server. */
export interface ServerHostKey {
  /** For instance `ssh-ed25519`. */
  readonly type: string;
  /** `SHA256:…`, as `ssh-keygen -l` shows it. */
  readonly fingerprint: string;
  /** The public key as one line: type and base64. */
  readonly publicKey: string;
}

export interface LoadedHostKey extends ServerHostKey {
  readonly privateKey: string | Buffer;
}

/** The given private key (OpenSSH's or PEM format, not encrypted), or a new Ed25519 key. */
export function loadHostKey(given: string | Uint8Array | undefined): LoadedHostKey {
  const privateKey =
    given === undefined ? generateEd25519Key() : typeof given === 'string' ? given : Buffer.from(given);
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error || !parsed.isPrivateKey()) {
    throw new SshError(
      'INVALID_HOST_KEY',
      'hostKey is not a usable private key: give the text of an unencrypted one, as ssh-keygen writes it',
    );
  }
  const bytes = parsed.getPublicSSH();
  const digest = createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '');
  const publicKey = `${parsed.type} ${bytes.toString('base64')}`;
  return { privateKey, type: parsed.type, fingerprint: `SHA256:${digest}`, publicKey };
}

const KEY_TYPE = Buffer.from('ssh-ed25519');
const KEY_LENGTH = 32;
const BLOCK_LENGTH = 8;

/**
 * A new key as OpenSSH's PROTOCOL.key has it. Not by ssh2's generator, whose Ed25519 keys lack a byte now and
 * then.
 */
function generateEd25519Key(): string {
  // In DER (RFC 8410) both end with the key itself. Exporting a generated key as JWK can block for ever: see docs/upstream.md.
  const pair = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'der' },
  });
  const publicPart = pair.publicKey.subarray(-KEY_LENGTH);
  const seed = pair.privateKey.subarray(-KEY_LENGTH);
  const check = randomBytes(4);
  const secret = written((writer) => {
    writer.bytes(check);
    writer.bytes(check);
    writer.string(KEY_TYPE);
    writer.string(publicPart);
    writer.string(Buffer.concat([seed, publicPart]));
    writer.string(Buffer.alloc(0));
    for (let pad = 1; writer.length % BLOCK_LENGTH !== 0; pad += 1) writer.uint8(pad);
  });
  const whole = written((writer) => {
    writer.bytes(Buffer.from('openssh-key-v1\0'));
    for (const text of ['none', 'none', '']) writer.string(Buffer.from(text));
    writer.uint32(1);
    writer.string(
      written((inner) => {
        inner.string(KEY_TYPE);
        inner.string(publicPart);
      }),
    );
    writer.string(secret);
  });
  const lines = whole.toString('base64').match(/.{1,70}/g) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join(
    '\n',
  );
}

function written(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter();
  write(writer);
  return Buffer.concat(writer.take());
}
