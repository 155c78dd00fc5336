/**
 * Handles that a server gives once more while they are open, as Erlang's `ssh_sftpd` does from the third on. What goes
 * through them reaches one file or the other, so all calls that have one fail, and what can be done anew is.
 */
import { SftpError } from '../../errors.js';
import { describeRequest, type RequestContext } from '../status-error.js';

const CODE = 'HANDLE_TWICE';
/** While a session learns that it may not have many handles, several calls in a row may be concerned. */
const MAX_ATTEMPTS = 16;

export function givenTwice(context: RequestContext): SftpError {
  return handleTwice(describeRequest(context));
}

/** @param subject what was done, for the message */
export function handleTwice(subject: string): SftpError {
  const what = 'the server gave a handle twice while it was open, so that it may be that of another file';
  return new SftpError(CODE, `${subject}: ${what}; open fewer files at once`);
}

export function isGivenTwice(error: unknown): boolean {
  return error instanceof SftpError && error.code === CODE;
}

/**
 * Does it once more where a handle was given twice meanwhile, whatever has come of it: bytes for one file may have reached
 * another that had its handle a moment before. By then the session opens one file after the other.
 *
 * @param repeats how many handles have been given twice so far, on all servers concerned
 */
export async function anew<T>(attempt: (isFirst: boolean) => Promise<T>, repeats: () => number): Promise<T> {
  for (let count = 1; ; count += 1) {
    const before = repeats();
    try {
      const result = await attempt(count === 1);
      if (count === MAX_ATTEMPTS || repeats() === before) return result;
    } catch (error) {
      // What was written through such a handle before may only show now, in the file of a later attempt.
      const isConcerned = isGivenTwice(error) || (repeats() > 0 && isWrongContent(error));
      if (count === MAX_ATTEMPTS || !isConcerned) throw error;
    }
  }
}

function isWrongContent(error: unknown): boolean {
  return error instanceof SftpError && ['SIZE_MISMATCH', 'SOURCE_CHANGED'].includes(error.code);
}
