/** Connection options that most users never need, as pysftp has them. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HostKeysError } from './errors.js';
import { checkLogger, type Logger, temporaryLogFile } from './log.js';
import { printable } from './printable.js';
import type { AgentKey } from './ssh/agent.js';
import type { AlgorithmPreset } from './ssh/algorithms.js';
import { expandHome } from './ssh/home-path.js';
import { HostKeys, type KnownHostEntry } from './ssh/known-hosts.js';
import type { HostKeyRules, HostKeyVerifier, PromptHandler } from './ssh/ssh2.js';

/**
 * A host to go through, with what it does not share with the server. Without `password` and `privateKey` it is logged
 * in to with the keys that there are for the server, never with its password.
 */
export interface JumpHost {
  /** A name, an address, or an alias of the configuration. */
  readonly host: string;
  /** Default: the configuration's, else 22. */
  readonly port?: number | undefined;
  /** Default: the configuration's, else the user of the operating system. */
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** A path, a key's text or bytes, or a key of an agent. */
  readonly privateKey?: string | Uint8Array | AgentKey | undefined;
  readonly privateKeyPass?: string | undefined;
  /** How its host key is verified, and which agent may log in. Default: as for the server, but for `fingerprint`. */
  readonly cnopts?:
    | Pick<
        CnOptsFields,
        'knownhosts' | 'hostkeys' | 'fingerprint' | 'hostKeyPolicy' | 'verifyHostKey' | 'algorithms' | 'agent'
      >
    | undefined;
}

