/** What stands for something else in the values of ssh_config(5): `%h` and its like, and `${variables}`. */
import { hostname } from 'node:os';
import { SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { expandHome, userName } from '../home-path.js';

/** What each letter behind a `%` stands for. */
export type Tokens = Readonly<Record<string, string>>;

/** What the tokens tell of. */
export interface TokenFacts {
  /** As the user wrote it. */
  readonly host: string;
  /** As it is connected to. */
  readonly hostName: string;
  readonly hostKeyAlias?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
}

/** ssh_config(5), "TOKENS", but for the few that need what is not known here. */
export function makeTokens({ host, hostName, hostKeyAlias, port, user }: TokenFacts): Tokens {
  return {
    '%': '%',
    // Not every user has a home and a name, and not every value needs them.
    get d() {
      return expandHome('~');
    },
    h: hostName,
    i: String(process.getuid?.() ?? -1),
    k: hostKeyAlias ?? host,
    L: hostname().replace(/\..*$/, ''),
    l: hostname(),
    n: host,
    p: String(port ?? 22),
    get r() {
      return user ?? userName();
    },
    get u() {
      return userName();
    },
  };
}

/** Throws `SshError` (`CONFIG_INVALID`) for a token that means nothing. */
export function expandTokens(text: string, tokens: Tokens): string {
  return text.replace(/%(.?)/gs, (_all, name: string) => {
    const value = Object.hasOwn(tokens, name) ? tokens[name] : undefined;
    if (value === undefined) {
      throw new SshError(
        'CONFIG_INVALID',
        `ssh configuration: %${printable(name)} cannot be used in ${printable(text, 100)}`,
      );
    }
    return value;
  });
}

/** Throws `SshError` (`CONFIG_INVALID`) for a variable that is not set. */
export function expandVariables(text: string): string {
  return text.replace(/\$\{(\w+)\}/g, (_all, name: string) => {
    const value = process.env[name];
    if (value === undefined) {
      throw new SshError(
        'CONFIG_INVALID',
        `ssh configuration: the variable ${name} in ${printable(text, 100)} is not set`,
      );
    }
    return value;
  });
}
