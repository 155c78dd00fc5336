/**
 * Connects with the system's own ssh, so that everything that it can do works: its configuration with ProxyCommand
 * and ProxyJump, certificates, hardware keys, GSSAPI, key exchange that quantum computers do not break. One process
 * holds the connection and runs `ssh -s sftp`; further channels share it.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ChannelRequest } from '../established-connection.js';
import type { SshConnection } from '../ssh-connection.js';
import { optionArguments, targetArguments } from './openssh-arguments.js';
import { OpensshAttempt } from './openssh-attempt.js';
import { isPath } from './openssh-key.js';
import type { OpensshOptions } from './openssh-options.js';

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

/** Refuses invalid options, before there is a folder or a process. */
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
