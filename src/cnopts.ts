/** Connection options that most users never need, as pysftp has them. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HostKeysError } from './errors.js';
import { checkLogger, type Logger, temporaryLogFile } from './log.js';
import { printable } from './printable.js';
import { expandHome } from './ssh/home-path.js';
import { HostKeys, type KnownHostEntry } from './ssh/known-hosts.js';
import type { PromptHandler } from './ssh/ssh2.js';

/** The fields of {@link CnOpts}; a plain object with them serves as well. */
export interface CnOptsFields {
  /** One known_hosts file or several; `~` is expanded. Default: `~/.ssh/known_hosts`. */
  readonly knownhosts?: string | readonly string[] | undefined;
  /** The keys to verify servers with; `null` switches the check off, which lets anybody pose as the server. */
  readonly hostkeys?: HostKeys | null | undefined;
  /** Pins the server's key: `SHA256:…`, as `ssh-keygen -l` prints it; known_hosts is not asked then. */
  readonly fingerprint?: string | readonly string[] | undefined;
  /** Compress what travels. Default: false. */
  readonly compression?: boolean | undefined;
  /** Ciphers to offer, best first. */
  readonly ciphers?: readonly string[] | undefined;
  /** Host key algorithms to offer, best first. */
  readonly hostKeyAlgorithms?: readonly string[] | undefined;
  /** Key exchange algorithms to offer, best first. */
  readonly kex?: readonly string[] | undefined;
  /** Message authentication codes to offer, best first. */
  readonly macs?: readonly string[] | undefined;
  /** Milliseconds between signs of life; 0: none. Default: 15,000. */
  readonly keepaliveInterval?: number | undefined;
  /** How many signs of life may go unanswered before the connection is given up. Default: 3. */
  readonly keepaliveCountMax?: number | undefined;
  /** Milliseconds for the whole of connecting. Default: 20,000. */
  readonly connectTimeout?: number | undefined;
  /** The socket of an SSH agent; `false`: no agent. Default: `$SSH_AUTH_SOCK` where no key or password is given. */
  readonly agent?: string | false | undefined;
  /** Answers the server's questions (keyboard-interactive). */
  readonly onPrompt?: PromptHandler | undefined;
  /**
   * Writes what happens to a file, to which lines are added: `true` for one with a temporary name, or its path (`~`
   * expanded). Passwords and keys are not written. Default: false.
   */
  readonly log?: boolean | string | undefined;
  /** Gets the same lines as the log file: `console`, or anything else with `debug`, `info`, `warn` and `error`. */
  readonly logger?: Logger | undefined;
}

/**
 * Where the keys of known servers are kept unless told otherwise: `~/.ssh/known_hosts`.
 *
 * @example
 * const cnopts = new CnOpts({ knownhosts: [knownHosts(), 'team/known_hosts'] });
 */
export function knownHosts(): string {
  return join(homedir(), '.ssh', 'known_hosts');
}

/**
 * Additional connection options, beyond what to log in with.
 *
 * @throws HostKeysError (`KNOWN_HOSTS_UNUSABLE`) where a file that was named is missing or holds no usable key.
 *
 * @example
 * const cnopts = new CnOpts({ knownhosts: 'path/to/known_hosts' });
 * cnopts.hostkeys?.load('more/known_hosts');
 * await using sftp = await connect('hostname', { username: 'me', password: 'secret', cnopts });
 */
export class CnOpts {
  hostkeys: HostKeys | null;
  fingerprint: string | readonly string[] | undefined;
  compression: boolean;
  ciphers: readonly string[] | undefined;
  hostKeyAlgorithms: readonly string[] | undefined;
  kex: readonly string[] | undefined;
  macs: readonly string[] | undefined;
  keepaliveInterval: number | undefined;
  keepaliveCountMax: number | undefined;
  connectTimeout: number | undefined;
  agent: string | false | undefined;
  onPrompt: PromptHandler | undefined;
  log: boolean | string;
  logger: Logger | undefined;
  /**
   * What went wrong with the default known_hosts, for the log.
   * @internal
   */
  readonly knownHostsProblem: string | undefined;
  #temporaryLogFile: string | undefined;

