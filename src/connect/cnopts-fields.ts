/** What may be said about a connection that most users never need to say, and about a host on the way. */

import type { OptionTable } from '../shared/option-checks.js';
import type { AlgorithmList, AlgorithmPreset } from '../ssh/algorithms.js';
import type { AgentKey } from '../ssh/credentials/agent.js';
import type { LoginMethod } from '../ssh/credentials/login-methods.js';
import type { PromptHandler } from '../ssh/credentials/prompts.js';
import type { HostKeyVerifier } from '../ssh/host-keys/host-key.js';
import type { HostKeys } from '../ssh/host-keys/known-hosts.js';
import type { LogFunction, Logger } from './log.js';

/**
 * A host to go through, with what it does not share with the server. Without `password` and `privateKey` it is logged
 * in to with the keys that there are for the server, never with its password.
 */
export interface JumpHost extends HopFields {
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
  /** How its host key is verified, and which agent may log in; each may as well be given beside it. Default: as for the server, but for `fingerprint`. */
  readonly cnopts?: HopFields | undefined;
}

/** pysftp's names, written as TypeScript writes names. Both at once are a TypeError. */
interface Aliases {
  /** The same as `knownhosts`. */
  readonly knownHosts?: string | readonly string[] | undefined;
  /** The same as `hostkeys`. */
  readonly hostKeys?: HostKeys | null | undefined;
}

/** The fields of a host on the way that may differ from those of the server. */
type HopFields = Pick<
  CnOptsFields,
  | keyof Aliases
  | 'knownhosts'
  | 'hostkeys'
  | 'fingerprint'
  | 'hostKeyPolicy'
  | 'verifyHostKey'
  | 'algorithms'
  | 'agent'
>;

