/** Connection options that most users never need, as pysftp has them. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HostKeysError } from './errors.js';
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
}

/** `~/.ssh/known_hosts`. */
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

  constructor(fields: CnOptsFields = {}) {
    this.hostkeys = fields.hostkeys === undefined ? loadKnownHosts(fields.knownhosts) : fields.hostkeys;
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
  }

  /**
   * The first known key of a host, as pysftp gives it.
   *
   * @throws HostKeysError (`HOST_KEY_UNKNOWN`) where none is known.
   */
  getHostkey(host: string, port = 22): KnownHostEntry {
    const entry = this.hostkeys?.lookup(host, port).find(({ marker }) => marker === undefined);
    if (entry === undefined) throw new HostKeysError('HOST_KEY_UNKNOWN', `No host key is known for ${host}`);
    return entry;
  }
}

function loadKnownHosts(named: string | readonly string[] | undefined): HostKeys {
  const hostKeys = new HostKeys();
  const files = named === undefined ? [] : [named].flat();
  for (const file of files) hostKeys.load(file);
  if (files.length > 0) return hostKeys;
  try {
    return hostKeys.load(knownHosts());
  } catch (error) {
    // Without the user's own file there is nothing to verify with, and connecting says what to do.
    if (error instanceof HostKeysError) return new HostKeys();
    throw error;
  }
}