  constructor(fields: CnOptsFields = {}) {
    const known = fields.hostkeys === undefined ? loadKnownHosts(fields.knownhosts) : undefined;
    this.hostkeys = fields.hostkeys === undefined ? (known?.hostKeys ?? null) : fields.hostkeys;
    this.knownHostsProblem = known?.problem;
    this.fingerprint = fields.fingerprint;
    this.compression = fields.compression ?? false;
    this.ciphers = fields.ciphers;
    this.hostKeyAlgorithms = fields.hostKeyAlgorithms;
    this.kex = fields.kex;
    this.macs = fields.macs;
    this.keepaliveInterval = fields.keepaliveInterval;
    this.keepaliveCountMax = fields.keepaliveCountMax;
    this.connectTimeout = fields.connectTimeout;
    this.agent = fields.agent;
    this.onPrompt = fields.onPrompt;
    this.log = fields.log ?? false;
    this.logger = fields.logger;
  }

  /** The path of the log file, or `false` without one. With `log: true` the name is made when it is first asked for. */
  get logfile(): string | false {
    if (this.log === false || this.log === '') return false;
    if (this.log !== true) return expandHome(this.log);
    this.#temporaryLogFile ??= temporaryLogFile();
    return this.#temporaryLogFile;
  }

  /**
   * The key to verify a host with: the first that is known and not revoked. A host on another port than 22 is known
   * as `[host]:port`.
   *
   * @throws HostKeysError (`HOST_KEY_UNKNOWN`) where none is known.
   *
   * @example
   * cnopts.getHostkey('example.com').type;              // 'ssh-ed25519'
   * cnopts.getHostkey('[example.com]:2222').type;
   */
  getHostkey(host: string, port = 22): KnownHostEntry {
    if (typeof host !== 'string') throw new TypeError(`host must be a string, not ${typeof host}`);
    const [, name = host, named = port] = /^\[(.+)\]:(\d+)$/.exec(host) ?? [];
    const known = this.hostkeys?.lookup(name, Number(named)) ?? [];
    const isRevoked = (entry: KnownHostEntry) =>
      known.some(({ marker, key }) => marker === 'revoked' && key.equals(entry.key));
    const entry = known.find((one) => one.marker === undefined && !isRevoked(one));
    if (entry === undefined) {
      throw new HostKeysError('HOST_KEY_UNKNOWN', `No host key is known for ${printable(host, 300)}`);
    }
    return entry;
  }
}

/**
 * Fields may be assigned at any time, so they are looked at when they are used.
 *
 * @throws TypeError where a field is of a type that cannot be meant; above all nothing but `null` is "no check".
 */
export function checkCnOpts(cnopts: CnOpts): void {
  const { hostkeys, fingerprint, log, logger } = cnopts;
  if (hostkeys !== null && !(hostkeys instanceof HostKeys)) {
    throw new TypeError('hostkeys must be a HostKeys, or null for no check at all');
  }
  if (fingerprint !== undefined && ![fingerprint].flat().every((pin) => typeof pin === 'string')) {
    throw new TypeError("fingerprint must be a string 'SHA256:…', or several of them");
  }
  if (typeof log !== 'boolean' && typeof log !== 'string') {
    throw new TypeError(`log must be true, false or a path, not ${typeof log}`);
  }
  if (logger !== undefined) checkLogger(logger);
}

interface LoadedKnownHosts {
  readonly hostKeys: HostKeys;
  readonly problem?: string;
}

function loadKnownHosts(named: string | readonly string[] | undefined): LoadedKnownHosts {
  const hostKeys = new HostKeys();
  const files = named === undefined ? [] : [named].flat();
  for (const file of files) hostKeys.load(file);
  if (files.length > 0) return { hostKeys };
  try {
    return { hostKeys: hostKeys.load(knownHosts()) };
  } catch (error) {
    // Without the user's own file there is nothing to verify with, and connecting says what to do.
    if (error instanceof HostKeysError) return { hostKeys: new HostKeys(), problem: error.message };
    throw error;
  }
}
