/** What the exit code of the program tells: one table, from which the documents are made. */
import {
  AuthenticationError,
  ConnectionError,
  ConnectionLostError,
  CredentialError,
  HostKeysError,
  isTransient,
  ProtocolError,
  SftpError,
  SftpStatusError,
  SshError,
  TimeoutError,
  TransferError,
  UnsupportedError,
} from '../../index.js';
import { UsageError } from './usage-error.js';

/** The codes by name. */
export const EXIT = {
  done: 0,
  partial: 1,
  usage: 2,
  missing: 3,
  refused: 4,
  temporary: 5,
  unreachable: 6,
  login: 7,
  hostKey: 8,
  nothing: 9,
  local: 10,
  different: 11,
  protocol: 12,
  interrupted: 130,
  terminated: 143,
} as const;

/** For the documents: every code, and when it is given. */
export const EXIT_CODES: readonly (readonly [code: number, when: string])[] = [
  [EXIT.done, 'everything was done'],
  [EXIT.partial, 'a part was done; what failed is listed on standard error'],
  [EXIT.usage, 'the command line is wrong; nothing was sent'],
  [EXIT.missing, 'a file or directory on the server does not exist'],
  [EXIT.refused, 'the server refused: permission, read-only, disk full, already there, directory not empty'],
  [
    EXIT.temporary,
    'the connection was lost or timed out after all retries, or something was busy: try again',
  ],
  [EXIT.unreachable, 'the connection cannot be made'],
  [EXIT.login, 'the login failed, or there is nothing to log in with'],
  [EXIT.hostKey, 'the host key is not known, has changed or was refused'],
  [EXIT.nothing, 'there was nothing to do (only with `--error-on-nothing`)'],
  [EXIT.local, 'a local file cannot be read or written'],
  [EXIT.different, '`check` found differences'],
  [EXIT.protocol, 'the server broke the protocol, or lacks what the command needs'],
  [EXIT.interrupted, 'interrupted by Ctrl-C (SIGINT)'],
  [EXIT.terminated, 'ended by SIGTERM'],
];

/** A signal has ended the work. */
export class Interruption extends Error {
  override readonly name: string = 'Interruption';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super('Interrupted');
    this.exitCode = exitCode;
  }
}

/** Files on this computer that cannot be read or written, where Node has no error of its own for it. */
export class LocalFileError extends Error {
  override readonly name: string = 'LocalFileError';
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** A result that is an exit code of its own, and no failure of anything. */
export class Verdict extends Error {
  override readonly name: string = 'Verdict';
  readonly code: string;
  readonly exitCode: number;

  constructor(code: string, exitCode: number, message: string) {
    super(message);
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** By the code of an error, for what a server answers and for transfers that it ends. */
const REMOTE_CODES: Readonly<Record<string, number>> = {
  ENOENT: EXIT.missing,
  ENOTDIR: EXIT.missing,
  ENOTSUP: EXIT.protocol,
  VANISHED: EXIT.temporary,
  EOF: EXIT.protocol,
};

const SSH_CODES: Readonly<Record<string, number>> = {
  CHANNEL_TIMEOUT: EXIT.temporary,
  CHANNEL_CLOSED: EXIT.temporary,
  CONFIG_INVALID: EXIT.local,
  CONFIG_UNSUPPORTED: EXIT.protocol,
  CONFIG_UNUSABLE: EXIT.local,
  HOST_KEY_SWITCHED: EXIT.hostKey,
  SSH_PROTOCOL: EXIT.protocol,
  UNSUPPORTED_OPTION: EXIT.usage,
  WINDOW_EXCEEDED: EXIT.protocol,
};

const OTHER_CODES: Readonly<Record<string, number>> = {
  TOO_MANY_DELETIONS: EXIT.usage,
  NAME_COLLISION: EXIT.local,
  NO_HOME_DIRECTORY: EXIT.local,
  OUTSIDE: EXIT.protocol,
  UNSAFE_NAME: EXIT.protocol,
  LIMIT: EXIT.protocol,
  ENOTSUP: EXIT.protocol,
  ERANGE: EXIT.protocol,
};

const RULES: readonly ((error: unknown) => number | undefined)[] = [
  (error) => (error instanceof Interruption || error instanceof Verdict ? error.exitCode : undefined),
  (error) => (error instanceof UsageError ? EXIT.usage : undefined),
  (error) => (error instanceof HostKeysError ? EXIT.hostKey : undefined),
  (error) =>
    error instanceof AuthenticationError || error instanceof CredentialError ? EXIT.login : undefined,
  (error) => (error instanceof ConnectionError ? EXIT.unreachable : undefined),
  (error) =>
    error instanceof ConnectionLostError || error instanceof TimeoutError ? EXIT.temporary : undefined,
  (error) =>
    error instanceof ProtocolError || error instanceof UnsupportedError ? EXIT.protocol : undefined,
  (error) => (error instanceof SshError ? (SSH_CODES[error.code] ?? EXIT.unreachable) : undefined),
  (error) =>
    error instanceof TransferError && error.side === 'local' && !isTransient(error) ? EXIT.local : undefined,
  (error) =>
    error instanceof SftpStatusError || error instanceof TransferError
      ? (REMOTE_CODES[error.code] ?? (isTransient(error) ? EXIT.temporary : EXIT.refused))
      : undefined,
  (error) =>
    error instanceof SftpError
      ? (OTHER_CODES[error.code] ?? (isTransient(error) ? EXIT.temporary : EXIT.refused))
      : undefined,
  (error) => (error instanceof LocalFileError || isOfSystem(error) ? EXIT.local : undefined),
  // What the library refuses as an argument was written on the command line.
  (error) => (error instanceof TypeError || error instanceof RangeError ? EXIT.usage : undefined),
];

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  for (const rule of RULES) {
    const code = rule(error);
    if (code !== undefined) return code;
  }
  return EXIT.protocol;
}

/** Whether nothing else on the same connection can work after it. */
export function endsEverything(error: unknown): boolean {
  if (error instanceof Interruption || error instanceof UsageError) return true;
  return (
    error instanceof HostKeysError ||
    error instanceof AuthenticationError ||
    error instanceof CredentialError ||
    error instanceof ConnectionError ||
    error instanceof ConnectionLostError ||
    error instanceof ProtocolError ||
    error instanceof SshError
  );
}

/** An error of Node about a file of this computer. */
function isOfSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
