/** The lists of `algorithms`, under the names of ssh2, and what they begin with. */
import { DEFAULT_ALGORITHMS } from '../../index.js';
import type { AlgorithmList, AlgorithmNames, Algorithms } from '../types.js';

/**
 * What programs that come from ssh2 could negotiate so far with servers that know nothing better. It comes after what
 * tsftp offers, so that no other server is asked for it.
 */
const OLDER = {
  kex: [
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group15-sha512',
    'diffie-hellman-group17-sha512',
  ],
  hostKeyAlgorithms: ['ssh-rsa'],
  ciphers: [],
  macs: ['hmac-sha1-etm@openssh.com', 'hmac-sha1'],
} as const;

interface Lists {
  readonly kex: readonly string[];
  readonly hostKeyAlgorithms: readonly string[];
  readonly ciphers: readonly string[];
  readonly macs: readonly string[];
}

const DEFAULTS: Lists = {
  kex: [...DEFAULT_ALGORITHMS.kex, ...OLDER.kex],
  hostKeyAlgorithms: [...DEFAULT_ALGORITHMS.hostKeyAlgorithms, ...OLDER.hostKeyAlgorithms],
  ciphers: DEFAULT_ALGORITHMS.ciphers,
  macs: [...DEFAULT_ALGORITHMS.macs, ...OLDER.macs],
};

/** `ciphers` is left out where nothing is said of them: then it is for tsftp to see which there are. */
export interface AlgorithmSettings extends Omit<Lists, 'ciphers'> {
  readonly ciphers: readonly string[] | undefined;
  readonly compression: boolean;
}

export function algorithmLists(given: Algorithms = {}): AlgorithmSettings {
  const { kex, serverHostKey, cipher, hmac, compress } = given;
  const compressions = listOf(compress, ['none']);
  return {
    kex: listOf(kex, DEFAULTS.kex),
    hostKeyAlgorithms: listOf(serverHostKey, DEFAULTS.hostKeyAlgorithms),
    ciphers: cipher && listOf(cipher, DEFAULTS.ciphers),
    macs: listOf(hmac, DEFAULTS.macs),
    compression: compressions[0] !== undefined && compressions[0] !== 'none',
  };
}

/** A list takes the place of the default one; an object changes that. */
function listOf(given: AlgorithmList | undefined, defaults: readonly string[]): readonly string[] {
  if (given === undefined) return defaults;
  if (isList(given)) return given;
  const { append, prepend, remove } = given;
  const unwanted = entriesOf(remove);
  const isKept = (name: string) => !unwanted.some((entry) => isMatch(entry, name));
  const names = [...namesOf(prepend), ...defaults, ...namesOf(append)];
  return [...new Set(names)].filter(isKept);
}

function isList(given: AlgorithmList): given is readonly string[] {
  return Array.isArray(given);
}

function entriesOf(names: AlgorithmNames | undefined): readonly (string | RegExp)[] {
  if (names === undefined) return [];
  return typeof names === 'string' || names instanceof RegExp ? [names] : names;
}

/** Only what is removed may be described by an expression. */
function namesOf(names: AlgorithmNames | undefined): readonly string[] {
  return entriesOf(names).map(String);
}

function isMatch(entry: string | RegExp, name: string): boolean {
  return typeof entry === 'string'
    ? entry === name
    : new RegExp(entry.source, entry.flags.replace('g', '')).test(name);
}
