/**
 * Connects with the system's own ssh, so that everything that it can do works: its configuration with ProxyCommand
 * and ProxyJump, certificates, hardware keys, GSSAPI, key exchange that quantum computers do not break. One process
 * holds the connection and runs `ssh -s sftp`; further channels share it.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AlgorithmOptions } from './algorithms.js';
import { type ChannelRequest, optionArguments, targetArguments } from './openssh-arguments.js';
import { OpensshAttempt } from './openssh-attempt.js';
import type { TrustOptions } from './openssh-host-key.js';
import { isPath, type KeyOptions } from './openssh-key.js';
import type { SshConnection } from './ssh-connection.js';

export interface OpensshOptions extends KeyOptions, TrustOptions {
  /** A host name, an address, or an alias of the configuration. */
  readonly host: string;
  /** Default: the configuration's, else 22. */
  readonly port?: number | undefined;
  /** Default: the configuration's, else the user of the operating system. */
  readonly username?: string | undefined;
  /** `true`: the user's and the system's, as ssh does by itself; else files, or `false` for none. Default: `true`. */
  readonly config?: boolean | string | readonly string[] | undefined;
  readonly password?: string | undefined;
  readonly agent?: string | false | undefined;
  readonly proxyJump?: string | undefined;
  readonly algorithms?: AlgorithmOptions | undefined;
  /** For the whole of connecting, in ms. Default 20,000. */
  readonly connectTimeout?: number | undefined;
  readonly keepaliveInterval?: number | undefined;
  readonly keepaliveCountMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** What the first channel runs; default: the subsystem `sftp`. */
  readonly request?: ChannelRequest | undefined;
  /** The program; default: `ssh`, from the search path. */
  readonly program?: string | undefined;
  /** Gets ssh's own log, line by line; no secret is in it. */
  readonly debug?: ((line: string) => void) | undefined;
}

/**
 * Resolves once ssh has verified the server's key, logged in and started the first channel.
 *
 * Rejects with `ConnectionError`, `HostKeysError`, `AuthenticationError`, `CredentialError`, `SshError`
 * (`SSH_NOT_FOUND`, `NEGOTIATION_FAILED`, `CONFIG_INVALID`, `CHANNEL_REFUSED`, `SSH_FAILED` …), with the signal's
 * reason, or with a `TypeError` for what could be taken for something else on a command line; then nothing was
 * started.
 */
export async function connectOpenssh(options: OpensshOptions): Promise<SshConnection> {
  options.signal?.throwIfAborted();
  const request = options.request ?? { type: 'subsystem', name: 'sftp' };
  refuseOdd(options, request);
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-'));
  const attempt = new OpensshAttempt(options, request, folder);
  try {
    return await attempt.run();
  } catch (error) {
    await attempt.giveUp();
    throw error;
  }
}

/** Refuses what cannot be meant, before there is a folder or a process. */
function refuseOdd(options: OpensshOptions, request: ChannelRequest): void {
  const { config = true, privateKey } = options;
  optionArguments({
    ...options,
    config: typeof config === 'object' ? true : config,
    privateKey: isPath(privateKey) ? privateKey : undefined,
    connectTimeoutMs: 1000,
    interactive: true,
  });
  targetArguments(options.host, request);
}
