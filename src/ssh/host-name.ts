/** What may be the name of a host, and what the number of a port: one check for every place where they are given. */
import { isIPv6 } from 'node:net';
import { printable } from '../shared/printable.js';

/** A name or an address, and nothing that some program might take for an option, a user or a port. */
export function isHostName(host: string): boolean {
  return isIPv6(host) || /^[\p{L}\p{N}_.][\p{L}\p{N}_.-]{0,254}$/u.test(host);
}

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** @throws TypeError with what to write in its place */
export function checkHost(host: unknown): string {
  if (typeof host !== 'string') throw new TypeError(`host must be a string, not ${typeof host}`);
  const [, bracketed, bare, port] = /^(?:\[([^\]@]*)\]|([^:@]*)):(\d{1,5})$/.exec(host) ?? [];
  const name = bracketed ?? bare;
  if (name !== undefined) {
    throw new TypeError(
      `host '${printable(host, 100)}' ends with a port: give host '${printable(name, 100)}' and port ${port}`,
    );
  }
  if (host.includes('@')) {
    throw new TypeError(
      `host '…@${shownHost(host.slice(host.lastIndexOf('@') + 1))}' begins with a user: give the option username, or write sftp://user@host`,
    );
  }
  if (isHostName(host)) return host;
  if (/^[\p{L}\p{N}_:.%-]*:[\p{L}\p{N}_:.%-]*$/u.test(host)) {
    throw new TypeError(`host '${shownHost(host)}' is not an IPv6 address; give the port as the option port`);
  }
  throw new TypeError(`host '${shownHost(host)}' is neither a host name nor an IP address`);
}

/** What stands behind a colon may be a password. */
function shownHost(host: string): string {
  const isAddress = /^[\da-f:.[\]]*$/i.test(host);
  return printable(isAddress ? host : host.replace(/:.*/s, ':…'), 100);
}

/** @throws TypeError | RangeError */
export function checkPort(port: unknown): number {
  if (typeof port !== 'number') throw new TypeError(`port must be a number, not ${typeof port}`);
  if (!isPort(port)) throw new RangeError(`port must be an integer between 1 and 65535, not ${port}`);
  return port;
}
