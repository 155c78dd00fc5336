/** What `connect` takes, its three forms made one. */
import type { Reconnecting } from '../connection/reconnect/link.js';
import { checkOptions, type OptionTable } from '../shared/option-checks.js';
import { printable } from '../shared/printable.js';
import { type RetryOptions, retryPolicy } from '../shared/retry.js';
import { resolveSshConfig, type SshConfig } from '../ssh/config/ssh-config.js';
import type { AgentKey } from '../ssh/credentials/agent.js';
import { userName } from '../ssh/home-path.js';
import { checkHost, checkPort } from '../ssh/host-name.js';
import { resolveSpeed, SPEED_OPTIONS, type SpeedOptions } from '../transfer/engine/speed.js';
import { CnOpts } from './cnopts.js';
import { checkCnOpts } from './cnopts-check.js';
import {
  CNOPTS_FIELDS,
  type CnOptsFields,
  FOREIGN_OPTIONS,
  gatherFields,
  JUMP_HOST_OPTIONS,
} from './cnopts-fields.js';
import { checkSocket, type SocketSource } from './given-socket.js';

/** Options of {@link connect}. */
export interface ConnectOptions extends SpeedOptions, CnOptsFields {
  /** Who logs in. Default: `$LOGNAME`, else the user of the operating system. */
  readonly username?: string | undefined;
  /** Tried after the keys; `''` is a password. */
  readonly password?: string | undefined;
  /**
   * A private key: a path (`~` expanded), the key's text (also with `\n` written out, or base64 of the file), or its
   * bytes; RSA, ECDSA or Ed25519. Or a key of an agent,
   * from `listAgentKeys()`.
   */
  readonly privateKey?: string | Uint8Array | AgentKey | undefined;
  /** The passphrase of an encrypted `privateKey`. */
  readonly privateKeyPass?: string | undefined;
  /** Default: 22. */
  readonly port?: number | undefined;
  /**
   * What is spoken over in place of a TCP connection to host and port, which then only name the server for its host key
   * and in messages: a Duplex, or a function that makes one each time the connection is made, for SOCKS and HTTP proxies
   * and tunnels. With `proxyJump` it leads to the first of the hops. It is destroyed when connecting fails and when the
   * connection ends. With `retry` it must be a function.
   *
   * @example
   * import { SocksClient } from 'socks';
   *
   * const proxy = { host: 'proxy.example.org', port: 1080, type: 5 } as const;
   * const destination = { host: 'sftp.example.org', port: 22 };
   * await using sftp = await connect(destination.host, {
   *   username: 'me',
   *   socket: async () => (await SocksClient.createConnection({ proxy, destination, command: 'connect' })).socket,
   * });
   */
  readonly socket?: SocketSource | undefined;
  /** The remote directory to begin in. */
  readonly defaultPath?: string | undefined;
  /** As pysftp has it: the fields of {@link CnOptsFields} together. Each may as well be an option of its own, but not both. */
  readonly cnopts?: CnOpts | CnOptsFields | undefined;
  /** Gives up connecting, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Makes a connection again that cannot be made or is lost, with the same host key. Transfers then go on from
   * where they were; any other call that was under way rejects and is not repeated, and the next one finds the
   * reconnection. Default: a connection that is lost stays lost.
   */
  readonly retry?: RetryOptions | false | undefined;
  /**
   * With `retry`: called before each attempt to reconnect, with its number, the milliseconds until it is made, and the
   * reason. The client reconnects when something is asked of it after a loss. What the function throws is logged.
   *
   * @example
   * onReconnecting: ({ attempt, delay, error }) => console.warn(`attempt ${attempt} in ${delay} ms: ${error.message}`)
   */
  readonly onReconnecting?: ((coming: Reconnecting) => void) | undefined;
  /** With `retry`: called when the client has reconnected. What the function throws is logged. */
  readonly onReconnected?: (() => void) | undefined;
}

/** {@link ConnectOptions} with the host among them. */
export interface HostOptions extends ConnectOptions {
  readonly host: string;
}

