import { createHash, getHashes, type Hash } from 'node:crypto';
import { kindOf } from '../../shared/arguments.js';
import { printable } from '../../shared/printable.js';

/** @throws TypeError | RangeError where Node knows no such algorithm. */
export function startHash(algorithm: string): Hash {
  if (typeof algorithm !== 'string')
    throw new TypeError(`algorithm must be a string, not ${kindOf(algorithm)}`);
  if (getHashes().includes(algorithm)) return createHash(algorithm);
  const shown = printable(algorithm, 100);
  throw new RangeError(
    `algorithm '${shown}' is unknown: use sha256, sha512, md5 or another of crypto.getHashes()`,
  );
}
