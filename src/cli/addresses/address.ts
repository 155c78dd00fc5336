/** Every form in which a place can be written on the command line, read by one parser. */
import { isIPv6 } from 'node:net';
import { printable } from '../../shared/printable.js';
import { UsageError } from '../output/usage-error.js';

/** A server, as it was written: the host may be an alias of the ssh configuration. */
export interface ServerName {
  readonly host: string;
  readonly port: number | undefined;
  readonly user: string | undefined;
}

/** A place on a server. The path is empty where none was written: the directory in which the login begins. */
export interface RemoteAddress extends ServerName {
  readonly kind: 'remote';
  readonly path: string;
}

/** A local path, or `-`: standard input or output. */
export type Address =
  | RemoteAddress
  | { readonly kind: 'local'; readonly path: string }
  | { readonly kind: 'stream' };

/**
 * Reads `sftp://user@host:port/path`, `user@host:path`, `[v6]:path` and local paths. A name that contains a colon is
 * local where a slash comes first, as in `./a:b`.
 *
 * @throws UsageError for an address that is none, or that contains a password
 */
export function parseAddress(text: string): Address {
  if (text === '-') return { kind: 'stream' };
  if (/^(?:sftp|ssh):\/\//i.test(text)) return parseUrl(text);
  if (/^[a-z][a-z\d+.-]*:\/\//i.test(text)) {
    throw new UsageError(
      `'${printable(text, 100)}' is no address of an SFTP server: it must begin with sftp://`,
    );
  }
  if (process.platform === 'win32' && /^[a-z]:/i.test(text)) return { kind: 'local', path: text };
  const match = /^(?:([^/@[\]]*)@)?(?:\[([^/\]]*)\]|([^/:@[\]]+)):(.*)$/s.exec(text);
  if (match === null) return { kind: 'local', path: text };
  const [, user, bracketed, name, path = ''] = match;
  return { kind: 'remote', ...checkedServer({ user, host: bracketed ?? name ?? '', port: undefined }), path };
}

/** As {@link parseAddress}, where only a server makes sense: `host` and `user@host` name one too. */
export function parseRemote(text: string): RemoteAddress {
  const address = parseAddress(text);
  if (address.kind === 'remote') return address;
  const match = /^(?:([^/@[\]]*)@)?(?:\[([^/\]]*)\]|([^/:@[\]]+))$/s.exec(text);
  if (match === null || text === '-') {
    throw new UsageError(`'${printable(text, 200)}' is not on a server: write host:path or sftp://host/path`);
  }
  const [, user, bracketed, name] = match;
  return {
    kind: 'remote',
    ...checkedServer({ user, host: bracketed ?? name ?? '', port: undefined }),
    path: '',
  };
}

/** The absolute path of an URL; `/~/` stands for the directory in which the login begins, as for curl and lftp. */
function parseUrl(text: string): RemoteAddress {
  const match = /^\w+:\/\/(?:([^@/]*)@)?(?:\[([^/\]]*)\]|([^/:@[\]]+))(?::(\d{1,5}))?(\/.*)?$/s.exec(text);
  if (match === null) {
    // The text may hold a password.
    throw new UsageError('The address is not valid: write sftp://user@host:port/path');
  }
  const [, user, bracketed, name, port, path = ''] = match;
  const server = {
    user: user === undefined ? undefined : decode(user, 'user'),
    host: decode(bracketed ?? name ?? '', 'host'),
    port: port === undefined ? undefined : Number(port),
  };
  const decoded = decode(path, 'path').replace(/^\/\/+/, '/');
  const home = /^\/~(?:\/(.*))?$/s.exec(decoded);
  return { kind: 'remote', ...checkedServer(server), path: home === null ? decoded : (home[1] ?? '') };
}

function checkedServer({ user, host, port }: ServerName): ServerName {
  if (user?.includes(':')) {
    throw new UsageError(
      'An address with a password can be read by every user of this computer. Leave it out: you are asked for it, or ' +
        'give --password-file FILE, --password-stdin or the variable TSFTP_PASSWORD',
    );
  }
  if (user === '') throw new UsageError('The user in the address is empty: write user@host');
  if (host === '.' || host === '..') throw new UsageError('There is no server: write host:path');
  if (host === '') throw new UsageError('The host in the address is empty: write host:path');
  // What begins with a dash would be an option to other programs.
  if (host.startsWith('-') || (user?.startsWith('-') ?? false)) {
    throw new UsageError(`'${printable(host, 100)}' is not a host`);
  }
  if (host.includes(':') && !isIPv6(host.replace(/%.*$/, ''))) {
    throw new UsageError(`[${printable(host, 100)}] is not an IPv6 address`);
  }
  if (port !== undefined && (port < 1 || port > 65_535)) {
    throw new UsageError(`The port must be between 1 and 65535, not ${port}`);
  }
  return { user, host, port };
}

function decode(text: string, what: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UsageError(`The ${what} in the address is not percent-encoded: write %25 for a percent sign`);
  }
}

/** The address of another path on the same server, for messages. */
export function showAddress({ user, host, port }: ServerName, path: string): string {
  const at = user === undefined ? '' : `${user}@`;
  const name = host.includes(':') ? `[${host}]` : host;
  if (port === undefined) return `${at}${name}:${path}`;
  return `sftp://${at}${name}:${port}${path.startsWith('/') ? path : `/~/${path}`}`;
}
