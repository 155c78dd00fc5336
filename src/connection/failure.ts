import { SftpStatusError } from '../errors.js';
import { decodePath, quote } from '../remote-path.js';
import { describeStatus, SSH_FX } from '../wire/status.js';

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
