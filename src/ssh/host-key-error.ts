/** Why a server's key is not trusted, in words: what it is, what is known instead, and the command that mends it. */
import { HostKeysError, type HostKeysErrorCode } from '../errors.js';
import { printable } from '../printable.js';
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
}

/** What the commands in the message are about. */
export interface KnownHostsPlace {
  /** The file to which the key would be added. */
  readonly file: string;
  /** The name under which the host is known, if not its own. */
  readonly alias?: string | undefined;
  /** Are certificates of hosts read, so that an authority for the host means something? */
  readonly readsCertificates?: boolean;
}

interface Details {
  readonly entry?: KnownHostEntry | undefined;
  readonly cause?: unknown;
}

type Refusal = Exclude<HostKeyVerdict['status'], 'trusted'>;
type Explain = (shown: ShownHostKey, entry: KnownHostEntry | undefined, place: KnownHostsPlace) => string;

const VERDICTS: Readonly<Record<Refusal, readonly [HostKeysErrorCode, Explain]>> = {
  unknown: [
    'HOST_KEY_UNKNOWN',
    (shown, entry, place) =>
      `is not known${authority(entry, place)}. Compare the fingerprint with one from whoever runs the server; if it ` +
      `is the same, trust it with: ${scanCommand(shown, place)}   or give it as the option fingerprint`,
  ],
  'other-type': [
    'HOST_KEY_OTHER_TYPE',
    (shown, entry, place) =>
      `is of another type than what is known${known(entry)}. The server may have got a new key, or somebody is in ` +
      'between. Compare the fingerprint with one from whoever runs the server; if it is the same, trust it with: ' +
      scanCommand(shown, place),
  ],
  changed: [
    'HOST_KEY_CHANGED',
    (shown, entry, place) =>
      `HAS CHANGED${other(entry)}. Either the server has got a new key, or somebody is in between. Ask whoever ` +
      `runs the server; only if the new one is right, forget the old one with: ${forgetCommand(shown, entry, place)}   ` +
      `and then trust the new one with: ${scanCommand(shown, place)}`,
  ],
  revoked: [
    'HOST_KEY_REVOKED',
    (_shown, entry) =>
      `is marked as revoked${entry === undefined ? '' : ` in ${where(entry)}`}: it must not be trusted any more. Ask ` +
      'whoever runs the server',
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
    `does not have the fingerprint that was asked for (${wanted}). Either the server has got a new key, or ` +
    'somebody is in between. Ask whoever runs the server before you trust the new one';
  return hostKeyError(shown, 'HOST_KEY_CHANGED', text);
}

/** `what` goes on with a sentence that begins with the key. */
export function hostKeyError(
  { host, port, type, fingerprint }: ShownHostKey,
  code: HostKeysErrorCode,
  what: string,
  { entry, cause }: Details = {},
): HostKeysError {
  const label = type !== undefined && /^[\w@.+-]+$/.test(type) ? type : 'unreadable';
  const text = `the host key of ${printable(host)}:${port} (${label} ${fingerprint}) ${what}`;
  return new HostKeysError(code, text, {
    fingerprint,
    ...(type !== undefined && { keyType: label }),
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

function scanCommand({ host, port }: ShownHostKey, { file, alias }: KnownHostsPlace): string {
  const scan = `ssh-keyscan ${port === 22 ? '' : `-p ${port} `}${host}`;
  const target = quote(file);
  return alias === undefined ? `${scan} >> ${target}` : `${scan} | sed 's/^[^# ]*/${alias}/' >> ${target}`;
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
