/**
 * The first field of a known_hosts line: which hosts it is about (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT").
 * Either one hashed name, or a comma-separated list of patterns with `*`, `?` and `!` for "not".
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

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
  const salt = Buffer.from(saltText, 'base64');
  const digest = Buffer.from(digestText, 'base64');
  if (salt.length !== SHA1_LENGTH || digest.length !== SHA1_LENGTH) {
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
      if (matchesWildcards(name, negated ? pattern.slice(1) : pattern)) {
        if (negated) {
          return false;
        }
        found = true;
      }
    }
    return found;
  };
}

/**
 * Matches with one step back to the last `*` instead of a regular expression: linear in practice, and a
 * pattern of a thousand stars cannot blow it up.
 */
export function matchesWildcards(text: string, pattern: string): boolean {
  let at = 0;
  let want = 0;
  let star = -1;
  let resume = 0;
  while (at < text.length) {
    const wanted = pattern[want];
    if (wanted === '*') {
      star = want++;
      resume = at;
    } else if (want < pattern.length && (wanted === '?' || wanted === text[at])) {
      want++;
      at++;
    } else if (star >= 0) {
      want = star + 1;
      at = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[want] === '*') {
    want++;
  }
  return want === pattern.length;
}
