/** Turns the words with which ssh gives up into our errors. A table: the first pattern that is found decides. */
import { type ConnectionError, HostKeysError, type HostKeysErrorCode, SshError } from '../errors.js';
import { printable } from '../printable.js';
import { LEGACY_ADDITIONS, type SecurityOptions } from './algorithms.js';
import { hostKeyError, type KnownHostsPlace, knownHostsError, pinError } from './host-key-error.js';
import { fingerprintOf } from './key-blob.js';
import { judgeKey, type KnownHostEntry } from './known-hosts.js';
import { type FailedLogin, loginError, refusedLogin } from './login-failure.js';
import { disagreement, LEGACY_ADVICE } from './negotiation.js';
import type { ShownKey } from './openssh-log.js';
import { connectionError } from './socket.js';

/** What is known about the server at which ssh gave up: the one that was meant, or one on the way there. */
export interface Failure {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** What ssh wrote, without debug lines. */
  readonly complaints: readonly string[];
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
  [/Received disconnect from .*? port \d+:\d+: (.*)/, (failure, [, text = '']) => interrupted(failure, text)],
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
  const text = failure.complaints.join('\n');
  if (failure.greeting !== undefined) return notSsh(failure);
  for (const [pattern, explain] of REASONS) {
    const match = pattern.exec(text);
    if (match !== null) return explain(failure, match);
  }
  const words = text === '' ? 'it gave no reason' : printable(text);
  return new SshError('SSH_FAILED', `ssh could not connect to ${where(failure)}: ${words}`);
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
  const text = `the server ${where(failure)} refused a way on to ${next} (${printable(why, 300)})`;
  return new SshError('CHANNEL_REFUSED', text);
}

function wayLost({ behind, complaints }: Failure): Error {
  const address = behind ?? { host: '', port: 0 };
  const words = printable(complaints.join('; '), 500);
  const text = `the way to ${where(address)} ended before its end (a proxy, or a host in between): ${words}`;
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
      : "transport: 'ssh2' may know another, and the lists in cnopts offer others",
  });
}

function notSsh(failure: Failure): SshError {
  const text = printable(failure.greeting ?? failure.complaints.join('; '), 300);
  return new SshError('NOT_SSH', `${where(failure)} does not answer like an SSH server; it says: "${text}"`);
}

function configError(failure: Failure): SshError {
  return new SshError(
    'CONFIG_INVALID',
    `ssh refuses its configuration: ${printable(failure.complaints.join('; '))}`,
  );
}

function login({ host, port, username, tried }: Failure, methods: readonly string[]): FailedLogin {
  return { host, port, username, tried, offered: methods.filter((method) => method !== '') };
}

function interrupted(failure: Failure, text: string): Error {
  const advice = /too many/i.test(text)
    ? 'Give the one privateKey that fits, or fewer keys to the agent'
    : 'Check the user name and the way to log in';
  const what = `the server ${where(failure)} ended the login: ${printable(text)}`;
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
  const { host, port, serverKey, known, place, pins, complaints } = failure;
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
  const contradicts = status === 'trusted' || status === 'revoked';
  if (contradicts || (status === 'unknown' && said === 'changed')) {
    return knownHostsError(shown, said, undefined, place);
  }
  return knownHostsError(shown, status, entry, place);
}

function weakKey({ host, port, serverKey, complaints }: Failure): HostKeysError {
  const text = 'is too weak to be trusted; the server should get a new one, best ssh-ed25519';
  const { type, fingerprint } = serverKey ?? {
    type: undefined,
    fingerprint: printable(complaints.at(-1) ?? '', 100),
  };
  return hostKeyError({ host, port, type, fingerprint }, 'HOST_KEY_REFUSED', text);
}
