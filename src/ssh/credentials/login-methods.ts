/** The login methods, and those of them that a program wants. */
import { kindOf } from '../../shared/arguments.js';
import { printable } from '../../shared/printable.js';

/** A method of logging in (RFC 4252, RFC 4256). */
export type LoginMethod = 'publickey' | 'keyboard-interactive' | 'password';

/** In the order in which they are tried. */
export const LOGIN_METHODS: readonly LoginMethod[] = ['publickey', 'keyboard-interactive', 'password'];

/** @throws TypeError it is not a list of login methods, or an empty one */
export function checkLoginMethods(methods: unknown): void {
  if (methods === undefined) return;
  if (!Array.isArray(methods) || methods.length === 0) {
    throw new TypeError(`authMethods must be a list of ${LOGIN_METHODS.join(', ')}, not ${shown(methods)}`);
  }
  const unknown = (methods as readonly unknown[]).find(
    (method) => !LOGIN_METHODS.some((one) => one === method),
  );
  if (unknown === undefined) return;
  throw new TypeError(
    `authMethods must be a list of ${LOGIN_METHODS.join(', ')}; ${shown(unknown)} is none of them`,
  );
}

function shown(value: unknown): string {
  if (Array.isArray(value)) return 'an empty list';
  return typeof value === 'string' ? `'${printable(value, 60)}'` : kindOf(value);
}
