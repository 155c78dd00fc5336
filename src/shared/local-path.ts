/** Paths on this machine, as callers pass them. */
import { Buffer } from 'node:buffer';
import { kindOf } from './arguments.js';
import { quote } from './remote-path.js';

/** @throws TypeError where the value is no path on this machine. */
export function checkLocalPath(value: unknown, name = 'localpath'): string {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, not ${kindOf(value)}`);
  if (value === '') throw new TypeError(`${name} is empty: use '.' for the current directory`);
  if (value.includes('\0')) throw new TypeError(`${name} ${quote(value)} contains a NUL character`);
  if (!value.isWellFormed()) throw new TypeError(`${name} ${quote(value)} has a lone surrogate`);
  return value;
}

/** The path as text where it is UTF-8, else as bytes: the `mkdir` of Deno takes text alone. */
export function asTextPath(path: string | Buffer): string | Buffer {
  if (typeof path === 'string') return path;
  const text = path.toString();
  return Buffer.from(text).equals(path) ? text : path;
}
