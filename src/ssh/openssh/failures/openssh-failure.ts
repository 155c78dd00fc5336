/** Turns the words with which ssh gives up into our errors. A table: the first pattern that is found decides. */
import { type ConnectionError, HostKeysError, type HostKeysErrorCode, SshError } from '../../../errors.js';
import { printable } from '../../../shared/printable.js';
import { LEGACY_ADDITIONS, type SecurityOptions } from '../../algorithms.js';
import { disagreement, LEGACY_ADVICE } from '../../disagreement.js';
import {
  hostKeyError,
  type KnownHostsPlace,
  knownHostsError,
  pinError,
} from '../../host-keys/host-key-error.js';
import { fingerprintOf } from '../../host-keys/key-blob.js';
import { judgeKey, type KnownHostEntry } from '../../host-keys/known-hosts.js';
import { type FailedLogin, loginError, refusedLogin } from '../../login-failure.js';
import { connectionError } from '../../socket.js';
import type { ShownKey } from './openssh-log.js';

/** What is known about the server at which ssh gave up: the one that was meant, or one on the way there. */
export interface Failure {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** What ssh wrote, without debug lines. */
  readonly complaints: readonly string[];
  /** What others wrote beside it: it decides nothing, but may help. */
  readonly aside?: string | undefined;
  readonly tried: readonly string[];
  readonly serverKey: ShownKey | undefined;
  /** What the server said in place of an SSH identification. */
  readonly greeting?: string | undefined;
  /** What is known about this server's keys. */
  readonly known: readonly KnownHostEntry[];
  readonly place: KnownHostsPlace;
  /** What ssh offers. */
  readonly offer: SecurityOptions;
  /** Fingerprints of which one had to fit. */
  readonly pins?: readonly string[] | undefined;
  /** The server that was meant, where this is another, or none. */
  readonly behind?: { readonly host: string; readonly port: number } | undefined;
}

type Explain = (failure: Failure, match: RegExpExecArray) => Error;

const REASONS: readonly (readonly [RegExp, Explain])[] = [
  [
    /^Received disconnect from .*? port \d+:\d+: (.*)/,
    (failure, [, text = '']) => interrupted(failure, text),
  ],
  [
    /REVOKED HOST KEY DETECTED|host key .* (?:is|was) revoked|marked as revoked/i,
    (failure) => keyError(failure, 'revoked'),
  ],
  [/REMOTE HOST IDENTIFICATION HAS CHANGED/, (failure) => keyError(failure, 'changed')],
  [
    /No \S+ host key is known for|authenticity of host|Host key verification failed/,
    (failure) => keyError(failure, 'unknown'),
  ],
  [
    /(?:Invalid key length|Bad server host key|key (?:size|length) .*(?:small|short)).*/i,
    (failure) => weakKey(failure),
  ],
  [/no matching (.*?) found(?:\. Their offer: (\S+))?/, negotiationError],
  [
    /Permission denied \(([\w,@.-]*)\)/,
    (failure, [, offered = '']) => refusedLogin(login(failure, offered.split(','))),
  ],
  [
    /Too many authentication failures|No supported authentication methods/i,
    (failure, [text]) => interrupted(failure, text),
  ],
  [
    /Could not resolve hostname (\S+): (.*)/,
    (failure, [, host = '', why = '']) =>
      reachError({ ...failure, host }, /temporar|try again/i.test(why) ? 'EAI_AGAIN' : 'ENOTFOUND'),
  ],
  [/open failed: (.*)/, noWayOn],
  [
    /(?:host (\S+) port (\d+): )?Connection refused/,
    (failure, match) => refusedAt(failure, match, 'ECONNREFUSED'),
  ],
  [/(?:host (\S+) port (\d+): .*)?timed? ?out/i, (failure, match) => refusedAt(failure, match, 'ETIMEDOUT')],
  [
    /(?:host (\S+) port (\d+): )?No route to host/,
    (failure, match) => refusedAt(failure, match, 'EHOSTUNREACH'),
  ],
  [
    /(?:host (\S+) port (\d+): )?Network is unreachable/,
    (failure, match) => refusedAt(failure, match, 'ENETUNREACH'),
  ],
  [
    /banner line|bad remote protocol|protocol (?:version )?identification|Bad packet length/i,
    (failure) => notSsh(failure),
  ],
  [
    /[Bb]ad configuration option|Bad owner or permissions|keyword .* extra arguments|unknown option|illegal option|Bad .* spec/,
    configError,
  ],
  [
    /Connection (?:closed|reset)|closed by|reset by peer|Broken pipe/i,
    (failure) => (failure.behind === undefined ? reachError(failure, 'ECONNRESET') : wayLost(failure)),
  ],
];

/** Why ssh ended before the connection was there. */
export function explainFailure(failure: Failure): Error {
  const text = wordsOfSsh(failure.complaints).join('\n');
  if (failure.greeting !== undefined) return notSsh(failure);
  for (const [pattern, explain] of REASONS) {
    const match = pattern.exec(text);
    if (match !== null) return explain(failure, match);
  }
  const words = text === '' ? 'it gave no reason' : printable(text);
  return new SshError('SSH_FAILED', `ssh cannot connect to ${where(failure)}: ${words}`);
}

/** What a server says with its farewell may hold line feeds, and lines that look like those of ssh. */
function wordsOfSsh(complaints: readonly string[]): readonly string[] {
  const farewell = complaints.findIndex((line) => line.startsWith('Received disconnect from '));
  return farewell < 0 ? complaints : complaints.slice(farewell, farewell + 1);
}