export const HOST_OPTIONS: OptionTable<HostOptions> = {
  ...JUMP_HOST_OPTIONS,
  ...SPEED_OPTIONS,
  ...CNOPTS_FIELDS,
  defaultPath: 'checked',
  socket: 'checked',
  signal: 'signal',
  retry: 'checked',
  onReconnecting: 'function',
  onReconnected: 'function',
};

/** Everything known, nothing left to guess. */
export interface ResolvedOptions extends Omit<ConnectOptions, keyof CnOptsFields> {
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
 * @throws TypeError | RangeError if an option is invalid.
 * @throws HostKeysError where a known_hosts file that was named cannot be used.
 */
export function resolveOptions(target: string | HostOptions, options: ConnectOptions = {}): ResolvedOptions {
  const given = typeof target === 'string' ? fromText(target, options) : { ...target, ...options };
  checkOptions(given, HOST_OPTIONS, { of: 'connect', elsewhere: FOREIGN_OPTIONS });
  const allCnopts = gatherCnOpts(given);
  checkCnOpts(allCnopts);
  checkHost(given.host);
  const config = readConfig(given, allCnopts);
  const host = config?.hostName ?? given.host;
  const port = given.port ?? config?.port ?? 22;
  const username = given.username ?? config?.user ?? defaultUsername();
  checkHost(host);
  checkPort(port);
  checkSocket(given.socket, { isRetried: retryPolicy(given.retry) !== undefined });
  if (given.socket !== undefined && allCnopts.proxyCommand !== undefined) {
    throw new TypeError('proxyCommand and socket are two ways to one server: give one of them');
  }
  resolveSpeed(given);
  checkText('username', username);
  checkOptionalText('password', given.password);
  checkOptionalText('privateKeyPass', given.privateKeyPass);
  checkOptionalText('defaultPath', given.defaultPath);
  const asked = { host: given.host, port: given.port, username: given.username };
  return { ...given, host, port, username, cnopts: allCnopts, given: asked, config };
}

/** The settings that have been given as options of their own, together with those of `cnopts`. */
function gatherCnOpts({ cnopts, ...options }: HostOptions): CnOpts {
  const names = Object.keys(CNOPTS_FIELDS) as (keyof CnOptsFields)[];
  if (!(cnopts instanceof CnOpts)) return new CnOpts(gatherFields(options, cnopts, names));
  const own = names.find((name) => options[name] !== undefined);
  if (own !== undefined) {
    throw new TypeError(`${own} is an option beside a CnOpts object: set it as a field of that object`);
  }
  return cnopts;
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
  const [address, zone] = takeZone(target);
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    // Node's own error shows the whole address, which may hold a password.
    throw new TypeError('The address is not a valid URL: write sftp://user@host:port/directory');
  }
  if (url.protocol !== 'sftp:' && url.protocol !== 'ssh:') {
    throw new TypeError(`The address begins with ${printable(url.protocol)}//; it must begin with sftp://`);
  }
  return {
    ...optional('username', decodeComponent('user', url.username)),
    ...optional('password', decodeComponent('password', url.password)),
    ...optional('defaultPath', url.pathname === '/' ? '' : decodeComponent('directory', url.pathname)),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    ...withoutUndefined(options),
    // Node keeps the brackets of an IPv6 address.
    host: decodeComponent('host', url.hostname).replace(/^\[(.*)\]$/, '$1') + zone,
  };
}

/** The zone of an address as `[fe80::1%25eth0]` (RFC 6874), which no URL of Node's can have. */
function takeZone(address: string): readonly [string, string] {
  const match = /^([a-z]+:\/\/[^/[\]]*\[[\da-f:.]+)%(?:25)?([^\]/]+)(\].*)$/is.exec(address);
  if (match === null) return [address, ''];
  const [, before = '', zone = '', after = ''] = match;
  return [before + after, `%${decodeComponent('zone', zone)}`];
}

function decodeComponent(what: string, text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new TypeError(`The ${what} in the address is not percent-encoded: write %25 for a percent sign`);
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
  return process.env.LOGNAME || userName();
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
