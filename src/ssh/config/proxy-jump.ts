/** Jump hosts as text and as values (ssh_config's ProxyJump). */
import { printable } from '../../shared/printable.js';
import { isHostName, isPort } from '../host-name.js';
import { expandTokens, type Tokens } from './ssh-config-tokens.js';

/** One host on the way. */
export interface Hop {
  readonly host: string;
  readonly port?: number | undefined;
  readonly username?: string | undefined;
}

/**
 * Reads `user@host:port,…`, also as `ssh://user@host:port`; what the tokens stand for in a user, as `%r`, is that of the
 * server. Throws a `TypeError` for what is not of that form.
 */
export function parseProxyJump(text: string, tokens?: Tokens): readonly Hop[] {
  return text.split(',').map((part) => {
    const [, username, bracketed, bare, port] =
      /^(?:ssh:\/\/)?(?:([^\s@/'"`$;&|<>(){}-][^\s@/'"`$;&|<>(){}]*)@)?(?:\[([\da-f:.]+(?:%[\w.-]+)?)\]|([\p{L}\p{N}_.][\p{L}\p{N}_.-]*))(?::(\d{1,5}))?\/?$/iu.exec(
        part.trim(),
      ) ?? [];
    const host = bracketed ?? bare;
    const number = port === undefined ? undefined : Number(port);
    if (host === undefined || (number !== undefined && !isPort(number))) {
      throw new TypeError(`proxyJump '${shownHop(text)}' is not of the form user@host:port,…`);
    }
    const isWritten = username === undefined || tokens === undefined;
    return { host, port: number, username: isWritten ? username : expandTokens(username, tokens) };
  });
}

/** What stands between a colon and an @ may be a password. */
function shownHop(text: string): string {
  return printable(text.replace(/:.*@/s, ':…@'), 200);
}

/** Throws a `TypeError` or `RangeError` for what is no host to go through; gives it back else. */
export function checkHop<H extends Hop>(hop: H): H {
  if (typeof hop !== 'object' || hop === null)
    throw new TypeError('A jump host must be a string user@host:port or an object with host');
  const { host, port, username } = hop;
  if (typeof host !== 'string' || !isHostName(host)) {
    throw new TypeError(
      `The host '${shownHop(String(host))}' of a jump host is neither a name nor an IP address`,
    );
  }
  if (port !== undefined && !isPort(port)) {
    throw new RangeError(`The port of the jump host ${host} must be between 1 and 65535`);
  }
  if (
    username !== undefined &&
    (typeof username !== 'string' || username === '' || username.includes('\0'))
  ) {
    throw new TypeError(
      `The username of the jump host ${host} must be a string that is not empty and has no NUL character`,
    );
  }
  return hop;
}

/** The other way round, for ssh's command line. */
export function writeHop({ host, port, username }: Hop): string {
  const user = username === undefined ? '' : `${username}@`;
  return `${user}${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}`;
}
