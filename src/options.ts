/** What `connect` takes, its three forms made one. */
import { isIPv6 } from 'node:net';
import { userInfo } from 'node:os';
import { CnOpts } from './cnopts.js';
import { checkCnOpts } from './cnopts-check.js';
import type { CnOptsFields } from './cnopts-fields.js';
import { printable } from './printable.js';
import { type RetryOptions, retryPolicy } from './retry.js';
import { resolveSpeed, type SpeedOptions } from './speed.js';
import type { AgentKey } from './ssh/agent.js';
import { resolveSshConfig, type SshConfig } from './ssh/ssh-config.js';

/** Longer timers fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** Options of {@link connect}. */
export interface ConnectOptions extends SpeedOptions {
  /** Who logs in. Default: `$LOGNAME`, else the user of the operating system. */
  readonly username?: string | undefined;
  /** Tried after the keys; `''` is a password. */
  readonly password?: string | undefined;
  /**
   * A private key: a path (`~` expanded), the key's text, or its bytes; RSA, ECDSA or Ed25519. Or a key of an agent,
   * from `listAgentKeys()`.
   */
  readonly privateKey?: string | Uint8Array | AgentKey | undefined;
  /** The passphrase of an encrypted `privateKey`. */
  readonly privateKeyPass?: string | undefined;
  /** Default: 22. */
  readonly port?: number | undefined;
  /** The remote directory to begin in. */
  readonly defaultPath?: string | undefined;
  readonly cnopts?: CnOpts | CnOptsFields | undefined;
  /** Gives up connecting, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for the whole of connecting, each time it is tried. Default: 20,000. */
  readonly timeout?: number | undefined;
  /**
   * Makes a connection again that cannot be made or is lost, with the same host key. Transfers then go on from
   * where they were; any other call that was under way rejects and is not repeated, and the next one finds the
   * connection made again. Default: a connection that is lost stays lost.
   */
  readonly retry?: RetryOptions | false | undefined;
}

/** {@link ConnectOptions} with the host among them. */
export interface HostOptions extends ConnectOptions {
  readonly host: string;
}

/** Everything known, nothing left to guess. */
export interface ResolvedOptions extends ConnectOptions {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly cnopts: CnOpts;
  /** What the user gave of it, for a transport that knows the rest by itself. */
  readonly given: {
    readonly host: string;
    readonly port: number | undefined;
    readonly username: string | undefined;
  };
  /** What the user's ssh configuration says about the host, where it is asked. */
  readonly config: SshConfig | undefined;
}

/**
 * @throws TypeError | RangeError where an option cannot be meant.
 * @throws HostKeysError where a known_hosts file that was named cannot be used.
 */
export function resolveOptions(target: string | HostOptions, options: ConnectOptions = {}): ResolvedOptions {
  const given = typeof target === 'string' ? fromText(target, options) : { ...target, ...options };
  const allCnopts = given.cnopts instanceof CnOpts ? given.cnopts : new CnOpts(given.cnopts);
  checkCnOpts(allCnopts);
  checkHost(given.host);
  const config = readConfig(given, allCnopts);
  const host = config?.hostName ?? given.host;
  const port = given.port ?? config?.port ?? 22;
  const username = given.username ?? config?.user ?? defaultUsername();
  checkHost(host);
  checkPort(port);
  checkTimeout(given.timeout);
  retryPolicy(given.retry);
  resolveSpeed(given);
  checkText('username', username);
  checkOptionalText('password', given.password);
  checkOptionalText('privateKeyPass', given.privateKeyPass);
  checkOptionalText('defaultPath', given.defaultPath);
  const asked = { host: given.host, port: given.port, username: given.username };
  return { ...given, host, port, username, cnopts: allCnopts, given: asked, config };
}

/** The system's ssh reads its configuration itself. */
function readConfig(
  { host, username, port }: HostOptions,
  { config, transport }: CnOpts,
): SshConfig | undefined {
  if (config === undefined || config === false || transport === 'openssh') return undefined;
  return resolveSshConfig({ host, user: username, port }, config);
}

/** `host` or `sftp://user:password@host:port/start/here`; explicit options win. */
function fromText(target: string, options: ConnectOptions): HostOptions {
  if (!/^[a-z]+:\/\//i.test(target)) return { ...options, host: target };
  let url: URL;
  try {
    url = new URL(target);
  } catch {
    // Node's own error shows the whole address, which may hold a password.
    throw new TypeError('the address is no URL: write sftp://user@host:port/directory');
  }
  if (url.protocol !== 'sftp:' && url.protocol !== 'ssh:') {
    throw new TypeError(`the address begins with ${printable(url.protocol)}//: only sftp:// is known`);
  }
  return {
    ...optional('username', decodeComponent('user', url.username)),
    ...optional('password', decodeComponent('password', url.password)),
    ...optional('defaultPath', url.pathname === '/' ? '' : decodeComponent('directory', url.pathname)),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...withoutUndefined(options),
    // Node keeps the brackets of an IPv6 address.
    host: decodeComponent('host', url.hostname).replace(/^\[(.*)\]$/, '$1'),
  };
}

function decodeComponent(what: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`the ${what} in the address is not encoded as in URLs: write %25 for a percent sign`);
  }
}

/** What is left open does not hide what the address says. */
function withoutUndefined(options: ConnectOptions): ConnectOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

function optional<K extends string>(name: K, value: string): { readonly [P in K]?: string } {
  return value === '' ? {} : ({ [name]: value } as { readonly [P in K]: string });
}

function defaultUsername(): string {
  return process.env.LOGNAME || userInfo().username;
}

/** A name or an address, and nothing that some program might take for an option or a user. */
function checkHost(host: unknown): asserts host is string {
  if (typeof host !== 'string') throw new TypeError(`host must be a string, not ${typeof host}`);
  if (!/^[\p{L}\p{N}_:.%][\p{L}\p{N}_:.%-]*$/u.test(host) || host.length > 255) {
    throw new TypeError(`host '${printable(host, 100)}' is neither a host name nor an IP address`);
  }
  if (host.includes(':') && !isIPv6(host)) {
    const shown = printable(host, 100);
    throw new TypeError(`host '${shown}' is no IPv6 address; give a port in the option \`port\``);
  }
}

function checkTimeout(timeout: unknown): void {
  if (timeout === undefined) return;
  if (typeof timeout !== 'number') throw new TypeError(`timeout must be a number, not ${typeof timeout}`);
  if (!(timeout > 0 && timeout <= MAX_TIMEOUT_MS)) {
    throw new RangeError(`timeout ${timeout} is not between 1 and ${MAX_TIMEOUT_MS} milliseconds`);
  }
}

function checkPort(port: unknown): void {
  if (typeof port !== 'number') throw new TypeError(`port must be a number, not ${typeof port}`);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new RangeError(`port ${port} is not between 1 and 65535`);
  }
}

function checkText(name: string, value: unknown): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, not ${typeof value}`);
  if (value === '' || value.includes('\0'))
    throw new TypeError(`${name} is empty or contains a NUL character`);
}

function checkOptionalText(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'string') {
    throw new TypeError(`${name} must be a string, not ${typeof value}`);
  }
}
