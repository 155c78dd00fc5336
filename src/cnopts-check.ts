/** Refuses connection options that cannot be meant. */
import type { CnOpts } from './cnopts.js';
import { checkLogger } from './log.js';
import { HostKeys } from './ssh/known-hosts.js';

/**
 * Fields may be assigned at any time, so they are looked at when they are used.
 *
 * @throws TypeError where a field is of a type that cannot be meant; above all nothing but `null` is "no check".
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
  if (fingerprint !== undefined && ![fingerprint].flat().every(isFingerprint)) {
    throw new TypeError("fingerprint must be a string 'SHA256:…', or several of them");
  }
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
  checkDurations(cnopts);
}

const DURATIONS = ['keepaliveInterval', 'connectTimeout', 'noProgressTimeout'] as const;

function checkDurations(cnopts: CnOpts): void {
  for (const name of DURATIONS) {
    const value: unknown = cnopts[name];
    if (value === undefined) continue;
    if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeof value}`);
    if (!(value >= 0)) throw new RangeError(`${name} ${value} is no number of milliseconds`);
  }
}

function checkOneOf(name: string, value: unknown, allowed: readonly string[]): void {
  if (!allowed.some((one) => one === value)) throw new TypeError(`${name} must be ${allowed.join(' or ')}`);
}

function isFingerprint(pin: unknown): boolean {
  return typeof pin === 'string' && /^SHA256:[A-Za-z0-9+/]{43}=?$/.test(pin);
}