function where({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${printable(host)}:${port}`;
}

function reachError({ host, port, complaints }: Failure, code: string): ConnectionError {
  return connectionError({ host, port }, Object.assign(new Error(complaints.join('; ')), { code }));
}

/** ssh names whom it could not reach. */
function refusedAt(failure: Failure, [, host, port]: RegExpExecArray, code: string): ConnectionError {
  return reachError(host === undefined ? failure : { ...failure, host, port: Number(port) }, code);
}

/** What the last host on the way says about the next. */
function noWayOn(failure: Failure, [, why = '']: RegExpExecArray): SshError {
  const next = where(failure.behind ?? failure);
  const text = `The jump host ${where(failure)} refused to connect to ${next} (${printable(why, 300)})`;
  return new SshError('CHANNEL_REFUSED', text);
}

function wayLost({ behind, complaints, aside = '' }: Failure): Error {
  const address = behind ?? { host: '', port: 0 };
  const words = printable([...aside.trim().split(/\s*\n\s*/), ...complaints].filter(Boolean).join('; '), 500);
  const text = `The proxy command or jump host closed the connection to ${where(address)}: ${words}`;
  return new SshError('PROXY_FAILED', text);
}

const LISTS = {
  'key exchange method': ['key exchange', 'kex'],
  'host key type': ['host keys', 'keyTypes'],
  cipher: ['ciphers', 'ciphers'],
  MAC: ['MACs', 'digests'],
} as const;

function negotiationError(failure: Failure, [, list = '', offer = '']: RegExpExecArray): SshError {
  const theirs = offer.split(',').filter((name) => name !== '');
  const [what = list, key = undefined] = LISTS[list as keyof typeof LISTS] ?? [];
  const isOld = theirs.some((name) => Object.values(LEGACY_ADDITIONS).some((names) => names.includes(name)));
  return disagreement(failure, {
    reason: `no matching ${printable(list, 100)}`,
    sides: [{ what, ours: key === undefined ? [] : failure.offer[key], theirs }],
    advice: isOld
      ? LEGACY_ADVICE
      : "Try transport: 'ssh2', or offer others with kex, hostKeyAlgorithms, ciphers or macs",
  });
}

function notSsh(failure: Failure): SshError {
  const text = printable(failure.greeting ?? failure.complaints.join('; '), 300);
  return new SshError('NOT_SSH', `${where(failure)} is not an SSH server; it sent: "${text}"`);
}

function configError(failure: Failure): SshError {
  return new SshError(
    'CONFIG_INVALID',
    `ssh rejects its configuration: ${printable(failure.complaints.join('; '))}`,
  );
}

function login({ host, port, username, tried }: Failure, methods: readonly string[]): FailedLogin {
  return { host, port, username, tried, offered: methods.filter((method) => method !== '') };
}

function interrupted(failure: Failure, text: string): Error {
  const advice = /too many/i.test(text)
    ? 'Give the one privateKey that fits, or fewer keys to the agent'
    : 'Check the user name and the login method';
  const what = `The server ${where(failure)} ended the login: ${printable(text)}`;
  return loginError(what, login(failure, []), { advice });
}

type Verdict = 'unknown' | 'changed' | 'revoked';

const CODES: Readonly<Record<Verdict, HostKeysErrorCode>> = {
  unknown: 'HOST_KEY_UNKNOWN',
  changed: 'HOST_KEY_CHANGED',
  revoked: 'HOST_KEY_REVOKED',
};

/**
 * ssh decides, we look for the line: what we find explains it better, unless it contradicts. A key may also be known
 * in ways that we do not see, for instance by a command.
 */
function keyError(failure: Failure, said: Verdict): HostKeysError {
  const { host, port, serverKey, known, pins, complaints } = failure;
  const place = { ...failure.place, isJumpHost: failure.behind !== undefined };
  if (serverKey === undefined) {
    const words = printable(complaints.join('; '), 500);
    return new HostKeysError(CODES[said], `ssh does not trust the host key of ${where(failure)}: ${words}`);
  }
  const type = serverKey.type.replace(/-cert-v\d+@openssh\.com$/, '');
  const shown = { host, port, type, fingerprint: serverKey.fingerprint };
  const { status, entry } = judgeKey(known, type, ({ key }) => fingerprintOf(key) === shown.fingerprint);
  if (said === 'revoked')
    return knownHostsError(shown, said, status === 'revoked' ? entry : undefined, place);
  if (pins !== undefined) return pinError(shown, pins);
  // There may be reasons that we do not see. But nobody is told to forget a key that is the right one.
  if (status === 'trusted') return hostKeyError(shown, CODES[said], distrusted(entry, complaints));
  if (status === 'revoked' || (status === 'unknown' && said === 'changed')) {
    return knownHostsError(shown, said, undefined, place);
  }
  return knownHostsError(shown, status, entry, place);
}

function distrusted(entry: KnownHostEntry | undefined, complaints: readonly string[]): string {
  const where = entry?.file === undefined ? '' : ` (${printable(entry.file)}:${entry.line})`;
  return `is known${where}, but ssh does not trust it: ${printable(complaints.join('; '), 500)}`;
}

function weakKey({ host, port, serverKey, complaints }: Failure): HostKeysError {
  const text = 'is too weak to be trusted; give the server a new key, best ssh-ed25519';
  const { type, fingerprint } = serverKey ?? {
    type: undefined,
    fingerprint: printable(complaints.at(-1) ?? '', 100),
  };
  return hostKeyError({ host, port, type, fingerprint }, 'HOST_KEY_REFUSED', text);
}
