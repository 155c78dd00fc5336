/**
 * The first field of a known_hosts line: which hosts it is about (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
 * Either one hashed name, or a comma-separated list of patterns with `*`, `?` and `!` for "not".
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { matches, parseWildcards } from '../../shared/pattern.js';
import { decodeBase64 } from './key-blob.js';

const SHA1_LENGTH = 20;

/** Tells whether a name, as {@link hostName} writes it, is meant. */
export type HostMatcher = (name: string) => boolean;

/** The name that a host has in known_hosts: bare on port 22, `[host]:port` on every other. */
export function hostName(host: string, port: number): string {
  const lower = host.toLowerCase();
  return port === 22 ? lower : `[${lower}]:${port}`;
}

/** Gives `undefined` for a hashed name that is not one. */
export function parseHostPattern(field: string): HostMatcher | undefined {
  return field.startsWith('|') ? parseHashed(field) : parseList(field);
}

function parseHashed(field: string): HostMatcher | undefined {
  const [empty, magic, saltText, digestText, ...rest] = field.split('|');
  if (empty !== '' || magic !== '1' || !saltText || !digestText || rest.length > 0) {
    return undefined;
  }
  const salt = decodeBase64(saltText);
  const digest = decodeBase64(digestText);
  if (salt?.length !== SHA1_LENGTH || digest?.length !== SHA1_LENGTH) {
    return undefined;
  }
  return (name) => timingSafeEqual(createHmac('sha1', salt).update(name).digest(), digest);
}

function parseList(field: string): HostMatcher {
  const patterns = field.toLowerCase().split(',');
  return (name) => {
    let found = false;
    for (const pattern of patterns) {
      const negated = pattern.startsWith('!');
      if (matches(parseWildcards(negated ? pattern.slice(1) : pattern), name)) {
        if (negated) {
          return false;
        }
        found = true;
      }
    }
    return found;
  };
}
