/** Errors as those of node:fs: programs branch on `code`, and some read `errno`, `syscall`, `path` and `dest`. */
import { getSystemErrorMap } from 'node:util';
import { ProtocolError, SftpError, SftpStatusError, TimeoutError } from '../../errors.js';

/** What failed, in the words of the system call that node:fs would have made. */
export interface Subject {
  readonly syscall: string;
  readonly path?: string | undefined;
  readonly dest?: string | undefined;
}

interface SystemError {
  readonly errno: number;
  readonly message: string;
}

/** The numbers and words of this machine, which are what node:fs has here. */
const SYSTEM_ERRORS: ReadonlyMap<string, SystemError> = new Map(
  [...getSystemErrorMap()].map(([errno, [code, message]]) => [code, { errno, message }]),
);

/** Codes of ours that no system call has. What has no row here and is no system's code is EIO. */
const CODES: Readonly<Record<string, string>> = {
  // A program that gets along without something asks for this code.
  ENOTSUP: 'ENOSYS',
  CLOSED: 'ENOTCONN',
  CONNECTION_LOST: 'ECONNRESET',
  LIMIT: 'EFBIG',
  UNSAFE_NAME: 'EBADMSG',
};

/** Those that have been told already, each with its cause. */
const told = new WeakMap<Error, unknown>();

/** `ENOENT: no such file or directory, open 'x'`, with the fields that Node sets. */
export function systemError(code: string, { syscall, path, dest }: Subject, cause?: unknown): Error {
  const known = SYSTEM_ERRORS.has(code) ? code : 'EIO';
  const { errno, message } = SYSTEM_ERRORS.get(known) ?? { errno: -5, message: 'i/o error' };
  const subject = path === undefined ? '' : ` '${path}'`;
  const target = dest === undefined ? '' : ` -> '${dest}'`;
  const text = `${known}: ${message}, ${syscall}${subject}${target}`;
  const error = new Error(text, cause === undefined ? undefined : { cause });
  const names = { ...(path === undefined ? {} : { path }), ...(dest === undefined ? {} : { dest }) };
  told.set(error, cause);
  return Object.assign(error, { errno, code: known, syscall, ...names });
}

/** Whatever went wrong, as node:fs tells it; invalid arguments and what has been told already stay as they are. */
export function nodeError(error: unknown, subject: Subject): unknown {
  if (!(error instanceof SftpError) || told.has(error)) return error;
  return systemError(codeOf(error), subject, error);
}

function codeOf(error: SftpError): string {
  if (error instanceof TimeoutError) return 'ETIMEDOUT';
  if (error instanceof ProtocolError) return 'EPROTO';
  return CODES[error.code] ?? error.code;
}

/** What is behind an error that has been told. */
export function originOf(error: unknown): unknown {
  return error instanceof Error && told.has(error) ? told.get(error) : error;
}

/**
 * Whether it is not an answer about the file: the connection, the protocol, or a server that fails without a reason. Where
 * a program passes over such an error, it takes what it has for all there is.
 */
export function isTrouble(error: unknown): boolean {
  const origin = originOf(error);
  if (!(origin instanceof SftpError)) return false;
  return !(origin instanceof SftpStatusError) || ['FAILURE', 'EMFILE', 'ECONNRESET'].includes(origin.code);
}

/** Misuse, as Node tells it: a `TypeError` or `RangeError` with a code. */
export function argumentError(Kind: new (message: string) => Error, code: string, message: string): Error {
  return Object.assign(new Kind(message), { code });
}

/** What Node rejects with when a signal aborts. */
export function abortError(signal: AbortSignal): Error {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  return Object.assign(error, { code: 'ABORT_ERR' });
}
