/**
 * What we offer a server, best first. No SHA-1, no CBC, no RC4, no group below 2048 bits, no compression
 * (the data may be secret, and its length would tell). AES-GCM leads: it is authenticated, not open to
 * prefix truncation (Terrapin, CVE-2023-48795), and the fastest of all where the processor has AES.
 */

import { getCiphers } from 'node:crypto';
import { kindOf } from '../shared/arguments.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import { printable } from '../shared/printable.js';

/** `legacy` adds, after what is modern, what servers of the last century's kind need; it is never the default. */
export type AlgorithmPreset = 'modern' | 'legacy';

/** Changes of a preset's list. Names that are in it already move; names to remove that are not in it are passed over. */
export interface AlgorithmChanges {
  /** Behind all others. */
  readonly append?: readonly string[] | undefined;
  /** Before all others. */
  readonly prepend?: readonly string[] | undefined;
  readonly remove?: readonly string[] | undefined;
}

/** Names in place of the preset's, best first, or changes of these. */
export type AlgorithmList = readonly string[] | AlgorithmChanges;

const CHANGES: OptionTable<AlgorithmChanges> = { append: 'checked', prepend: 'checked', remove: 'checked' };

/** @throws TypeError it is neither a list of names nor changes of one */
export function checkAlgorithmList(name: string, list: unknown): void {
  if (list === undefined) return;
  const isNames = (value: unknown) => value === undefined || Array.isArray(value);
  if (typeof list !== 'object' || list === null) {
    throw new TypeError(
      `${name} must be a list of names, or { append, prepend, remove }, not ${kindOf(list)}`,
    );
  }
  if (Array.isArray(list)) {
    list.forEach(checkAlgorithm);
    return;
  }
  checkOptions<AlgorithmChanges>(list, CHANGES, { of: name });
  for (const [key, names] of Object.entries(list)) {
    if (!isNames(names)) throw new TypeError(`${name}.${key} must be a list of names, not ${kindOf(names)}`);
    (names as readonly string[] | undefined)?.forEach(checkAlgorithm);
  }
}

/**
 * A list as it is offered. Changes apply to `base`.
 *
 * @throws RangeError nothing is left
 */
export function resolveList(list: AlgorithmList, base: readonly string[]): readonly string[] {
  if (isPlain(list)) return list;
  const { append = [], prepend = [], remove = [] } = list;
  const others = base.filter((name) => !append.includes(name) && !prepend.includes(name));
  const all = [...new Set([...prepend, ...others, ...append])].filter((name) => !remove.includes(name));
  if (all.length === 0) throw new RangeError(`Nothing is left of ${base.join(', ')}: remove fewer of them`);
  return all;
}

function isPlain(list: AlgorithmList): list is readonly string[] {
  return Array.isArray(list);
}

