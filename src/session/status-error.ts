import { SftpStatusError } from '../errors.js';
import { printable } from '../shared/printable.js';
import { decodePath, quote, type RemotePath, textOf } from '../shared/remote-path.js';
import { describeStatus, SSH_FX } from '../wire/status.js';

/** What a request was about, for the message of an error. */
export interface RequestContext {
  readonly operation: string;
  /** The path in question. */
  readonly path?: RemotePath | undefined;
  /** The second path of a request that has two. */
  readonly newPath?: RemotePath | undefined;
}

/** The beginning of an error's message: what was asked, and about what. */
export function describeRequest({ operation, path, newPath }: RequestContext): string {
  const subject = path === undefined ? '' : ` ${quote(path)}`;
  return `${operation}${subject}${newPath === undefined ? '' : ` to ${quote(newPath)}`}`;
}

/** A STATUS that is not OK, as the error that the caller gets. */
export function statusError(
  reply: { readonly status: number; readonly message: string },
  context: RequestContext,
): SftpStatusError {
  const serverMessage = printable(reply.message);
  const { name, code, meaning } = describeStatus(reply.status, reply.message);
  const said = serverMessage === '' ? '' : `, the server says: ${serverMessage}`;
  const what = code === 'FAILURE' && said === '' ? `${meaning} without saying why` : meaning;
  return new SftpStatusError(code, `${describeRequest(context)}: ${what} (${name}${said})`, {
    status: reply.status,
    statusName: name,
    operation: context.operation,
    path: context.path === undefined ? undefined : textOf(context.path),
    serverMessage,
  });
}

/** A failure that we see ourselves, where the server would only have said that there is one. */
export function failure(
  code: string,
  operation: string,
  path: Uint8Array,
  what: string,
  cause?: unknown,
): SftpStatusError {
  return new SftpStatusError(code, `${operation} ${quote(path)}: ${what}`, {
    status: SSH_FX.FAILURE,
    statusName: describeStatus(SSH_FX.FAILURE, '').name,
    operation,
    path: decodePath(path),
    serverMessage: '',
    cause,
  });
}

/** What a request comes to, or something else if the server refuses it. */
export async function unlessRefused<T>(request: Promise<T>): Promise<T | undefined>;
export async function unlessRefused<T, Other>(request: Promise<T>, otherwise: Other): Promise<T | Other>;
export async function unlessRefused<T, Other>(request: Promise<T>, otherwise?: Other) {
  try {
    return await request;
  } catch (error) {
    if (error instanceof SftpStatusError) return otherwise;
    throw error;
  }
}

/** Waits for a call; the server's refusal, if that is how it ends. */
export async function refusalOf(call: Promise<unknown>): Promise<SftpStatusError | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    if (error instanceof SftpStatusError) return error;
    throw error;
  }
}
