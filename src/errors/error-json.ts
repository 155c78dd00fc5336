/** Errors as data: `JSON.stringify` keeps neither message nor cause of an error by itself. */

/** An error as data: what the `toJSON` of every error gives. */
export interface ErrorJson {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  /** In the same form where it is an error. */
  readonly cause?: unknown;
  /** The details of its class. */
  readonly [detail: string]: unknown;
}

/** Causes of causes beyond this are left out; a chain may also lead back to itself. */
const MAX_CAUSES = 8;

/** Any error as data for a log or another process: name, message, code, details and causes, and no stack. */
export function jsonOf(error: Error, causesLeft = MAX_CAUSES): ErrorJson {
  const { name, message, cause } = error;
  const details = Object.entries(error).filter(([, value]) => isData(value));
  const json = { ...Object.fromEntries(details), name, message };
  if (causesLeft === 0 || !(cause instanceof Error || isData(cause))) return json;
  return { ...json, cause: cause instanceof Error ? jsonOf(cause, causesLeft - 1) : cause };
}

/** What others hang on their errors, as sockets and requests, is left out. */
function isData(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) {
    return value === null || ['string', 'number', 'boolean'].includes(typeof value);
  }
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype;
  return (
    isPlain &&
    Object.values(value).every((each) => each === undefined || (typeof each !== 'object' && isData(each)))
  );
}

/** Makes an error that is not ours, as one of the local disk, something that JSON keeps as well. */
export function withJson<E>(error: E): E {
  if (error instanceof Error && !('toJSON' in error)) {
    Object.defineProperty(error, 'toJSON', { value: () => jsonOf(error), configurable: true });
  }
  return error;
}
