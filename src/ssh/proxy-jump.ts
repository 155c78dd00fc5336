/**
 * Hosts to go through on the way to a server (ssh_config's ProxyJump). Each is verified and logged in to for itself,
 * and sees only what is encrypted for the next.
 */
import { isIPv6 } from 'node:net';
import { ConnectionLostError } from '../errors.js';
import { printable } from '../printable.js';
import type { SshConnection } from './ssh-connection.js';
import { connectSsh2, type Ssh2Options } from './ssh2.js';
import type { Ssh2Connection } from './ssh2-connection.js';

/** One host on the way. */
export interface Hop {
  readonly host: string;
  readonly port?: number | undefined;
  readonly username?: string | undefined;
}

/** Reads `user@host:port,…`, also as `ssh://user@host:port`. Throws a `TypeError` for what is not of that form. */
export function parseProxyJump(text: string): readonly Hop[] {
  return text.split(',').map((part) => {
    const [, username, bracketed, bare, port] =
      /^(?:ssh:\/\/)?(?:([^\s@/'"`$;&|<>(){}-][^\s@/'"`$;&|<>(){}]*)@)?(?:\[([\da-f:.]+)\]|([\p{L}\p{N}_.][\p{L}\p{N}_.-]*))(?::(\d{1,5}))?\/?$/iu.exec(
        part.trim(),
      ) ?? [];
    const host = bracketed ?? bare;
    const number = port === undefined ? undefined : Number(port);
    if (host === undefined || (number !== undefined && (number < 1 || number > 65_535))) {
      throw new TypeError(`proxyJump '${printable(text, 200)}' is not of the form user@host:port,…`);
    }
    return { host, port: number, username };
  });
}

/** Throws a `TypeError` or `RangeError` for what is no host to go through; gives it back else. */
export function checkHop<H extends Hop>(hop: H): H {
  if (typeof hop !== 'object' || hop === null)
    throw new TypeError('a hop is user@host:port, or an object with host');
  const { host, port, username } = hop;
  if (typeof host !== 'string' || !(isIPv6(host) || /^[\p{L}\p{N}_.][\p{L}\p{N}_.-]{0,254}$/u.test(host))) {
    throw new TypeError(
      `the host '${printable(String(host), 100)}' of a hop is neither a name nor an IP address`,
    );
  }
  if (port !== undefined && !(Number.isInteger(port) && port >= 1 && port <= 65_535)) {
    throw new RangeError(`the port of the hop ${host} is not between 1 and 65535`);
  }
  if (
    username !== undefined &&
    (typeof username !== 'string' || username === '' || username.includes('\0'))
  ) {
    throw new TypeError(`the username for the hop ${host} is no text, or empty, or contains a NUL character`);
  }
  return hop;
}

/** The other way round, for ssh's command line. */
export function writeHop({ host, port, username }: Hop): string {
  const user = username === undefined ? '' : `${username}@`;
  return `${user}${host.includes(':') ? `[${host}]` : host}${port === undefined ? '' : `:${port}`}`;
}

/**
 * Connects to the first of the hosts, from there to the next, and so on. The connection to the last one is the
 * result; when it ends, so do those before it. Each may take its own `connectTimeout`. Rejects as `connectSsh2`.
 */
export async function connectThrough(
  hosts: readonly [Ssh2Options, ...Ssh2Options[]],
): Promise<SshConnection> {
  const [first, ...others] = hosts;
  let last: Ssh2Connection = await connectSsh2(first);
  for (const next of others) {
    const via = last;
    try {
      const stream = await via.openTunnel(next.host, next.port, { signal: next.signal });
      last = await connectSsh2({ ...next, stream });
    } catch (error) {
      via.destroy(new ConnectionLostError('the host behind it could not be reached', { cause: error }));
      throw error;
    }
    void last.closed.then(() => via.close());
  }
  return last;
}