/** The fields of {@link CnOpts}; a plain object with them serves as well. */
export interface CnOptsFields extends Aliases {
  /**
   * One known_hosts file or several; `~` is expanded. Default: the four that ssh reads, `~/.ssh/known_hosts` and
   * `known_hosts2`, `/etc/ssh/ssh_known_hosts` and `ssh_known_hosts2`.
   */
  readonly knownhosts?: string | readonly string[] | undefined;
  /** The keys to verify servers with; `null` switches the check off, which lets anybody pose as the server. */
  readonly hostkeys?: HostKeys | null | undefined;
  /**
   * Pins the server's key: `SHA256:…`, as `ssh-keygen -l` prints it. It decides in place of known_hosts, under every
   * policy; a key that known_hosts revokes stays revoked.
   */
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
   * bits and RSA keys of 1024 bits. The lists below replace the preset's, or change it with `append`, `prepend` and `remove`.
   */
  readonly algorithms?: AlgorithmPreset | undefined;
  /** Ciphers to offer, best first, or changes of the preset's: `{ append: ['aes256-cbc'] }`. */
  readonly ciphers?: AlgorithmList | undefined;
  /** Host key algorithms to offer, best first. */
  readonly hostKeyAlgorithms?: AlgorithmList | undefined;
  /** Key exchange algorithms to offer, best first. */
  readonly kex?: AlgorithmList | undefined;
  /** Message authentication codes to offer, best first. */
  readonly macs?: AlgorithmList | undefined;
  /** Milliseconds between keepalive messages; 0: none. Default: 15,000. */
  readonly keepaliveInterval?: number | undefined;
  /** How many keepalive messages may stay unanswered before the connection is closed. Default: 3. */
  readonly keepaliveCountMax?: number | undefined;
  /**
   * Milliseconds for the whole of connecting, jump hosts and the start of SFTP included, each time it is tried; questions
   * to people do not count. Default: the configuration's `ConnectTimeout`, else 20,000.
   */
  readonly connectTimeout?: number | undefined;
  /**
   * Milliseconds that the server may take for each answer to a call, unless the call has its own `timeout`; it rejects with
   * a `TimeoutError` then. `sftp.timeout` is the same, for later. Default: no limit but `noProgressTimeout`.
   */
  readonly callTimeout?: number | undefined;
  /**
   * Milliseconds after which a connection is given up on which calls wait and not a byte arrives. Default: 60,000.
   * Requests that a server may need long for (`copy`, fsync) rely on the keepalive messages instead. If other calls are
   * answered, a call without an answer for this time rejects with a `TimeoutError`.
   */
  readonly noProgressTimeout?: number | undefined;
  /**
   * The socket of an SSH agent, on Windows a pipe or `pageant`; `false`: no agent. Default: `$SSH_AUTH_SOCK`, on
   * Windows OpenSSH's pipe, where no key or password is given.
   */
  readonly agent?: string | false | undefined;
  /**
   * The private keys that are tried where no key and no password is given (`~` expanded), or `false` for none. Default:
   * those of the configuration, else `~/.ssh/id_ed25519`, `id_ecdsa` and `id_rsa`. Not with `transport: 'openssh'`.
   */
  readonly identityFiles?: readonly string[] | false | undefined;
  /** Answers questions: passphrases, passwords, one-time codes. The time it takes does not count as connecting. */
  readonly onPrompt?: PromptHandler | undefined;
  /**
   * Writes what happens to a file, to which lines are added: `true` for one with a temporary name, or its path (`~`
   * expanded). Passwords and keys are not written. Default: false.
   */
  readonly log?: boolean | string | undefined;
  /**
   * Gets the same lines as the log file: `console`, or anything else with `debug`, `info`, `warn` and `error`; or a function
   * `(level, message) => void`.
   */
  readonly logger?: Logger | LogFunction | undefined;
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
   * A command whose input and output lead to the server, in place of TCP. The user's shell runs it as ssh runs a
   * ProxyCommand, with `%h`, `%p`, `%r` and the other tokens replaced. It is ended with the connection; what it writes to
   * stderr is in the error if it fails. Never run a command that others may have written. Not with `proxyJump`, `socket` or
   * `transport: 'openssh'`, where ssh reads its own configuration.
   *
   * @example
   * await using sftp = await connect('inner', { username: 'me', proxyCommand: 'ssh -W %h:%p gateway' });
   */
  readonly proxyCommand?: string | undefined;
  /** 4 or 6: only addresses of IPv4 or IPv6 are used. Default: both, whichever answers first. */
  readonly family?: 4 | 6 | undefined;
  /** The address of this machine to connect from. */
  readonly localAddress?: string | undefined;
  /**
   * The login methods that may be used, in this order: `publickey`, `keyboard-interactive`, `password`. A method that is
   * left out is never tried. Default: all three, in this order.
   */
  readonly authMethods?: readonly LoginMethod[] | undefined;
  /**
   * What speaks SSH: `'ssh2'`, the default, or `'openssh'`, the system's own `ssh`, which can do all that the user's
   * can: ProxyCommand, certificates, hardware keys, GSSAPI.
   */
  readonly transport?: 'ssh2' | 'openssh' | undefined;
}

const ALIASES: Readonly<Record<keyof Aliases, 'knownhosts' | 'hostkeys'>> = {
  knownHosts: 'knownhosts',
  hostKeys: 'hostkeys',
};

/** @throws TypeError a setting has been given under both of its names */
export function withoutAliases<F extends Pick<CnOptsFields, keyof Aliases | 'knownhosts' | 'hostkeys'>>(
  fields: F,
): F {
  const { knownHosts, hostKeys, ...rest } = fields;
  const named = { knownHosts, hostKeys };
  for (const alias of Object.keys(named) as (keyof Aliases)[]) {
    if (named[alias] === undefined || fields[ALIASES[alias]] === undefined) continue;
    throw new TypeError(`${alias} and ${ALIASES[alias]} are the same option: give one of them`);
  }
  return {
    ...rest,
    ...(knownHosts !== undefined && { knownhosts: knownHosts }),
    ...(hostKeys !== undefined && { hostkeys: hostKeys }),
  } as F;
}

export const HOP_FIELDS: OptionTable<HopFields> = {
  knownHosts: 'checked',
  hostKeys: 'checked',
  knownhosts: 'checked',
  hostkeys: 'checked',
  fingerprint: 'checked',
  hostKeyPolicy: 'checked',
  verifyHostKey: 'checked',
  algorithms: 'checked',
  agent: 'checked',
};

