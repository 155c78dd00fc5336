/**
 * Code of the caller that runs in the middle of a transfer: a progress callback, a filter. What it throws is not a
 * failure of the transfer, to be explained, tried again or gone on after: the transfer ends, everything is tidied
 * up, and it comes out as it was thrown.
 */

import { readable } from '../errors/readable-error.js';

/** Carries what the caller's code has thrown through the transfer. */
export class CallerError extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('The code of the caller has thrown');
    this.reason = reason;
  }
}

/** The caller's code, with whatever it throws marked; it is not called again after that. */
export function marked<Parameters extends readonly unknown[], Result>(
  code: (...parameters: Parameters) => Result,
): (...parameters: Parameters) => Result {
  let thrown: CallerError | undefined;
  return (...parameters) => {
    if (thrown !== undefined) throw thrown;
    try {
      return code(...parameters);
    } catch (error) {
      thrown = new CallerError(error);
      throw thrown;
    }
  };
}

/** What the caller's code has thrown leaves the transfer as it was. */
export async function unmarked<T>(transfer: Promise<T>): Promise<T> {
  try {
    return await transfer;
  } catch (error) {
    throw error instanceof CallerError ? error.reason : readable(error);
  }
}
