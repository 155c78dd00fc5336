/** Turns the words with which ssh gives up into our errors. A table: the first pattern that is found decides. */
import {
  AuthenticationError,
  type ConnectionError,
  HostKeysError,
  type HostKeysErrorCode,
  SshError,
} from '../errors.js';
import { printable } from '../printable.js';
import { LEGACY_ADDITIONS } from './algorithms.js';
import { hostName } from './host-pattern.js';
import type { ShownKey } from './openssh-log.js';
import { connectionError } from './socket.js';

export interface Failure {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  /** What ssh wrote, without debug lines. */
  readonly complaints: readonly string[];
  readonly tried: readonly string[];
  readonly serverKey: ShownKey | undefined;
  /** The types of the keys that are known for this host. */
  readonly knownTypes: readonly string[];
  /** The name under which the host's keys are known, if not its own. */
  readonly hostKeyAlias?: string | undefined;
  /** Fingerprints of which one had to fit. */
  readonly pins?: readonly string[] | undefined;
}

type Explain = (failure: Failure, match: RegExpExecArray) => Error;

const REASONS: readonly (readonly [RegExp, Explain])[] = [
  [
    /REVOKED HOST KEY DETECTED|host key .* (?:is|was) revoked|marked as revoked/i,
    (failure) => hostKeyError(failure, 'HOST_KEY_REVOKED'),
  ],
  [
    /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    (failure) => hostKeyError(failure, mismatch(failure, 'HOST_KEY_CHANGED')),
  ],
  [
    /No \S+ host key is known for (\S+)|authenticity of host|Host key verification failed/,
    (failure, [, name]) =>
      isPinned(failure, name)
        ? pinError(failure)
        : hostKeyError(failure, mismatch(failure, 'HOST_KEY_UNKNOWN')),
  ],
  [
    /(?:Invalid key length|Bad server host key|key (?:size|length) .*(?:small|short)).*/i,
    (failure) => hostKeyError(failure, 'HOST_KEY_REFUSED'),
  ],
  [/Unable to negotiate with .*|no matching .* found.*/i, negotiationError],
  [
    /Permission denied \(([\w,@.-]*)\)/,
    (failure, [, offered = '']) => authenticationError(failure, offered.split(',')),
  ],
  [
    /Too many authentication failures|No supported authentication methods/i,
    (failure) => authenticationError(failure, []),
  ],
  [
    /Could not resolve hostname .*: (.*)/,
    (failure, [, why = '']) =>
      reachError(failure, /temporar|try again/i.test(why) ? 'EAI_AGAIN' : 'ENOTFOUND'),
  ],
  [/Connection refused/, (failure) => reachError(failure, 'ECONNREFUSED')],
  [/timed? ?out/i, (failure) => reachError(failure, 'ETIMEDOUT')],
  [/No route to host/, (failure) => reachError(failure, 'EHOSTUNREACH')],
  [/Network is unreachable/, (failure) => reachError(failure, 'ENETUNREACH')],
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
    (failure) => reachError(failure, 'ECONNRESET'),
  ],
];

/** Why ssh ended before the connection was there. */
export function explainFailure(failure: Failure): Error {
  const text = failure.complaints.join('\n');
  for (const [pattern, explain] of REASONS) {
    const match = pattern.exec(text);
    if (match !== null) return explain(failure, match);
  }
  const words = text === '' ? 'it gave no reason' : printable(text);
  return new SshError('SSH_FAILED', `ssh could not connect to ${where(failure)}: ${words}`);
}

function where({ host, port }: Failure): string {
  return `${printable(host)}:${port}`;
}

function reachError({ host, port, complaints }: Failure, code: string): ConnectionError {
  return connectionError({ host, port }, Object.assign(new Error(complaints.join('; ')), { code }));
}

function negotiationError(failure: Failure, [text]: RegExpExecArray): SshError {
  const offered = /Their offer: (\S+)/.exec(text)?.[1]?.split(',') ?? [];
  const advice = offered.some((name) => isLegacy(name))
    ? "the server is old and knows only what is no longer safe: update it, or accept that with cnopts: { algorithms: 'legacy' }"
    : 'the option transport: "ssh2" and the lists in cnopts may offer others';
  return new SshError('NEGOTIATION_FAILED', `${where(failure)}: ${printable(text)} (${advice})`);
}