/** The fields of {@link CnOpts}; a plain object with them serves as well. */
export interface CnOptsFields {
  /** One known_hosts file or several; `~` is expanded. Default: `~/.ssh/known_hosts`. */
  readonly knownhosts?: string | readonly string[] | undefined;
  /** The keys to verify servers with; `null` switches the check off, which lets anybody pose as the server. */
  readonly hostkeys?: HostKeys | null | undefined;
  /** Pins the server's key: `SHA256:…`, as `ssh-keygen -l` prints it; known_hosts is not asked then. */
  readonly fingerprint?: string | readonly string[] | undefined;
  /**
   * What happens to a server that is not known. `'strict'`, the default: it is refused. `'accept-new'`: its key is
   * added to the first known_hosts file, and a changed, revoked or differing key is refused as ever.
   */
  readonly hostKeyPolicy?: 'strict' | 'accept-new' | undefined;
  /**
   * Asked for every server's key that is not revoked or too weak, after known_hosts and pins have had their say
   * (`refusal`). Only `true`, or a promise of it, accepts; the time it takes does not count as connecting.
   */
  readonly verifyHostKey?: HostKeyVerifier | undefined;
  /** Compress what travels. Default: false. */
  readonly compression?: boolean | undefined;
  /**
   * `'modern'`, the default, or `'legacy'`, for servers that know nothing better: it adds SHA-1, CBC, groups of 1024
   * bits and RSA keys of 1024 bits. The lists below replace the preset's.
   */
  readonly algorithms?: AlgorithmPreset | undefined;
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
  /**
   * Milliseconds after which a connection is given up on which calls wait and not a byte arrives. Default: 60,000.
   * What a server may take its time for (`copy`, fsync) is left to the signs of life.
   */
  readonly noProgressTimeout?: number | undefined;
  /**
   * The socket of an SSH agent, on Windows a pipe or `pageant`; `false`: no agent. Default: `$SSH_AUTH_SOCK`, on
   * Windows OpenSSH's pipe, where no key or password is given.
   */
  readonly agent?: string | false | undefined;
  /** Answers questions: passphrases, passwords, one-time codes. The time it takes does not count as connecting. */
  readonly onPrompt?: PromptHandler | undefined;
  /**
   * Writes what happens to a file, to which lines are added: `true` for one with a temporary name, or its path (`~`
   * expanded). Passwords and keys are not written. Default: false.
   */
  readonly log?: boolean | string | undefined;
  /** Gets the same lines as the log file: `console`, or anything else with `debug`, `info`, `warn` and `error`. */
  readonly logger?: Logger | undefined;
  /** The subsystem that speaks SFTP. Default: `sftp`. */
  readonly subsystem?: string | undefined;
  /** A command that speaks SFTP, in place of a subsystem, for instance `sudo /usr/lib/openssh/sftp-server`. */
  readonly serverCommand?: string | undefined;
  /**
   * The ssh_config file, or several, to take settings of the host from; `true`: `~/.ssh/config` and the system's.
   * What is given here wins over it. Default: none; with `transport: 'openssh'` what ssh itself reads, and `false`
   * keeps it from that.
   */
  readonly config?: boolean | string | readonly string[] | undefined;
  /**
   * Hosts to go through, one after the other: `user@hop:port,hop2`, or a list of such or of {@link JumpHost}. Each is
   * verified and logged in to for itself; the server's `password` is for the server alone.
   */
  readonly proxyJump?: string | readonly (string | JumpHost)[] | undefined;
  /**
   * What speaks SSH: `'ssh2'`, the default, or `'openssh'`, the system's own `ssh`, which can do all that the user's
   * can: ProxyCommand, certificates, hardware keys, GSSAPI.
   */
  readonly transport?: 'ssh2' | 'openssh' | undefined;
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
  readonly knownhosts: readonly string[];
  hostkeys: HostKeys | null;
  /**
   * What was said of `hostKeyPolicy`, if anything: the ssh configuration may have its say otherwise.
   * @internal
   */
  givenHostKeyPolicy: 'strict' | 'accept-new' | undefined;
  verifyHostKey: HostKeyVerifier | undefined;
  algorithms: AlgorithmPreset;
  subsystem: string;
  serverCommand: string | undefined;
  config: boolean | string | readonly string[] | undefined;
  proxyJump: string | readonly (string | JumpHost)[] | undefined;
  transport: 'ssh2' | 'openssh';
  /**
   * Were no known hosts given, so that the user's own count?
   * @internal
   */
  readonly trustsDefaultHosts: boolean;
  fingerprint: string | readonly string[] | undefined;
  compression: boolean;
  ciphers: readonly string[] | undefined;
  hostKeyAlgorithms: readonly string[] | undefined;
  kex: readonly string[] | undefined;
  macs: readonly string[] | undefined;
  keepaliveInterval: number | undefined;
  keepaliveCountMax: number | undefined;
  connectTimeout: number | undefined;
  noProgressTimeout: number | undefined;
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
    this.givenHostKeyPolicy = fields.hostKeyPolicy;
    this.knownhosts = [fields.knownhosts ?? []].flat();
    const known = fields.hostkeys === undefined ? this.#loadKnownHosts() : undefined;
    this.hostkeys = fields.hostkeys === undefined ? (known?.hostKeys ?? null) : fields.hostkeys;
    this.knownHostsProblem = known?.problem;
    this.fingerprint = fields.fingerprint;
    this.verifyHostKey = fields.verifyHostKey;
    this.algorithms = fields.algorithms ?? 'modern';
    this.subsystem = fields.subsystem ?? 'sftp';
    this.serverCommand = fields.serverCommand;
    this.config = fields.config;
    this.proxyJump = fields.proxyJump;
    this.transport = fields.transport ?? 'ssh2';
    this.trustsDefaultHosts = fields.hostkeys === undefined && this.knownhosts.length === 0;
    this.compression = fields.compression ?? false;
    this.ciphers = fields.ciphers;
    this.hostKeyAlgorithms = fields.hostKeyAlgorithms;
    this.kex = fields.kex;
    this.macs = fields.macs;
    this.keepaliveInterval = fields.keepaliveInterval;
    this.keepaliveCountMax = fields.keepaliveCountMax;
    this.connectTimeout = fields.connectTimeout;
    this.noProgressTimeout = fields.noProgressTimeout;
    this.agent = fields.agent;
    this.onPrompt = fields.onPrompt;
    this.log = fields.log ?? false;
    this.logger = fields.logger;
  }

  get hostKeyPolicy(): 'strict' | 'accept-new' {
    return this.givenHostKeyPolicy ?? 'strict';
  }

  set hostKeyPolicy(policy: 'strict' | 'accept-new') {
    this.givenHostKeyPolicy = policy;
  }

  /**
   * Where new hosts are added.
   * @internal
   */
  get knownHostsFile(): string {
    return this.knownhosts[0] ?? this.hostkeys?.files[0] ?? knownHosts();
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

  /**
   * What decides on a server's key.
   * @internal
   */
  hostKeyRules(): HostKeyRules {
    const { hostkeys, fingerprint, hostKeyPolicy } = this;
    return {
      keys: hostkeys,
      pins: fingerprint === undefined ? undefined : [fingerprint].flat(),
      verify: this.verifyHostKey,
      acceptNewIn: hostKeyPolicy === 'accept-new' ? this.knownHostsFile : undefined,
    };
  }

  #loadKnownHosts(): LoadedKnownHosts {
    const hostKeys = new HostKeys();
    const named = this.knownhosts.length > 0;
    let problem: string | undefined;
    for (const file of named ? this.knownhosts : [knownHosts()]) {
      try {
        hostKeys.load(file);
      } catch (error) {
        // Where a new host will be added, the file need not be there. And without the user's own file there is
        // nothing to verify with: connecting says what to do.
        const isNew = this.hostKeyPolicy === 'accept-new';
        if (!(error instanceof HostKeysError) || (named && !isNew)) throw error;
        if (!isNew) problem = error.message;
      }
    }
    return { hostKeys, problem };
  }
}

