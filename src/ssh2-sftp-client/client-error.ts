/** Errors as programs that were written for ssh2-sftp-client look at them: their codes, and how their messages begin. */
import { ConnectionLostError, SftpError, SftpStatusError, TransferError } from '../index.js';

/** What every method rejects with. */
export interface ClientError extends Error {
  /**
   * The number of the server's answer (2: no such file, 3: permission denied, 4: failure …), a code of Node's
   * (`ENOENT`, `ECONNRESET` …), or one of `ERR_NOT_CONNECTED`, `ERR_BAD_PATH` and `ERR_GENERIC_CLIENT`.
   */
  code?: string | number;
  /** True: it has been made here. */
  custom?: boolean;
  /** Of an error of the connection: where it failed, as ssh2 says it (`client-socket`, `client-authentication` …). */
  level?: string;
}

export const CODES = {
  notConnected: 'ERR_NOT_CONNECTED',
  badPath: 'ERR_BAD_PATH',
  generic: 'ERR_GENERIC_CLIENT',
} as const;

/** The words of OpenSSH's server for what a status says (section 7 of the draft). */
const STATUS_WORDS: Readonly<Record<number, string>> = {
  1: 'End of file',
  2: 'No such file',
  3: 'Permission denied',
  4: 'Failure',
  5: 'Bad message',
  6: 'No connection',
  7: 'Connection lost',
  8: 'Operation unsupported',
};

const FAILURE = 4;

/** What tsftp finds out before the server would, which says no more of it than that it fails. */
const REFUSED_BY_US: ReadonlySet<string> = new Set(['EISDIR', 'EEXIST', 'ENOTDIR', 'ENOTEMPTY']);

export function clientError(message: string, code?: string | number, cause?: unknown): ClientError {
  const error: ClientError = new Error(message, cause === undefined ? undefined : { cause });
  if (code !== undefined) error.code = code;
  error.custom = true;
  return error;
}

/** What ssh2-sftp-client says of a connection that fails, by code. */
const NETWORK_WORDS: Readonly<Record<string, (message: string) => string>> = {
  ENOTFOUND: () => 'Address lookup failed for host',
  ECONNREFUSED: () => 'Remote host refused connection',
  ECONNRESET: (message) => `Remote host has reset the connection: ${message}`,
};

/** An error in the form of this package, made of any other one, or of a text and a code. */
export function formatted(reason: unknown, name: string, code: string = CODES.generic): ClientError {
  if (reason === undefined || reason === null)
    return clientError(`${name}: Undefined error - probably a bug!`, CODES.generic);
  const other = typeof reason === 'string' ? code : CODES.generic;
  const { code: known = other } = reason as { readonly code?: string | number };
  if (isClientError(reason)) return clientError(`${name}->${reason.message}`, known, reason);
  const text = NETWORK_WORDS[known]?.(textOf(reason)) ?? textOf(reason);
  return clientError(`${name}: ${text}`, known, reason);
}

export function notConnected(method: string): ClientError {
  return clientError(`${method}: No SFTP connection available`, CODES.notConnected);
}

/** What the event `error` tells of a connection that is lost: the words of ssh2, where they are known. */
export function lossError(reason: unknown): ClientError {
  const { text, code } = findingOf(reason);
  const { level, message } = ((reason as Error).cause ?? {}) as {
    readonly level?: unknown;
    readonly message?: string;
  };
  const error = clientError(message ?? text, code, reason);
  if (typeof level === 'string') error.level = level;
  return error;
}

/** What the event `error` tells of connecting, which is not the method that has called for it. */
export function eventError(failure: ClientError): ClientError {
  const message = failure.message.replace(/^getConnection: /, '');
  return Object.assign(clientError(message, failure.code, failure.cause), { level: failure.level });
}

/** What an error says: the server's words, Node's, or ours. */
export interface Finding {
  readonly text: string;
  readonly code: string | number;
}

/** How the message of an error is put together. */
export interface ErrorForm {
  /** What comes before the reason, usually the method. */
  readonly before: string;
  /** What comes after it: the paths. */
  readonly after?: string | undefined;
  /** In place of the code that the reason has. */
  readonly code?: string | undefined;
}

/** The error of a method, with what tsftp has found out as its `cause`. */
export function asClientError(error: unknown, { before, after, code }: ErrorForm): ClientError {
  if (isClientError(error)) return error;
  const found = findingOf(error);
  const end = after === undefined ? '' : ` ${after}`;
  return clientError(`${before}: ${found.text}${end}`, code ?? found.code, error);
}

export function findingOf(error: unknown): Finding {
  const status = findCause(error, isStatus);
  if (status !== undefined) {
    const { serverMessage } = status;
    return {
      text: serverMessage || (STATUS_WORDS[status.status] ?? status.message),
      code: status.status,
    };
  }
  if (findCause(error, isLoss) !== undefined) {
    return { text: `Unexpected end event (ECONNRESET): ${(error as Error).message}`, code: 'ECONNRESET' };
  }
  if (error instanceof SftpError && REFUSED_BY_US.has(error.code) && !isLocal(error)) {
    return { text: STATUS_WORDS[FAILURE] ?? '', code: FAILURE };
  }
  const reason = error instanceof TransferError && error.cause instanceof Error ? error.cause : error;
  return { text: textOf(reason), code: codeOf(reason) };
}

/** Whether the server says that there is no such file, or that a file is in the way. */
export function isMissing(error: unknown): boolean {
  const { status, code } = findCause(error, isStatus) ?? {};
  return status === 2 || code === 'ENOENT' || code === 'ENOTDIR';
}

/** Whether what failed was the source or target on this side. */
export function isLocal(error: unknown): boolean {
  if (error instanceof TransferError) return error.side === 'local';
  // Node's own, of a local file that could not be opened, or that of a stream of the caller's.
  return ![SftpError, TypeError, RangeError].some((kind) => error instanceof kind);
}

function isStatus(error: unknown): error is SftpStatusError {
  return error instanceof SftpStatusError;
}

function isLoss(error: unknown): error is ConnectionLostError {
  return error instanceof ConnectionLostError;
}

function isClientError(error: unknown): error is ClientError {
  return error instanceof Error && (error as ClientError).custom === true;
}

function textOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

function codeOf(reason: unknown): string | number {
  if (reason instanceof TypeError || reason instanceof RangeError) return 'ERR_INVALID_ARG_TYPE';
  const { code } = (reason ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? code : CODES.generic;
}

/** The first of an error and its causes that is of a kind. */
function findCause<T>(error: unknown, isWanted: (error: unknown) => error is T): T | undefined {
  let each = error;
  for (let depth = 0; depth < 8 && each instanceof Error; depth += 1) {
    if (isWanted(each)) return each;
    each = each.cause;
  }
  return undefined;
}
