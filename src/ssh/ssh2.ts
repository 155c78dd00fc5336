/** Connects with the ssh2 package. */
import type { Duplex } from 'node:stream';
import { type AlgorithmOptions, LEGACY_MINIMUM_RSA_BITS } from './algorithms.js';
import type { Credentials } from './credentials.js';
import { type HostKeyCheck, toRules } from './host-key.js';
import type { PromptHandler } from './prompts.js';
import { Attempt } from './ssh2-attempt.js';
import type { Ssh2Connection } from './ssh2-connection.js';

export type { AlgorithmOptions } from './algorithms.js';
export type { HostKeyCheck, HostKeyQuestion, HostKeyRules, HostKeyVerifier } from './host-key.js';
export type { PromptHandler, PromptKind, PromptRequest } from './prompts.js';

/** How long we wait and how often we ask, in ms. */
export const SSH_DEFAULTS = {
  connectTimeout: 20_000,
  keepaliveInterval: 15_000,
  keepaliveCountMax: 3,
} as const;

export interface Ssh2Options {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly credentials: Credentials;
  /** What verifies the server's key: known hosts, fingerprints (`SHA256:…`), rules, or `null` for no check at all. */
  readonly hostKeys: HostKeyCheck;
  readonly algorithms?: AlgorithmOptions | undefined;
  /** For the whole of connecting, in ms; the time in which somebody is asked does not count. Default 20,000. */
  readonly connectTimeout?: number | undefined;
  /** In ms; 0: none. Default 15,000. */
  readonly keepaliveInterval?: number | undefined;
  /** How many unanswered keepalives end the connection. Default 3. */
  readonly keepaliveCountMax?: number | undefined;
  /** What to speak over, in place of a connection of its own; it is destroyed at the end. */
  readonly stream?: Duplex | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onPrompt?: PromptHandler | undefined;
  /** Gets lines for a log; no secret is in them. */
  readonly debug?: ((line: string) => void) | undefined;
}

/**
 * Resolves once the server's key is verified and the user is logged in. No credential leaves before that
 * check.
 *
 * Rejects with `ConnectionError` (not reached, or lost on the way), `HostKeysError`, `AuthenticationError`,
 * `SshError` (`NEGOTIATION_FAILED`, `NOT_SSH`, `UNSUPPORTED_VERSION`, `STRICT_KEX_MISSING`, `SSH_PROTOCOL`), with
 * what `onPrompt` threw, or the signal's reason.
 */
export async function connectSsh2(options: Ssh2Options): Promise<Ssh2Connection> {
  options.signal?.throwIfAborted();
  const legacy = options.algorithms?.preset === 'legacy';
  const rules = toRules(options.hostKeys);
  return await new Promise((resolve, reject) => {
    const attempt = new Attempt({
      ...options,
      legacy,
      hostKeys: { ...(legacy && { minimumRsaBits: LEGACY_MINIMUM_RSA_BITS }), ...rules },
      connectTimeout: options.connectTimeout ?? SSH_DEFAULTS.connectTimeout,
      keepaliveInterval: options.keepaliveInterval ?? SSH_DEFAULTS.keepaliveInterval,
      keepaliveCountMax: options.keepaliveCountMax ?? SSH_DEFAULTS.keepaliveCountMax,
      resolve,
      reject,
    });
    attempt.start();
  });
}