/** Their values are looked at when they are used, since a {@link CnOpts} may be changed after it was made. */
export const CNOPTS_FIELDS: OptionTable<CnOptsFields> = {
  ...HOP_FIELDS,
  compression: 'checked',
  ciphers: 'checked',
  hostKeyAlgorithms: 'checked',
  kex: 'checked',
  macs: 'checked',
  keepaliveInterval: 'checked',
  keepaliveCountMax: 'checked',
  connectTimeout: 'checked',
  callTimeout: 'checked',
  noProgressTimeout: 'checked',
  identityFiles: 'checked',
  onPrompt: 'checked',
  log: 'checked',
  logger: 'checked',
  subsystem: 'checked',
  serverCommand: 'checked',
  config: 'checked',
  proxyJump: 'checked',
  proxyCommand: 'checked',
  family: 'checked',
  localAddress: 'checked',
  authMethods: 'checked',
  transport: 'checked',
};

export const JUMP_HOST_OPTIONS: OptionTable<JumpHost> = {
  ...HOP_FIELDS,
  host: 'checked',
  port: 'checked',
  username: 'checked',
  password: 'checked',
  privateKey: 'checked',
  privateKeyPass: 'checked',
  cnopts: 'checked',
};

/** What options of other packages are called here. */
export const FOREIGN_OPTIONS: Readonly<Record<string, string>> = {
  hostVerifier: 'use verifyHostKey, which gets the key and what known_hosts says of it',
  hostHash: 'fingerprint takes SHA256:…, as ssh-keygen -l prints it',
  sock: 'use socket, a Duplex or a function that makes one; to go through another host use proxyJump',
  passphrase: 'use privateKeyPass',
  private_key: 'use privateKey',
  private_key_pass: 'use privateKeyPass',
  keyFile: 'use privateKey, which may be a path',
  user: 'use username',
  pass: 'use password',
  timeout: 'use connectTimeout for connecting, or callTimeout for each answer of the server',
  readyTimeout: 'use connectTimeout, in milliseconds',
  authHandler: "use authMethods: ['publickey', 'password'], or onPrompt for questions",
  tryKeyboard: 'a password answers such a prompt by itself; use onPrompt for other questions',
  agentForward: 'an agent is never forwarded',
  debug: 'use logger or log',
  compress: 'use compression',
  serverHostKey: 'use hostKeyAlgorithms',
  cipher: 'use ciphers',
  hmac: 'use macs',
  retries: 'use retry: { attempts }',
  retry_factor: 'use retry: { factor }',
  retry_minTimeout: 'use retry: { delay }, in milliseconds',
  promiseLimit: 'use concurrency',
  strictVendor: 'it has no counterpart',
  default_path: 'use defaultPath',
  forceIPv4: 'use family: 4',
  forceIPv6: 'use family: 6',
  ProxyCommand: 'use proxyCommand',
};

/** The settings that have been given as options of their own, together with those of `cnopts`; never in both places. */
export function gatherFields<K extends keyof CnOptsFields>(
  options: Pick<CnOptsFields, K>,
  cnopts: Pick<CnOptsFields, K> | undefined,
  names: readonly K[],
): Pick<CnOptsFields, K> {
  const own = withoutAliases(chosen(options, names));
  const others = withoutAliases(cnopts ?? ({} as Pick<CnOptsFields, K>));
  const twice = names.find((name) => own[name] !== undefined && others[name] !== undefined);
  if (twice !== undefined) {
    throw new TypeError(
      `${twice} is given twice, as an option and in cnopts: set it in one of the two places`,
    );
  }
  return { ...others, ...own };
}

function chosen<K extends keyof CnOptsFields>(
  options: Pick<CnOptsFields, K>,
  names: readonly K[],
): Pick<CnOptsFields, K> {
  const given = names.filter((name) => options[name] !== undefined);
  return Object.fromEntries(given.map((name) => [name, options[name]])) as Pick<CnOptsFields, K>;
}
