/** Checks of what callers pass; nothing is sent where one fails. */
import { quote } from '../remote-path.js';

/** @throws TypeError | RangeError where the value is no size of a file. */
export function checkSize(value: unknown, name: string): number {
  return checkInteger(value, name, Number.MAX_SAFE_INTEGER);
}

/** @throws TypeError | RangeError where the value does not fit the wire's 32 bits. */
export function checkUint32(value: unknown, name: string): number {
  return checkInteger(value, name, 0xffff_ffff);
}

function checkInteger(value: unknown, name: string, max: number): number {
  if (typeof value !== 'number') throw new TypeError(`${name} must be a number, not ${typeName(value)}`);
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${name} ${value} is not an integer between 0 and ${max}`);
  }
  return value;
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
