/** The keys of servers that are trusted or revoked, from known_hosts files (sshd(8)) and from the program. */
import { HostKeysError } from '../../errors.js';
import { expandHome } from '../home-path.js';
import { type HostMatcher, hostName, parseHostPattern } from './host-pattern.js';
import { decodeKey, isHostKeyType, keyType } from './key-blob.js';
import { readKnownHosts } from './known-hosts-file.js';

/** How a server's key stands to what is known. */
export type HostKeyStatus = 'trusted' | 'unknown' | 'changed' | 'revoked' | 'other-type';

/** One line of a known_hosts file, or one key given by the program. */
export interface KnownHostEntry {
  /** `cert-authority` lines are never taken for a plain key. */
  readonly marker: 'revoked' | 'cert-authority' | undefined;
  /** For instance `ssh-ed25519`. */
  readonly type: string;
  /** The key as in RFC 4253, section 6.6. */
  readonly key: Buffer;
  /** The file, or `undefined` for a key added by the program. */
  readonly file: string | undefined;
  /** The line, from 1. */
  readonly line: number | undefined;
}

/** What {@link HostKeys.check} found, and the line that decided. */
export interface HostKeyVerdict {
  readonly status: HostKeyStatus;
  readonly entry: KnownHostEntry | undefined;
}

interface Known extends KnownHostEntry {
  readonly matches: HostMatcher;
}

const MARKERS = new Map([
  ['@revoked', 'revoked'],
  ['@cert-authority', 'cert-authority'],
] as const);

/**
 * The host keys to verify servers with.
 *
 * Reads the whole known_hosts format: several names per line, hashed names, wildcards, negation,
 * `[host]:port`, `@revoked` (wins over everything), `@cert-authority`. Lines that it cannot read or whose
 * key type it does not know are skipped, as OpenSSH does.
 *
 * @example
 * const keys = new HostKeys().load('~/.ssh/known_hosts');
 * keys.add('[files.example.com]:2222', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…');
 */
export class HostKeys {
  readonly #known: Known[] = [];
  readonly #files: string[] = [];

  /** The files that were loaded, in their order. */
  get files(): readonly string[] {
    return this.#files;
  }

  /** How many keys there are. */
  get size(): number {
    return this.#known.length;
  }

  /**
   * Adds the keys of a known_hosts file; `~` is expanded. Throws a `HostKeysError`
   * (`KNOWN_HOSTS_UNUSABLE`) if the file cannot be read or has no usable line.
   */
  load(path: string): this {
    const file = expandHome(path);
    const text = readKnownHosts(file);
    this.#files.push(file);
    if (this.parse(text, file) === 0) {
      throw new HostKeysError('KNOWN_HOSTS_UNUSABLE', `The known_hosts file ${file} has no usable key`, {
        file,
      });
    }
    return this;
  }

  /** Adds the keys of a known_hosts text, and gives their number. `file` is for messages only. */
  parse(text: string, file?: string): number {
    const before = this.#known.length;
    let line = 0;
    for (const content of text.split('\n')) {
      line++;
      const known = parseLine(content, file, line);
      if (known !== undefined) {
        this.#known.push(known);
      }
    }
    return this.#known.length - before;
  }

  /**
   * Trusts a key for the hosts of a known_hosts pattern, for instance `example.com,10.0.0.*` or
   * `[example.com]:2222`. The key is `type base64`, as in a `.pub` file, or the key's bytes.
   */
  add(pattern: string, key: string | Uint8Array): this {
    const bytes = typeof key === 'string' ? parseKeyText(key) : Buffer.from(key);
    const type = bytes && keyType(bytes);
    const matches = /^[^\s#@][^\s]*$/.test(pattern) ? parseHostPattern(pattern) : undefined;
    if (bytes === undefined || type === undefined || !isHostKeyType(type)) {
      throw new TypeError(
        'not a host key: give "type base64" as in a .pub file, or the bytes of a public key',
      );
    }
    if (matches === undefined) {
      throw new TypeError(`not a known_hosts pattern: ${JSON.stringify(pattern)}`);
    }
    this.#known.push({ marker: undefined, type, key: bytes, file: undefined, line: undefined, matches });
    return this;
  }

  /**
   * Adds what others hold from a position on: what a program has added to them since.
   * @internal
   */
  include(others: HostKeys, from = 0): this {
    this.#known.push(...others.#known.slice(from));
    return this;
  }

  /** Every entry for a host, revoked ones and authorities too, in the order in which they were loaded. */
  lookup(host: string, port = 22): readonly KnownHostEntry[] {
    const name = hostName(host, port);
    return this.#known.filter((known) => known.matches(name));
  }

  /**
   * Judges a key that a server showed. `trusted`: it is there; `revoked`: marked so, whatever else is
   * there; `changed`: another key of this type is known; `other-type`: only keys of other types are known;
   * `unknown`: none is, though there may be an authority that signs keys for the host: then it is the entry.
   */
  check(host: string, port: number, key: Uint8Array): HostKeyVerdict {
    return judgeKey(this.lookup(host, port), keyType(key), (entry) => entry.key.equals(key));
  }

  /** The types of the plain keys known for a host, to ask the server for these first. */
  keyTypes(host: string, port = 22): readonly string[] {
    const plain = this.lookup(host, port).filter((entry) => entry.marker === undefined);
    return [...new Set(plain.map((entry) => entry.type))];
  }
}

/** As {@link HostKeys.check}, of entries for one host, where `isSame` tells which of them hold the key itself. */
export function judgeKey(
  entries: readonly KnownHostEntry[],
  type: string | undefined,
  isSame: (entry: KnownHostEntry) => boolean,
): HostKeyVerdict {
  const revoked = entries.find((entry) => entry.marker === 'revoked' && isSame(entry));
  if (revoked !== undefined) return { status: 'revoked', entry: revoked };
  const plain = entries.filter((entry) => entry.marker === undefined);
  const trusted = plain.find(isSame);
  if (trusted !== undefined) return { status: 'trusted', entry: trusted };
  const changed = plain.find((entry) => entry.type === type);
  if (changed !== undefined) return { status: 'changed', entry: changed };
  const authority = entries.find((entry) => entry.marker === 'cert-authority');
  return { status: plain.length > 0 ? 'other-type' : 'unknown', entry: plain[0] ?? authority };
}

function parseLine(content: string, file: string | undefined, line: number): Known | undefined {
  const fields = content.trim().split(/[ \t]+/, 4);
  const [first] = fields;
  if (first === undefined || first === '' || first.startsWith('#')) {
    return undefined;
  }
  const marker = MARKERS.get(first as '@revoked');
  if (first.startsWith('@')) {
    if (marker === undefined) {
      return undefined;
    }
    fields.shift();
  }
  const [pattern, type, base64] = fields;
  if (pattern === undefined || type === undefined || base64 === undefined || !isHostKeyType(type)) {
    return undefined;
  }
  const key = decodeKey(type, base64);
  const matches = parseHostPattern(pattern);
  if (matches === undefined || key === undefined) {
    return undefined;
  }
  return { marker, type, key, file, line, matches };
}

function parseKeyText(text: string): Buffer | undefined {
  const [type = '', base64 = ''] = text.trim().split(/\s+/);
  return decodeKey(type, base64);
}
