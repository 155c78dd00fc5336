/** Refuses invalid connection options. */

import { isIP } from 'node:net';
import { printable } from '../shared/printable.js';
import { checkAlgorithmList } from '../ssh/algorithms.js';
import { checkLoginMethods } from '../ssh/credentials/login-methods.js';
import { HostKeys } from '../ssh/host-keys/known-hosts.js';
import type { CnOpts } from './cnopts.js';
import { checkLogger } from './log.js';

/**
 * Fields may be assigned at any time, so they are looked at when they are used.
 *
 * @throws TypeError if a field has the wrong type; only `null` means "no check".
 */
export function checkCnOpts(cnopts: CnOpts): void {
  const { hostkeys, fingerprint, log, logger, subsystem, serverCommand, verifyHostKey } = cnopts;
  checkOneOf('transport', cnopts.transport, ['ssh2', 'openssh']);
  checkOneOf('hostKeyPolicy', cnopts.hostKeyPolicy, ['strict', 'accept-new']);
  checkOneOf('algorithms', cnopts.algorithms, ['modern', 'legacy']);
  if (hostkeys !== null && !(hostkeys instanceof HostKeys)) {
    throw new TypeError('hostkeys must be a HostKeys, or null for no check at all');
  }
  // A pin that is none would refuse every server, and its user would look for the fault there.
  if (fingerprint !== undefined) checkPins([fingerprint].flat());
  if (verifyHostKey !== undefined && typeof verifyHostKey !== 'function') {
    throw new TypeError(`verifyHostKey must be a function, not ${typeof verifyHostKey}`);
  }
  for (const [name, text] of Object.entries({ subsystem, serverCommand })) {
    if (text !== undefined && (typeof text !== 'string' || text === '' || text.includes('\0'))) {
      throw new TypeError(`${name} must be a string that is not empty, without NUL`);
    }
  }
  if (typeof log !== 'boolean' && typeof log !== 'string') {
    throw new TypeError(`log must be true, false or a path, not ${typeof log}`);
  }
  if (logger !== undefined) checkLogger(logger);
  checkIdentityFiles(cnopts.identityFiles);
  checkLoginMethods(cnopts.authMethods);
  for (const name of ['kex', 'hostKeyAlgorithms', 'ciphers', 'macs'] as const)
    checkAlgorithmList(name, cnopts[name]);
  checkWay(cnopts);
  checkNumbers(cnopts);
}

/** Each with the least that it may be. */
const NUMBERS = {
  keepaliveInterval: 0,
  keepaliveCountMax: 0,
  connectTimeout: 1,
  callTimeout: 1,
  noProgressTimeout: 1,
} as const satisfies Partial<Record<keyof CnOpts, number>>;

function checkNumbers(cnopts: CnOpts): void {
  for (const [name, min] of Object.entries(NUMBERS)) {
    const value: unknown = cnopts[name as keyof typeof NUMBERS];
    if (value === undefined) continue;
    if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`);
    if (!(value >= min)) throw new RangeError(`${name} must be a number of at least ${min}, not ${value}`);
  }
}

/** How the server is reached. */
function checkWay({ family, localAddress, proxyCommand, proxyJump }: CnOpts): void {
  if (family !== undefined && family !== 4 && family !== 6) throw new TypeError('family must be 4 or 6');
  if (localAddress !== undefined && (typeof localAddress !== 'string' || isIP(localAddress) === 0)) {
    throw new TypeError('localAddress must be an IP address of this machine');
  }
  if (proxyCommand === undefined) return;
  if (proxyJump !== undefined) {
    throw new TypeError('proxyCommand and proxyJump are two ways to one server: give one of them');
  }
}

function checkOneOf(name: string, value: unknown, allowed: readonly string[]): void {
  if (!allowed.some((one) => one === value)) throw new TypeError(`${name} must be ${allowed.join(' or ')}`);
}

function checkIdentityFiles(files: unknown): void {
  if (files === undefined || files === false) return;
  if (!Array.isArray(files) || files.some((file) => typeof file !== 'string' || file === '')) {
    throw new TypeError('identityFiles must be a list of paths, or false for none');
  }
}

function checkPins(pins: readonly unknown[]): void {
  if (pins.length === 0 || pins.some((pin) => typeof pin !== 'string')) {
    throw new TypeError("fingerprint must be a string 'SHA256:…', or several of them");
  }
  const wrong = (pins as readonly string[]).find((pin) => !/^SHA256:[A-Za-z0-9+/]{43}=?$/.test(pin));
  if (wrong === undefined) return;
  throw new TypeError(
    `fingerprint '${printable(wrong, 100)}' is not a fingerprint: it must be 'SHA256:' and 43 characters of base64, ` +
      'as ssh-keygen -l prints it',
  );
}
