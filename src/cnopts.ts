/** Connection options that most users never need, as pysftp has them. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { CnOptsFields, JumpHost } from './cnopts-fields.js';
import { HostKeysError } from './errors.js';
import { type Logger, temporaryLogFile } from './log.js';
import { printable } from './printable.js';
import type { AlgorithmPreset } from './ssh/algorithms.js';
import { expandHome } from './ssh/home-path.js';
import { HostKeys, type KnownHostEntry } from './ssh/known-hosts.js';
import type { HostKeyRules, HostKeyVerifier, PromptHandler } from './ssh/ssh2.js';
import { isUnfit } from './ssh/text-file.js';

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
        if (!(error instanceof HostKeysError) || (named && !isNew) || isUnfit(error.cause)) throw error;
        if (!isNew) problem = error.message;
      }
    }
    return { hostKeys, problem };
  }
}

interface LoadedKnownHosts {
  readonly hostKeys: HostKeys;
  readonly problem: string | undefined;
}
