/** Why a server's key is not trusted: what the server showed, what is known instead, and what to do, ready to paste. */
import { Buffer } from 'node:buffer';
import { HostKeysError, type HostKeysErrorCode } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { hostName } from './host-pattern.js';
import { fingerprintOf } from './key-blob.js';
import type { HostKeyVerdict, KnownHostEntry } from './known-hosts.js';

/** A key that a server showed. */
export interface ShownHostKey {
  readonly host: string;
  readonly port: number;
  /** For instance `ssh-ed25519`. */
  readonly type: string | undefined;
  /** `SHA256:…` */
  readonly fingerprint: string;
  /** The key itself, if it is known: the system's ssh shows its fingerprint only. */
  readonly key?: Uint8Array | undefined;
}

/** What the commands in the message are about. */
export interface KnownHostsPlace {
  /** The file to which the key would be added. */
  readonly file: string;
  /** The name under which the host is known, if not its own. */
  readonly alias?: string | undefined;
  /** Whether certificates of hosts are read, so that an authority for the host means something. */
  readonly readsCertificates?: boolean;
  /** Whether the server is a jump host on the way to another one. */
  readonly isJumpHost?: boolean | undefined;
}

interface Details {
  readonly entry?: KnownHostEntry | undefined;
  readonly cause?: unknown;
}

type Refusal = Exclude<HostKeyVerdict['status'], 'trusted'>;
type Explain = (shown: ShownHostKey, entry: KnownHostEntry | undefined, place: KnownHostsPlace) => string;

const INTERCEPTED = 'the connection is being intercepted (man-in-the-middle attack)';

const VERDICTS: Readonly<Record<Refusal, readonly [HostKeysErrorCode, Explain]>> = {
  unknown: [
    'HOST_KEY_UNKNOWN',
    (shown, entry, place) =>
      `is not known${authority(entry, place)}.\nCompare the fingerprint with one that you have from the owner of the ` +
      `server. If they are equal, ${pinning(shown, place)}${addition(shown, place)}`,
  ],
  'other-type': [
    'HOST_KEY_OTHER_TYPE',
    (shown, entry, place) =>
      `has another type than the known one${known(entry)}.\nThe server may have a new key, or ${INTERCEPTED}. Compare ` +
      `the fingerprint with one that you have from the owner of the server. If they are equal, ${addition(shown, place)}`,
  ],
  changed: [
    'HOST_KEY_CHANGED',
    (shown, entry, place) =>
      `HAS CHANGED${other(entry)}.\nEither the server has a new key, or ${INTERCEPTED}. Ask the owner of the server. ` +
      `Only if the new key is right, remove the old one:\n\n  ${forgetCommand(shown, entry, place)}\n\n` +
      `and ${addition(shown, place)}`,
  ],
  revoked: [
    'HOST_KEY_REVOKED',
    (_shown, entry) =>
      `is marked as revoked${entry === undefined ? '' : ` in ${where(entry)}`}. Do not trust it; ask the owner of the server`,
  ],
};

/** The error for what known_hosts says; `entry` is the line that decided. */
export function knownHostsError(
  shown: ShownHostKey,
  status: Refusal,
  entry: KnownHostEntry | undefined,
  place: KnownHostsPlace,
): HostKeysError {
  const [code, explain] = VERDICTS[status];
  return hostKeyError(shown, code, explain(shown, entry, place), { entry });
}

/** The error for a key that is none of those that were asked for by their fingerprints. */
export function pinError(shown: ShownHostKey, pins: readonly string[]): HostKeysError {
  const wanted = pins.length === 0 ? 'none was given' : `expected ${pins.join(' or ')}`;
  const text =
    `does not have the pinned fingerprint (${wanted}). Either the server has a new key, or ${INTERCEPTED}. Ask the ` +
    'owner of the server before you pin the new one';
  return hostKeyError(shown, 'HOST_KEY_CHANGED', text);
}

