import { SftpStatusError } from '../errors.js';
import { printable } from '../printable.js';
import { describeStatus } from '../wire/status.js';

/** What a request was about, for the message of an error. */
export interface RequestContext {
  readonly operation: string;
  /** The path in question, as text. */
  readonly path?: string | undefined;
}

/** A STATUS that is not OK, as the error that the caller gets. */
export function statusError(
  reply: { readonly status: number; readonly message: string },
  { operation, path }: RequestContext,
): SftpStatusError {
  const serverMessage = printable(reply.message);
  const { name, code, meaning } = describeStatus(reply.status, reply.message);
  const where = path === undefined ? '' : ` '${printable(path, 300)}'`;
  const said = serverMessage === '' ? '' : `, the server says: ${serverMessage}`;
  return new SftpStatusError(code, `${operation}${where}: ${meaning} (${name}${said})`, {
    status: reply.status,
    statusName: name,
    operation,
    path,
    serverMessage,
  });
}
