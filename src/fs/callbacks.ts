/** The callback forms of the functions that give promises. */
import { promisify } from 'node:util';
import { wrongType } from './base/arguments.js';

type Operation = (...args: unknown[]) => Promise<unknown>;
type Callback = (...args: unknown[]) => void;

/** The last function among the arguments, and what comes before it. */
function splitCallback(args: readonly unknown[]): { readonly callback: Callback; readonly rest: unknown[] } {
  const at = args.findLastIndex((each) => typeof each === 'function');
  const callback = args[at];
  if (typeof callback !== 'function') throw wrongType('cb', 'of type function', args.at(-1));
  return { callback: callback as Callback, rest: args.slice(0, at) };
}

/**
 * Invalid arguments throw at the call, as in Node. The callback runs outside of the promise: what it throws is its program's
 * own error.
 *
 * @param resultsOf what the callback gets behind the error
 */
export function withCallback(
  operation: Operation,
  resultsOf: (result: unknown) => readonly unknown[] = (result) => (result === undefined ? [] : [result]),
): (...args: unknown[]) => void {
  return (...args) => {
    const { callback, rest } = splitCallback(args);
    begin(operation, rest).then(
      (result) => process.nextTick(callback, null, ...resultsOf(result)),
      (error: unknown) => process.nextTick(callback, error),
    );
  };
}

/** A number that is not open is no mistake of the call, but an error for its callback. */
function begin(operation: Operation, args: readonly unknown[]): Promise<unknown> {
  try {
    return operation(...args);
  } catch (error) {
    if (error instanceof Error && 'errno' in error) return Promise.reject(error);
    throw error;
  }
}

/** The same where the callback gets several results, which `util.promisify` makes an object of. */
export function withResults(operation: Operation, ...names: readonly string[]): (...args: unknown[]) => void {
  const resultsOf = (result: unknown) => names.map((name) => (result as Record<string, unknown>)[name]);
  const promised = async (...args: unknown[]) => operation(...args);
  return Object.assign(withCallback(operation, resultsOf), { [promisify.custom]: promised });
}

/** `exists` gives no error. */
export function withoutError(operation: Operation): (...args: unknown[]) => void {
  const called = (...args: unknown[]) => {
    const { callback, rest } = splitCallback(args);
    void operation(...rest).then((result) => process.nextTick(callback, result));
  };
  return Object.assign(called, { [promisify.custom]: async (...args: unknown[]) => operation(...args) });
}
