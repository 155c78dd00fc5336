/** The decision whether a server is the one that was meant, and the error that says why not. */
import { HostKeysError, type HostKeysErrorCode } from '../errors.js';
import { fingerprintOf, isHostKeyType, keyType, rsaBits } from './key-blob.js';
import type { HostKeys, HostKeyVerdict } from './known-hosts.js';

/** Known hosts, fingerprints (`SHA256:…`) of which one must fit, or `null`: any key is accepted. */
export type HostKeyCheck = HostKeys | readonly string[] | null;

/** RFC 8332 and NIST SP 800-131A: below it, RSA can be forged by whoever is determined. */
const MINIMUM_RSA_BITS = 2048;

interface Shown {
  readonly host: string;
  readonly port: number;
  readonly key: Uint8Array;
}

/** Gives the reason to refuse the key, or `undefined` if it is the right one. Never throws. */
export function checkHostKey(shown: Shown, check: HostKeyCheck): HostKeysError | undefined {
  const type = keyType(shown.key);
  if (type === undefined || !isHostKeyType(type)) {
    return refuse(shown, 'HOST_KEY_REFUSED', 'is of a type that cannot be verified');
  }
  const bits = rsaBits(shown.key);
  if (type === 'ssh-rsa' && (bits === undefined || bits < MINIMUM_RSA_BITS)) {
    const advice = `RSA keys need ${MINIMUM_RSA_BITS} bits; the server should get a new one, best ssh-ed25519`;
    return refuse(shown, 'HOST_KEY_REFUSED', `has only ${bits ?? 'an unknown number of'} bits. ${advice}`);
  }
  if (check === null) {
    return undefined;
  }
  return isPins(check)
    ? checkPins(shown, check)
    : checkKnown(shown, check.check(shown.host, shown.port, shown.key));
}

function isPins(check: HostKeys | readonly string[]): check is readonly string[] {
  return Array.isArray(check);
}

function checkPins(shown: Shown, pins: readonly string[]): HostKeysError | undefined {
  const fingerprint = fingerprintOf(shown.key);
  if (pins.some((pin) => pin.replace(/=+$/, '') === fingerprint)) {
    return undefined;
  }
  const wanted = pins.length === 0 ? 'none was given' : `expected ${pins.join(' or ')}`;
  return refuse(
    shown,
    'HOST_KEY_CHANGED',
    `does not have the fingerprint that was asked for (${wanted}). Either the server has got a new key, or ` +
      'somebody is in between. Ask whoever runs the server before you trust the new one',
  );
}

function checkKnown(shown: Shown, verdict: HostKeyVerdict): HostKeysError | undefined {
  if (verdict.status === 'trusted') {
    return undefined;
  }
  const [code, explain] = VERDICTS[verdict.status];
  return refuse(shown, code, explain(shown, verdict.entry), verdict.entry);
}

type Entry = HostKeyVerdict['entry'];

const VERDICTS = {
  unknown: [
    'HOST_KEY_UNKNOWN',
    (shown) =>
      'is not known. Compare the fingerprint with one from whoever runs the server; if it is the same, ' +
      `trust it with: ${scanCommand(shown)}   or give it as the option fingerprint`,
  ],
  'other-type': [
    'HOST_KEY_OTHER_TYPE',
    (shown, entry) =>
      `is of another type than what is known (${entry?.type}, ${place(entry)}). The server may have got a new ` +
      'key, or somebody is in between. Compare the fingerprint with one from whoever runs the server; if it is ' +
      `the same, trust it with: ${scanCommand(shown)}`,
  ],
  changed: [
    'HOST_KEY_CHANGED',
    (shown, entry) =>
      `HAS CHANGED: ${place(entry)} holds another one (${entry && fingerprintOf(entry.key)}). Either the server ` +
      'has got a new key, or somebody is in between. Ask whoever runs the server; only if the new one is ' +
      `right, forget the old one with: ${forgetCommand(shown, entry)}   and then trust the new one with: ` +
      scanCommand(shown),
  ],
  revoked: [
    'HOST_KEY_REVOKED',
    (_shown, entry) =>
      `is marked as revoked in ${place(entry)}: it must not be trusted any more. Ask whoever runs the server`,
  ],
} satisfies Record<
  Exclude<HostKeyVerdict['status'], 'trusted'>,
  [HostKeysErrorCode, (shown: Shown, entry: Entry) => string]
>;

function refuse(shown: Shown, code: HostKeysErrorCode, what: string, entry?: Entry): HostKeysError {
  const fingerprint = fingerprintOf(shown.key);
  const type = keyType(shown.key);
  const label = type !== undefined && /^[\w@.+-]+$/.test(type) ? type : 'unreadable';
  return new HostKeysError(
    code,
    `the host key of ${shown.host}:${shown.port} (${label} ${fingerprint}) ${what}`,
    {
      fingerprint,
      ...(type !== undefined && { keyType: label }),
      ...(entry?.file !== undefined && { file: entry.file }),
      ...(entry?.line !== undefined && { line: entry.line }),
    },
  );
}

function place(entry: Entry): string {
  return entry?.file === undefined ? 'a key given by the program' : `${entry.file}:${entry.line}`;
}

function scanCommand({ host, port }: Shown): string {
  return `ssh-keyscan ${port === 22 ? '' : `-p ${port} `}${host} >> ~/.ssh/known_hosts`;
}

function forgetCommand({ host, port }: Shown, entry: Entry): string {
  const name = port === 22 ? host : `'[${host}]:${port}'`;
  return `ssh-keygen -R ${name}${entry?.file === undefined ? '' : ` -f ${entry.file}`}`;
}