/** `what` goes on with a sentence that begins with the key. */
export function hostKeyError(
  { host, port, type, fingerprint, key }: ShownHostKey,
  code: HostKeysErrorCode,
  what: string,
  { entry, cause }: Details = {},
): HostKeysError {
  const label = type !== undefined && /^[\w@.+-]+$/.test(type) ? type : 'unreadable';
  const text = `The host key of ${printable(host)}:${port} (${label} ${fingerprint}) ${what}`;
  return new HostKeysError(code, text, {
    fingerprint,
    ...(type !== undefined && { keyType: label }),
    ...(key !== undefined && label === type && { publicKey: publicKeyOf(type, key) }),
    ...(entry?.file !== undefined && { file: entry.file }),
    ...(entry?.line !== undefined && { line: entry.line }),
    ...(cause !== undefined && { cause }),
  });
}

function authority(entry: KnownHostEntry | undefined, { readsCertificates }: KnownHostsPlace): string {
  if (entry === undefined) return '';
  const why = readsCertificates ? 'which has not signed it' : 'and certificates of hosts are not read here';
  return `, only an authority for it (${where(entry)}), ${why}`;
}

function known(entry: KnownHostEntry | undefined): string {
  return entry === undefined ? '' : ` (${entry.type}, ${where(entry)})`;
}

function other(entry: KnownHostEntry | undefined): string {
  return entry === undefined ? '' : `: ${where(entry)} holds another one (${fingerprintOf(entry.key)})`;
}

function where(entry: KnownHostEntry): string {
  return entry.file === undefined ? 'a key given by the program' : `${printable(entry.file)}:${entry.line}`;
}

/** How a program trusts the key by itself. The system's ssh takes no pins for jump hosts. */
function pinning({ host, fingerprint, key }: ShownHostKey, { isJumpHost }: KnownHostsPlace): string {
  if (isJumpHost && key === undefined) return '';
  const pin = `fingerprint: '${fingerprint}'`;
  const name = printable(host).replace(/['\\]/g, '\\$&');
  const option = isJumpHost ? `proxyJump: [{ host: '${name}', ${pin} }]` : pin;
  return `pin the key with this option of connect:\n\n  ${option}\n\nor `;
}

function publicKeyOf(type: string, key: Uint8Array): string {
  return `${type} ${Buffer.from(key).toString('base64')}`;
}

/** What to do so that known_hosts has the key: without a second look over the network where we have the key. */
function addition({ host, port, type, key }: ShownHostKey, { file, alias }: KnownHostsPlace): string {
  if (key !== undefined && type !== undefined) {
    const line = `${printable(alias ?? hostName(host, port))} ${publicKeyOf(type, key)}`;
    return `add this line to ${printable(file)}:\n\n  ${line}\n`;
  }
  const options = [
    ...(port === 22 ? [] : ['-p', `${port}`]),
    ...(alias === undefined ? [] : ['-o', quote(`HostKeyAlias=${alias}`)]),
    ...(/(?:^~|[\\/]\.ssh)[\\/]known_hosts$/.test(file) ? [] : ['-o', quote(`UserKnownHostsFile=${file}`)]),
  ];
  return `let ssh add it to ${printable(file)}:\n\n  ${['ssh', ...options, quote(host)].join(' ')}\n`;
}

function forgetCommand(
  { host, port }: ShownHostKey,
  entry: KnownHostEntry | undefined,
  { alias }: KnownHostsPlace,
): string {
  const name = alias === undefined ? hostName(host, port) : alias;
  return `ssh-keygen -R ${quote(name)}${entry?.file === undefined ? '' : ` -f ${quote(entry.file)}`}`;
}

/** For a shell of either kind; what is plain stays as it is. */
function quote(text: string): string {
  const shown = printable(text);
  if (/^[\w@%+=:,./~\\-]+$/.test(shown)) return shown;
  return process.platform === 'win32' ? `"${shown}"` : `'${shown.replaceAll("'", "'\\''")}'`;
}
