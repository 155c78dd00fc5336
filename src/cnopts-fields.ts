/** What may be said about a connection that most users never need to say, and about a host on the way. */
import type { Logger } from './log.js';
import type { AgentKey } from './ssh/agent.js';
import type { AlgorithmPreset } from './ssh/algorithms.js';
import type { HostKeys } from './ssh/known-hosts.js';
import type { HostKeyVerifier, PromptHandler } from './ssh/ssh2.js';

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
