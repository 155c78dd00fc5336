/**
 * What we offer a server, best first. No SHA-1, no CBC, no RC4, no group below 2048 bits, no compression
 * (the data may be secret, and its length would tell). AES-GCM leads: it is authenticated, not open to
 * prefix truncation (Terrapin, CVE-2023-48795), and the fastest of all where the processor has AES.
 */

/** Which algorithms to offer, best first; a list left out is our own. */
export interface AlgorithmOptions {
  readonly kex?: readonly string[] | undefined;
  readonly hostKeyAlgorithms?: readonly string[] | undefined;
  readonly ciphers?: readonly string[] | undefined;
  readonly macs?: readonly string[] | undefined;
  readonly compression?: boolean | undefined;
}

/** The lists that go into our KEXINIT (RFC 4253, section 7.1). */
export interface Offer {
  readonly kex: readonly string[];
  readonly hostKeyAlgorithms: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
  readonly compression: readonly string[];
}

export const DEFAULT_OFFER: Offer = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group18-sha512',
    'diffie-hellman-group14-sha256',
  ],
  hostKeyAlgorithms: [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ],
  ciphers: [
    'aes128-gcm@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
    'chacha20-poly1305@openssh.com',
  ],
  macs: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compression: ['none'],
};

/** Ours, with the user's lists in place of it, and the host keys that are known moved to the front. */
export function makeOffer(options: AlgorithmOptions = {}, knownKeyTypes: readonly string[] = []): Offer {
  const hostKeyAlgorithms = options.hostKeyAlgorithms ?? DEFAULT_OFFER.hostKeyAlgorithms;
  return {
    kex: options.kex ?? DEFAULT_OFFER.kex,
    hostKeyAlgorithms: preferKnown(hostKeyAlgorithms, knownKeyTypes),
    ciphers: options.ciphers ?? DEFAULT_OFFER.ciphers,
    macs: options.macs ?? DEFAULT_OFFER.macs,
    compression: options.compression === true ? ['zlib@openssh.com', 'none'] : DEFAULT_OFFER.compression,
  };
}

/**
 * A server with several keys shows the one of the first algorithm that both know. To ask first for the
 * types that known_hosts holds is what keeps it from looking "changed" (OpenSSH does the same).
 */
function preferKnown(algorithms: readonly string[], knownKeyTypes: readonly string[]): readonly string[] {
  const known = (algorithm: string): boolean =>
    knownKeyTypes.includes(algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm);
  return [...algorithms.filter(known), ...algorithms.filter((algorithm) => !known(algorithm))];
}

/** Open to prefix truncation unless both sides agreed on strict key exchange. */
export function needsStrictKex(cipher: string, mac: string): boolean {
  return cipher.startsWith('chacha20-') || (cipher.endsWith('-cbc') && mac.includes('-etm@'));
}
