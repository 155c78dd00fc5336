/** Checks of what callers pass; nothing is sent where one fails. */
import { checkCount } from '../arguments.js';
import { quote } from '../remote-path.js';

/** @throws TypeError | RangeError where the value is no size of a file. */
export function checkSize(value: unknown, name: string): number {
  return checkCount(name, value);
}

/** @throws TypeError | RangeError where the value does not fit the wire's 32 bits. */
export function checkUint32(value: unknown, name: string): number {
  return checkCount(name, value, 0xffff_ffff);
}

/** @throws TypeError where the value is no path on this machine. */
export function checkLocalPath(value: unknown, name = 'localpath'): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, not ${typeName(value)}`);
  if (value === '') throw new TypeError(`${name} is empty: use '.' for the current directory`);
  if (value.includes('\0')) throw new TypeError(`${name} ${quote(value)} contains a NUL character`);
  if (!value.isWellFormed()) throw new TypeError(`${name} ${quote(value)} has a lone surrogate`);
  return value;
}

/** @throws TypeError where the value is none of the choices. */
export function checkChoice<T extends string>(value: unknown, choices: readonly T[], name: string): T {
  const choice = choices.find((one) => one === value);
  if (choice === undefined) {
    const shown = typeof value === 'string' ? `'${value.slice(0, 100)}'` : typeName(value);
    throw new TypeError(`${name} must be ${choices.map((one) => `'${one}'`).join(' or ')}, not ${shown}`);
  }
  return choice;
}

export function typeName(value: unknown): string {
  return value === null ? 'null' : typeof value;
}