/** Which algorithms to offer, best first; a list left out is the preset's. */
export interface AlgorithmOptions {
  readonly preset?: AlgorithmPreset | undefined;
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

/** What a connection may negotiate, in order of preference, under pysftp's names. */
export interface SecurityOptions {
  readonly ciphers: readonly string[];
  readonly digests: readonly string[];
  readonly keyTypes: readonly string[];
  readonly kex: readonly string[];
}

/**
 * What is offered unless `kex`, `hostKeyAlgorithms`, `ciphers` or `macs` of `connect` say otherwise, best first.
 *
 * @example
 * await using sftp = await connect('old', { ciphers: { append: ['aes256-cbc'] } });
 * DEFAULT_ALGORITHMS.ciphers[0];   // 'aes128-gcm@openssh.com'
 */
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

/**
 * What `legacy` adds. SHA-1 in signatures and a group of 1024 bits can be broken by who spends enough, so they
 * come last; RC4, MD5, DSA and single DES stay out, as they protect from nobody.
 */
export const LEGACY_ADDITIONS: Offer = {
  kex: [
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group14-sha1',
    'diffie-hellman-group-exchange-sha1',
    'diffie-hellman-group1-sha1',
  ],
  hostKeyAlgorithms: ['ssh-rsa'],
  ciphers: ['aes128-cbc', 'aes192-cbc', 'aes256-cbc', '3des-cbc'],
  macs: ['hmac-sha1-etm@openssh.com', 'hmac-sha1'],
  compression: [],
};

/** Old servers have RSA keys of this length; the preset takes them. */
export const LEGACY_MINIMUM_RSA_BITS = 1024;

/** The preset's, with the user's lists in place of it, and the host keys that are known moved to the front. */
export function makeOffer(options: AlgorithmOptions = {}, knownKeyTypes: readonly string[] = []): Offer {
  const preset = presetOffer(options.preset);
  for (const list of LISTS) options[list]?.forEach(checkAlgorithm);
  const ciphers = options.ciphers ?? preset.ciphers.filter(isAvailable);
  return {
    kex: options.kex ?? preset.kex,
    hostKeyAlgorithms: preferKnown(options.hostKeyAlgorithms ?? preset.hostKeyAlgorithms, knownKeyTypes),
    ciphers,
    macs: options.macs ?? (ciphers.some(isCbc) ? withoutTerrapinFirst(preset.macs) : preset.macs),
    compression: options.compression === true ? ['zlib@openssh.com', 'none'] : preset.compression,
  };
}

const LISTS = ['kex', 'hostKeyAlgorithms', 'ciphers', 'macs'] as const;

/**
 * Refuses what ssh would take for an operator, as in `+aes128-cbc`, or for a pattern: a list stands in place of the
 * preset's. Throws a `TypeError`.
 */
export function checkAlgorithm(name: string): string {
  if (typeof name === 'string' && /^\w[\w@.+-]*$/.test(name)) return name;
  const advice = /^[+^-]/.test(String(name))
    ? ': a list takes the place of the preset; to change that, give { append, prepend, remove }'
    : '';
  throw new TypeError(`'${printable(String(name), 100)}' is not the name of an algorithm${advice}`);
}

function isCbc(cipher: string): boolean {
  return cipher.endsWith('-cbc');
}

/**
 * With CBC the modes that encrypt first are open to Terrapin unless the server knows strict key exchange, and a MAC is
 * chosen without regard to the cipher: so those that are safe with every cipher come first.
 */
function withoutTerrapinFirst(macs: readonly string[]): readonly string[] {
  return [...macs.filter((mac) => !isEtm(mac)), ...macs.filter(isEtm)];
}

function isEtm(mac: string): boolean {
  return mac.includes('-etm@');
}

export function securityOptions(offer: Offer): SecurityOptions {
  const { ciphers, macs, hostKeyAlgorithms, kex } = offer;
  return { ciphers, digests: macs, keyTypes: hostKeyAlgorithms, kex };
}

/** Which of our lists lack what a server offers, and would have it in the legacy preset. */
export function legacyWouldHelp(ours: Offer, theirs: Offer): boolean {
  return LISTS.some((list) => {
    const common = ours[list].some((name) => theirs[list].includes(name));
    return !common && LEGACY_ADDITIONS[list].some((name) => theirs[list].includes(name));
  });
}

export function presetOffer(preset: AlgorithmPreset | undefined): Offer {
  if (preset !== 'legacy') return DEFAULT_OFFER;
  return {
    kex: [...DEFAULT_OFFER.kex, ...LEGACY_ADDITIONS.kex],
    hostKeyAlgorithms: [...DEFAULT_OFFER.hostKeyAlgorithms, ...LEGACY_ADDITIONS.hostKeyAlgorithms],
    ciphers: [...DEFAULT_OFFER.ciphers, ...LEGACY_ADDITIONS.ciphers],
    macs: [...DEFAULT_OFFER.macs, ...LEGACY_ADDITIONS.macs],
    compression: DEFAULT_OFFER.compression,
  };
}

const OPENSSL_NAMES: Partial<Record<string, string>> = {
  '3des-cbc': 'des-ede3-cbc',
  'chacha20-poly1305@openssh.com': 'chacha20',
};

/** OpenSSL may have been built or configured without one, for instance under FIPS rules. */
function isAvailable(cipher: string): boolean {
  const name = OPENSSL_NAMES[cipher];
  return name === undefined || getCiphers().includes(name);
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
  return cipher.startsWith('chacha20-') || (isCbc(cipher) && isEtm(mac));
}