function isLegacy(name: string): boolean {
  return Object.values(LEGACY_ADDITIONS).some((names) => names.includes(name));
}

function notSsh(failure: Failure): SshError {
  const text = printable(failure.complaints.join('; '), 300);
  return new SshError('NOT_SSH', `${where(failure)} does not answer like an SSH server: ${text}`);
}

function configError(failure: Failure): SshError {
  return new SshError(
    'CONFIG_INVALID',
    `ssh refuses its configuration: ${printable(failure.complaints.join('; '))}`,
  );
}

function authenticationError(failure: Failure, offered: readonly string[]): AuthenticationError {
  const tried = failure.tried.length > 0 ? failure.tried.join(', ') : 'nothing';
  const methods = offered.filter((method) => method !== '');
  return new AuthenticationError(
    `the server ${where(failure)} did not let ${printable(failure.username)} in: tried ${tried}; the server offers ` +
      `${methods.join(', ') || 'nothing that it names'}. Check the user name and what there is to log in with`,
    { tried: failure.tried, offered: methods },
  );
}

/** ssh has several words for a key of another type than those that are known. */
function mismatch({ knownTypes, serverKey }: Failure, otherwise: HostKeysErrorCode): HostKeysErrorCode {
  const other = knownTypes.length > 0 && serverKey !== undefined && !knownTypes.includes(serverKey.type);
  return other ? 'HOST_KEY_OTHER_TYPE' : otherwise;
}

/** A hop that is not known fails with the same words, but under its own name: the pins are the server's. */
function isPinned({ pins, host, port, hostKeyAlias }: Failure, name: string | undefined): boolean {
  return pins !== undefined && name?.toLowerCase() === (hostKeyAlias ?? hostName(host, port)).toLowerCase();
}

function pinError(failure: Failure): HostKeysError {
  const { pins = [] } = failure;
  const wanted = pins.length === 0 ? 'none was given' : `expected ${pins.join(' or ')}`;
  return hostKeyError(
    failure,
    'HOST_KEY_CHANGED',
    `does not have the fingerprint that was asked for (${wanted}). Either the server has got a new key, or somebody ` +
      'is in between. Ask whoever runs the server before you trust the new one',
  );
}

const HOST_KEY_WORDS: Readonly<Partial<Record<HostKeysErrorCode, string>>> = {
  HOST_KEY_UNKNOWN:
    'is not known. Compare the fingerprint with one from whoever runs the server; if it is the same, connect once ' +
    'with ssh and say yes, or give it as the option fingerprint',
  HOST_KEY_OTHER_TYPE:
    'is of another type than what is known. The server may have got a new key, or somebody is in between. Compare ' +
    'the fingerprint with one from whoever runs the server',
  HOST_KEY_CHANGED:
    'HAS CHANGED. Either the server has got a new key, or somebody is in between. Ask whoever runs the server; only ' +
    'if the new one is right, forget the old one with ssh-keygen -R',
  HOST_KEY_REVOKED: 'is marked as revoked: it must not be trusted any more. Ask whoever runs the server',
  HOST_KEY_REFUSED: 'is too weak to be trusted; the server should get a new one, best ssh-ed25519',
};

function hostKeyError(
  failure: Failure,
  code: HostKeysErrorCode,
  words = HOST_KEY_WORDS[code],
): HostKeysError {
  const { serverKey, complaints } = failure;
  const shown = serverKey === undefined ? '' : ` (${serverKey.type} ${serverKey.fingerprint})`;
  const [, file, line] =
    /(?:Offending|key in|revoked key) .*?(\/[^:\n]+|[A-Z]:\\[^:\n]+):(\d+)/.exec(complaints.join('\n')) ?? [];
  const place = file === undefined ? '' : ` (the known one: ${printable(file)}:${line})`;
  return new HostKeysError(code, `the host key of ${where(failure)}${shown} ${words}${place}`, {
    ...(serverKey !== undefined && { fingerprint: serverKey.fingerprint, keyType: serverKey.type }),
    ...(file !== undefined && { file, line: Number(line) }),
  });
}
