/** Connecting with the options of ssh2-sftp-client. */
import { connect as dial } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';
import {
  AuthenticationError,
  type Connection,
  ConnectionError,
  CredentialError,
  connect,
  HostKeysError,
  type HostOptions,
  type Logger,
  SshError,
} from '../../index.js';
import { type ClientError, clientError } from '../client-error.js';
import type { ConnectOptions } from '../types.js';
import { algorithmLists } from './algorithms.js';
import { hostKeyVerifier } from './host-verifier.js';
import { type AskKeyboard, loginOf, NO_METHOD_LEFT } from './login.js';

const DEFAULT_TIMEOUT_MS = 20_000;
/** For those who want none. */
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;
const DEFAULT_PAUSE_MS = 1_000;

export interface ConnectingOptions {
  readonly askKeyboard: AskKeyboard | undefined;
  readonly signal: AbortSignal;
}

/** Rejects with errors whose messages begin as those of ssh2-sftp-client do; what tsftp says is their `cause`. */
export async function openConnection(
  config: ConnectOptions,
  { askKeyboard, signal }: ConnectingOptions,
): Promise<Connection> {
  const options = { ...hostOptions(config, askKeyboard), signal };
  const { retries = 1, retry_factor: factor = 2, retry_minTimeout: firstPauseMs = DEFAULT_PAUSE_MS } = config;
  let pauseMs = firstPauseMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connect(options);
    } catch (error) {
      // Only what may be different the next time is tried again, and a stream serves only once.
      const mayHelp = error instanceof ConnectionError && config.sock === undefined && !signal.aborted;
      if (!mayHelp || attempt >= retries) throw connectError(error);
    }
    await pause(pauseMs, undefined, { signal });
    pauseMs *= factor;
  }
}

function hostOptions(config: ConnectOptions, askKeyboard: AskKeyboard | undefined): HostOptions {
  const { hostVerifier, hostHash, readyTimeout = DEFAULT_TIMEOUT_MS, debug, algorithms } = config;
  const { compression, ...lists } = algorithmLists(algorithms);
  const host = config.hostname || config.host || 'localhost';
  const port = checkPort(config.port || 22);
  return {
    ...loginOf(config, askKeyboard),
    ...lists,
    host,
    port,
    compression: compression || config.compress === true || config.compress === 'force',
    // A program that decides by itself needs no known hosts.
    hostkeys: hostVerifier !== undefined && config.knownhosts === undefined ? null : undefined,
    verifyHostKey: hostVerifier && hostKeyVerifier(hostVerifier, hostHash),
    knownhosts: config.knownhosts,
    fingerprint: config.fingerprint,
    hostKeyPolicy: config.hostKeyPolicy,
    connectTimeout: readyTimeout === 0 ? LONGEST_TIMEOUT_MS : readyTimeout,
    keepaliveInterval: config.keepaliveInterval,
    keepaliveCountMax: config.keepaliveCountMax,
    logger: debug && loggerOf(debug),
    socket: socketOf(config, host, port),
  };
}

/** @throws RangeError as Node does for a port that is none */
function checkPort(given: number | string): number {
  const port = Number(given);
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port;
  const error = new RangeError(
    `Port should be >= 0 and < 65536. Received type ${typeof given} (${inspect(given)}).`,
  );
  throw Object.assign(error, { code: 'ERR_SOCKET_BAD_PORT' });
}

/** tsftp dials by itself, unless there is something to say about it. */
function socketOf(config: ConnectOptions, host: string, port: number): HostOptions['socket'] {
  const { sock, forceIPv4, forceIPv6, localAddress, localPort } = config;
  if (sock !== undefined) {
    // Also one of another package's classes.
    if (typeof (sock as Partial<Duplex>).write === 'function') return sock as Duplex;
    throw clientError('connect: sock must be a Duplex stream, as the socket of a proxy is');
  }
  const family = forceIPv4 ? 4 : forceIPv6 ? 6 : undefined;
  if ([family, localAddress, localPort].every((each) => each === undefined)) return undefined;
  return () =>
    dial({
      host,
      port,
      noDelay: true,
      ...(family !== undefined && { family }),
      ...(localAddress !== undefined && { localAddress }),
      ...(localPort !== undefined && { localPort }),
    });
}

