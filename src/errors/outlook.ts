/** Whether it helps to try again, for programs that repeat whole jobs. */
import { ConnectionError, ConnectionLostError, SftpError } from '../errors.js';
import { ERROR_CODES, type Outlook } from './error-codes.js';

/** By class and code. */
const OUTLOOKS: ReadonlyMap<string, Outlook> = new Map(
  Object.entries(ERROR_CODES).flatMap(([name, codes]) =>
    Object.entries(codes).map(([code, { outlook }]) => [`${name} ${code}`, outlook] as const),
  ),
);

/**
 * What helps against an error: `retry`, the same may work a moment later; `fix`, it will fail again until the program,
 * its options or the files are others; `ask`, a person has to look at the server, its key or its account. An error that
 * is not ours, such as a `TypeError` or one of the local disk, is `fix`.
 *
 * @example
 * if (outlookOf(error) === 'ask') await tellSomebody(error);
 */
export function outlookOf(error: unknown): Outlook {
  if (!(error instanceof SftpError)) return 'fix';
  const known = OUTLOOKS.get(`${error.name} ${error.code}`);
  // A network has more ways to fail than anybody lists.
  const isOfNetwork = error instanceof ConnectionError || error instanceof ConnectionLostError;
  return known ?? (isOfNetwork ? 'retry' : 'ask');
}

/**
 * Whether the same call may work a moment later: the network or the server failed, and nobody has said no.
 *
 * @example
 * for (let attempt = 1; ; attempt += 1) {
 *   try {
 *     return await sftp.get('data.csv');
 *   } catch (error) {
 *     if (!isTransient(error) || attempt === 3) throw error;
 *   }
 * }
 */
export function isTransient(error: unknown): boolean {
  return outlookOf(error) === 'retry';
}