/**
 * Fields may be assigned at any time, so they are looked at when they are used.
 *
 * @throws TypeError where a field is of a type that cannot be meant; above all nothing but `null` is "no check".
 */
export function checkCnOpts(cnopts: CnOpts): void {
  const { hostkeys, fingerprint, log, logger, subsystem, serverCommand, verifyHostKey } = cnopts;
  checkOneOf('transport', cnopts.transport, ['ssh2', 'openssh']);
  checkOneOf('hostKeyPolicy', cnopts.hostKeyPolicy, ['strict', 'accept-new']);
  checkOneOf('algorithms', cnopts.algorithms, ['modern', 'legacy']);
  if (hostkeys !== null && !(hostkeys instanceof HostKeys)) {
    throw new TypeError('hostkeys must be a HostKeys, or null for no check at all');
  }
  // A pin that is none would refuse every server, and its user would look for the fault there.
  if (fingerprint !== undefined && ![fingerprint].flat().every(isFingerprint)) {
    throw new TypeError("fingerprint must be a string 'SHA256:…', or several of them");
  }
  if (verifyHostKey !== undefined && typeof verifyHostKey !== 'function') {
    throw new TypeError(`verifyHostKey must be a function, not ${typeof verifyHostKey}`);
  }
  for (const [name, text] of Object.entries({ subsystem, serverCommand })) {
    if (text !== undefined && (typeof text !== 'string' || text === '' || text.includes('\0'))) {
      throw new TypeError(`${name} must be a string that is not empty, without NUL`);
    }
  }
  if (typeof log !== 'boolean' && typeof log !== 'string') {
    throw new TypeError(`log must be true, false or a path, not ${typeof log}`);
  }
  if (logger !== undefined) checkLogger(logger);
  checkDurations(cnopts);
}

const DURATIONS = ['keepaliveInterval', 'connectTimeout', 'noProgressTimeout'] as const;

function checkDurations(cnopts: CnOpts): void {
  for (const name of DURATIONS) {
    const value: unknown = cnopts[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`);
    if (!(value >= 0)) throw new RangeError(`${name} ${value} is no number of milliseconds`);
  }
}

interface LoadedKnownHosts {
  readonly hostKeys: HostKeys;
  readonly problem: string | undefined;
}

function checkOneOf(name: string, value: unknown, allowed: readonly string[]): void {
  if (!allowed.some((one) => one === value)) throw new TypeError(`${name} must be ${allowed.join(' or ')}`);
}

function isFingerprint(pin: unknown): boolean {
  return typeof pin === 'string' && /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(pin);
}