function loggerOf(debug: (line: string) => void): Logger {
  const write = (line: string): void => debug(line);
  return { debug: write, info: write, warn: write, error: write };
}

interface Explanation {
  readonly message: string;
  readonly code?: string;
  /** Left out where nothing has been tried. */
  readonly level?: string;
}

type Explain = (error: Error) => Explanation;

/** What ssh2 says to each, so that programs which look for it find it. */
const EXPLANATIONS: readonly (readonly [kind: new (...parameters: never[]) => Error, explain: Explain])[] = [
  [
    AuthenticationError,
    () => ({ message: `getConnection: ${NO_METHOD_LEFT}`, level: 'client-authentication' }),
  ],
  [HostKeysError, (error) => explainHostKey(error as HostKeysError)],
  [CredentialError, (error) => ({ message: `Cannot parse privateKey: ${error.message}` })],
  [ConnectionError, (error) => explainConnection(error as ConnectionError)],
  [SshError, (error) => explainSsh(error as SshError)],
];

function connectError(error: unknown): Error {
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof RangeError) {
    return error as Error;
  }
  const explain = EXPLANATIONS.find(([kind]) => error instanceof kind)?.[1];
  const { message, code, level } = explain?.(error) ?? explainOther(error);
  const failure = clientError(message, code, error);
  if (level !== undefined) failure.level = level;
  return failure;
}

function explainOther({ message }: Error): Explanation {
  if (message.startsWith('Cannot parse privateKey')) return { message };
  const level = message === NO_METHOD_LEFT ? 'client-authentication' : 'protocol';
  return { message: `getConnection: ${message}`, level };
}

const LOST_EARLY = 'getConnection: Connection lost before handshake';
const DENIED = 'getConnection: Host denied (verification failed)';

/** For a key that is not known, the message has the line that is missing, ready to be copied. */
function explainHostKey({ code, fingerprint, message, cause }: HostKeysError): Explanation {
  const level = 'handshake';
  // What `hostVerifier` has thrown.
  if (cause instanceof Error && code === 'HOST_KEY_REFUSED') {
    return { message: `getConnection: ${cause.message}`, code, level };
  }
  const line =
    code === 'HOST_KEY_UNKNOWN'
      ? `. Once you have compared it, this line in the options of connect pins it: fingerprint: '${fingerprint}'`
      : '';
  return { message: `${DENIED}: ${message}${line}`, code, level };
}

function explainConnection({ code, host, port, cause }: ConnectionError): Explanation {
  if (code === 'ETIMEDOUT' && cause === undefined) {
    return { message: 'getConnection: Timed out while waiting for handshake', code, level: 'client-timeout' };
  }
  if (code === 'ECONNRESET') return { message: LOST_EARLY, code, level: 'protocol' };
  const said = cause instanceof Error && cause.message !== '' ? cause.message : undefined;
  const message = `getConnection: ${said ?? `connect ${code} ${host}:${port}`}`;
  return { message, code, level: 'client-socket' };
}

function explainSsh({ code, message, cause }: SshError): Explanation {
  const [unsupported] = /Unsupported algorithm: .*/.exec(message) ?? [];
  if (unsupported !== undefined) return { message: unsupported };
  if (code === 'NOT_SSH') return { message: LOST_EARLY, code: 'ECONNRESET', level: 'protocol' };
  const said = cause instanceof Error && code === 'NEGOTIATION_FAILED' ? cause.message : message;
  return {
    message: `getConnection: ${said}`,
    level: code === 'NEGOTIATION_FAILED' ? 'handshake' : 'protocol',
  };
}

/** The error of a connection that was ended while it was made. */
export function endedEarly(): ClientError {
  return clientError('getConnection: end() was called before the connection was made', 'ERR_GENERIC_CLIENT');
}
