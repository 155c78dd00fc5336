/** Paths as text, for those who build their own loops. Nothing here asks a server or a disk. */
import { quote } from '../shared/remote-path.js';

/**
 * The path and those above it, from the top down. Doubled and trailing separators do not count; an empty path
 * gives nothing.
 *
 * @throws TypeError where the path is no string, or the separator is not one character.
 *
 * @example
 * [...pathAdvance('./pub/example/example01')];
 * // ['.', './pub', './pub/example', './pub/example/example01']
 */
export function pathAdvance(path: string, separator = '/'): Generator<string, void, undefined> {
  return each(stepsOf(path, separator));
}

/**
 * The path and those above it, from the bottom up: {@link pathAdvance} backwards.
 *
 * @throws TypeError as {@link pathAdvance}.
 *
 * @example
 * [...pathRetreat('./pub/example/example01')];
 * // ['./pub/example/example01', './pub/example', './pub', '.']
 */
export function pathRetreat(path: string, separator = '/'): Generator<string, void, undefined> {
  return each(stepsOf(path, separator).reverse());
}

/** A generator begins at its first value; invalid arguments throw at the call. */
function* each(steps: readonly string[]): Generator<string, void, undefined> {
  yield* steps;
}

function stepsOf(path: string, separator: string): string[] {
  checkText(path, 'path');
  if (typeof separator !== 'string' || separator.length !== 1) {
    throw new TypeError('separator must be one character');
  }
  const isAbsolute = path.startsWith(separator);
  const names = path.split(separator).filter((name) => name !== '');
  if (isAbsolute && names.length === 0) return [separator];
  return names.map((_, index) => (isAbsolute ? separator : '') + names.slice(0, index + 1).join(separator));
}

/**
 * Where a path goes below a new parent: an absolute one is kept below it too. A Windows path (with a drive, with
 * a leading `\`, or with no other separator than `\`) becomes a POSIX one and loses its drive.
 *
 * @throws TypeError where one of the two is no string, or empty.
 * @throws RangeError where the old path climbs out of the new parent with `..`.
 *
 * @example
 * reparent('backup', '/home/test/pub');      // 'backup/./home/test/pub'
 * reparent('backup', 'C:\\Users\\me\\pub');  // 'backup/./Users/me/pub'
 * reparent('backup', 'pub');                 // 'backup/pub'
 */
export function reparent(newParent: string, oldPath: string): string {
  for (const [value, name] of [
    [newParent, 'newParent'],
    [oldPath, 'oldPath'],
  ] as const) {
    checkText(value, name);
    if (value === '') throw new TypeError(`${name} is empty`);
  }
  const path = toPosix(oldPath);
  if (climbsOut(path)) {
    throw new RangeError(`${quote(oldPath)} leads out of ${quote(newParent)}`);
  }
  const below = path.startsWith('/') ? `.${path}` : path;
  return newParent.endsWith('/') ? newParent + below : `${newParent}/${below}`;
}

function toPosix(path: string): string {
  const drive = /^[A-Za-z]:(?=[\\/])/.exec(path)?.[0] ?? '';
  const isWindows = drive !== '' || path.startsWith('\\') || (path.includes('\\') && !path.includes('/'));
  return isWindows ? path.slice(drive.length).replace(/\\/g, '/').replace(/^\/+/, '/') : path;
}

function climbsOut(path: string): boolean {
  let depth = 0;
  for (const name of path.split('/')) {
    if (name === '..') depth -= 1;
    else if (name !== '' && name !== '.') depth += 1;
    if (depth < 0) return true;
  }
  return false;
}

function checkText(value: unknown, name: string): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string, not ${typeof value}`);
}
