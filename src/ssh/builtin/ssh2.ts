/** Connects with the ssh2 package. */
import { LEGACY_MINIMUM_RSA_BITS } from '../algorithms.js';
import { toRules } from '../host-keys/host-key.js';
import { Ssh2Attempt } from './ssh2-attempt.js';
import type { Ssh2Connection } from './ssh2-connection.js';
import { SSH_DEFAULTS, type Ssh2Options } from './ssh2-options.js';
import { checkSsh2 } from './ssh2-probe.js';

/**
 * Resolves once the server's key is verified and the user is logged in. No credential leaves before that
 * check.
 *
 * Rejects with `ConnectionError` (not reached, or lost on the way), `HostKeysError`, `AuthenticationError`,
 * `SshError` (`NEGOTIATION_FAILED`, `NOT_SSH`, `UNSUPPORTED_VERSION`, `STRICT_KEX_MISSING`, `SSH_PROTOCOL`;
 * `SSH2_UNUSABLE` where another ssh2 is installed than the guards are made for), with
 * what `onPrompt` threw, or the signal's reason.
 */
export async function connectSsh2(options: Ssh2Options): Promise<Ssh2Connection> {
  options.signal?.throwIfAborted();
  checkSsh2();
  const legacy = options.algorithms?.preset === 'legacy';
  const rules = toRules(options.hostKeys);
  return await new Promise((resolve, reject) => {
    const attempt = new Ssh2Attempt({
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
