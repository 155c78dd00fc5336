/** Errors of the local disk, in words that may be shown. */
import { printable } from '../shared/printable.js';

/** Longer than two paths of a system, escaped, with Node's words around them. */
const MAX_LENGTH = 32 * 1024;

/**
 * Escapes the message of a system error, in which Node names paths as they are: a name may hold what a terminal would act
 * on. `path` and `dest` stay as they are, and so does every other error.
 */
export function readable<E>(error: E): E {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  const { message, stack } = error;
  const shown = printable(message, MAX_LENGTH);
  if (shown === message) return error;
  error.message = shown;
  if (stack !== undefined) error.stack = stack.replace(message, () => shown);
  return error;
}
