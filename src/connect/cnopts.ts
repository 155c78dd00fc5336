/** Connection options that most users never need, as pysftp has them. */

import { HostKeysError } from '../errors.js';
import { checkOptions } from '../shared/option-checks.js';
import { printable } from '../shared/printable.js';
import type { AlgorithmList, AlgorithmPreset } from '../ssh/algorithms.js';
import type { LoginMethod } from '../ssh/credentials/login-methods.js';
import type { PromptHandler } from '../ssh/credentials/prompts.js';
import { expandHome, homeDirectory } from '../ssh/home-path.js';
import type { HostKeyRules, HostKeyVerifier } from '../ssh/host-keys/host-key.js';
import { HostKeys, type KnownHostEntry } from '../ssh/host-keys/known-hosts.js';
import { defaultKnownHosts } from '../ssh/host-keys/known-hosts-file.js';
import { isUnfit } from '../ssh/text-file.js';
import {
  CNOPTS_FIELDS,
  type CnOptsFields,
  FOREIGN_OPTIONS,
  type JumpHost,
  withoutAliases,
} from './cnopts-fields.js';
import { type LogFunction, type Logger, temporaryLogFile } from './log.js';

/**
 * Where the keys of known servers are kept unless told otherwise, and new ones added: `~/.ssh/known_hosts`.
 *
 * @example
 * const cnopts = new CnOpts({ knownhosts: [knownHosts(), 'team/known_hosts'] });
 */
export function knownHosts(): string {
  const [first = '~/.ssh/known_hosts'] = defaultKnownHosts().user;
  return first;
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
  proxyCommand: string | undefined;
  family: 4 | 6 | undefined;
  localAddress: string | undefined;
  authMethods: readonly LoginMethod[] | undefined;
  transport: 'ssh2' | 'openssh';
  fingerprint: string | readonly string[] | undefined;
  compression: boolean;
  ciphers: AlgorithmList | undefined;
  hostKeyAlgorithms: AlgorithmList | undefined;
  kex: AlgorithmList | undefined;
  macs: AlgorithmList | undefined;
  keepaliveInterval: number | undefined;
  keepaliveCountMax: number | undefined;
  connectTimeout: number | undefined;
  callTimeout: number | undefined;
  noProgressTimeout: number | undefined;
  agent: string | false | undefined;
  identityFiles: readonly string[] | false | undefined;
  onPrompt: PromptHandler | undefined;
  log: boolean | string;
  logger: Logger | LogFunction | undefined;
  /**
   * What went wrong with the default known_hosts, for the log.
   * @internal
   */
  readonly knownHostsProblem: string | undefined;
  /** What was read by default, as long as it was not replaced. */
  readonly #defaults: { readonly keys: HostKeys; readonly size: number } | undefined;
  #temporaryLogFile: string | undefined;

  constructor(given: CnOptsFields = {}) {
    checkOptions(given, CNOPTS_FIELDS, { of: 'CnOpts', elsewhere: FOREIGN_OPTIONS });
    const fields = withoutAliases(given);
    this.givenHostKeyPolicy = fields.hostKeyPolicy;
    this.knownhosts = [fields.knownhosts ?? []].flat();
    const known = fields.hostkeys === undefined ? this.#loadKnownHosts() : undefined;
    this.hostkeys = fields.hostkeys === undefined ? (known?.hostKeys ?? null) : fields.hostkeys;
    this.knownHostsProblem = known?.problem;
    if (known !== undefined && this.knownhosts.length === 0) {
      this.#defaults = { keys: known.hostKeys, size: known.hostKeys.size };
    }
    this.fingerprint = fields.fingerprint;
    this.verifyHostKey = fields.verifyHostKey;
    this.algorithms = fields.algorithms ?? 'modern';
    this.subsystem = fields.subsystem ?? 'sftp';
    this.serverCommand = fields.serverCommand;
    this.config = fields.config;
    this.proxyJump = fields.proxyJump;
    this.proxyCommand = fields.proxyCommand;
    this.family = fields.family;
    this.localAddress = fields.localAddress;
    this.authMethods = fields.authMethods;
    this.transport = fields.transport ?? 'ssh2';
    this.compression = fields.compression ?? false;
    this.ciphers = fields.ciphers;
    this.hostKeyAlgorithms = fields.hostKeyAlgorithms;
    this.kex = fields.kex;
    this.macs = fields.macs;
    this.keepaliveInterval = fields.keepaliveInterval;
    this.keepaliveCountMax = fields.keepaliveCountMax;
    this.connectTimeout = fields.connectTimeout;
    this.callTimeout = fields.callTimeout;
    this.noProgressTimeout = fields.noProgressTimeout;
    this.agent = fields.agent;
    this.identityFiles = fields.identityFiles;
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
   * Were no known hosts given, so that the user's and the system's own count?
   * @internal
   */
  get trustsDefaultHosts(): boolean {
    return this.#defaults !== undefined && this.hostkeys === this.#defaults.keys;
  }

  /**
   * The keys that the program has given: all there are, or what it has added to the default ones.
   * @internal
   */
  get ownHostKeys(): HostKeys | null {
    const { hostkeys } = this;
    if (hostkeys === null || !this.trustsDefaultHosts) return hostkeys;
    return new HostKeys().include(hostkeys, this.#defaults?.size);
  }

  /**
   * Where new hosts are added.
   * @internal
   */
  get knownHostsFile(): string {
    return (
      this.knownhosts[0] ?? (this.trustsDefaultHosts ? undefined : this.hostkeys?.files[0]) ?? knownHosts()
    );
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
    const acceptNewIn = hostKeyPolicy === 'accept-new' ? this.knownHostsFile : undefined;
    // A home that is not there is told before anything is sent.
    if (acceptNewIn !== undefined) expandHome(acceptNewIn);
    return {
      keys: hostkeys,
      pins: fingerprint === undefined ? undefined : [fingerprint].flat(),
      verify: this.verifyHostKey,
      acceptNewIn,
      file: this.trustsDefaultHosts ? this.knownHostsFile : undefined,
    };
  }

  #loadKnownHosts(): LoadedKnownHosts {
    const hostKeys = new HostKeys();
    const named = this.knownhosts.length > 0;
    let problem =
      named || homeDirectory() !== undefined
        ? undefined
        : 'This user has no home directory, and so no known_hosts file: give knownhosts or a fingerprint';
    const { user, global } = defaultKnownHosts();
    for (const file of named ? this.knownhosts : [...user, ...global]) {
      try {
        hostKeys.load(file);
      } catch (error) {
        // Where a new host will be added, the file need not be there. And without the user's own file there is
        // nothing to verify with: connecting says what to do.
        const isNew = this.hostKeyPolicy === 'accept-new' && isEmptyOrMissing(error as HostKeysError);
        if (!(error instanceof HostKeysError) || (named && !isNew) || isUnfit(error.cause)) throw error;
        if (!isNew && file === user[0]) problem = error.message;
      }
    }
    return { hostKeys, problem };
  }
}

function isEmptyOrMissing({ cause }: HostKeysError): boolean {
  return cause === undefined || (cause as NodeJS.ErrnoException).code === 'ENOENT';
}

interface LoadedKnownHosts {
  readonly hostKeys: HostKeys;
  readonly problem: string | undefined;
}
