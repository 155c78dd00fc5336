/** `hostVerifier`, as programs write it for ssh2, in the form that tsftp asks. */
import { createHash, getHashes } from 'node:crypto';
import type { HostKeyVerifier } from '../../index.js';
import type { HostVerifier } from '../types.js';

/**
 * It answers by what it returns, or, where it returns nothing, by the function that it is given. It is not asked about a key
 * that known hosts or pins refuse, where these are given too.
 */
export function hostKeyVerifier(hostVerifier: HostVerifier, hostHash: string | undefined): HostKeyVerifier {
  const ask = hostVerifier as (shown: Buffer | string, verify: (isValid: boolean) => void) => unknown;
  return ({ bytes, refusal }) =>
    new Promise((resolve, reject) => {
      if (refusal !== undefined) {
        resolve(false);
        return;
      }
      const key = Buffer.from(bytes);
      const shown =
        hostHash !== undefined && getHashes().includes(hostHash)
          ? createHash(hostHash).update(key).digest('hex')
          : key;
      const answer = ask(shown, (isValid) => resolve(Boolean(isValid)));
      if (answer === undefined) return;
      Promise.resolve(answer).then((isValid) => resolve(Boolean(isValid)), reject);
    });
}
