/**
 * Remote paths. They are bytes on the wire, separated by `/` whatever the systems on either side; strings
 * are taken as UTF-8. Nothing here asks a server or a disk.
 */
import { Buffer } from 'node:buffer';
import { kindOf } from './arguments.js';
import { printable } from './printable.js';

/**
 * A path on the server. A string stands for its UTF-8 bytes; names that are not UTF-8 are given as bytes
 * (see {@link FileAttributes.filenameBytes}).
 */
export type RemotePath = string | Uint8Array;

/** More than any server takes (Linux: 4,096), and far from the limit of a packet. */
const MAX_PATH_LENGTH = 64 * 1024;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const SEPARATOR = Buffer.from([SLASH]);

/**
 * The bytes of a path that may be sent.
 *
 * @throws TypeError where the value is no path: not a string or bytes, empty, with a NUL or a lone surrogate.
 * @throws RangeError where it is longer than 64 KiB.
 */
export function encodePath(path: RemotePath, name = 'path'): Buffer {
  if (typeof path !== 'string' && !(path instanceof Uint8Array)) {
    throw new TypeError(`${name} must be a string or a Uint8Array, not ${kindOf(path)}`);
  }
  if (path.length === 0) throw new TypeError(`${name} is empty: use '.' for the current directory`);
  const length = Buffer.byteLength(path);
  if (length > MAX_PATH_LENGTH) {
    throw new RangeError(`${name} has ${length} bytes: at most ${MAX_PATH_LENGTH} are allowed`);
  }
  if (typeof path === 'string' && !path.isWellFormed()) {
    throw new TypeError(`${name} ${quote(path)} has a lone surrogate, which UTF-8 cannot carry; pass bytes`);
  }
  const bytes = Buffer.from(path);
  if (bytes.includes(0)) throw new TypeError(`${name} ${quote(path)} contains a NUL character`);
  return bytes;
}

/** A path as text for people: what is not UTF-8 shows as U+FFFD. */
export function decodePath(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('utf8');
}

/** A path in quotes for a message, with nothing in it that a terminal would act on. */
export function quote(path: RemotePath): string {
  return `'${printable(textOf(path), 300)}'`;
}

/** A path as text for people, in whichever form it was given. */
export function textOf(path: RemotePath): string {
  return typeof path === 'string' ? path : decodePath(path);
}

/** A path as it counts from a directory: an absolute one stays as it is. */
export function joinPath(directory: Uint8Array, path: Uint8Array): Buffer {
  if (isAbsolute(path, directory) || directory.length === 0 || isDot(directory)) return Buffer.from(path);
  return childPath(directory, path);
}

/** What lies in a directory under a name: whatever the name looks like, the path leads below the directory. */
export function childPath(directory: Uint8Array, name: Uint8Array): Buffer {
  if (directory.length === 0 || (isDot(directory) && name[0] !== SLASH)) return Buffer.from(name);
  return Buffer.concat(
    directory[directory.length - 1] === SLASH ? [directory, name] : [directory, SEPARATOR, name],
  );
}

/**
 * `/…`. Servers on Windows may also write `C:/…` or `C:\…`; anywhere else that is a plain name. So such a path is only
 * absolute beside a directory that the server itself has given in that form.
 */
export function isAbsolute(path: Uint8Array, directory?: Uint8Array): boolean {
  if (path[0] === SLASH) return true;
  return (
    directory !== undefined && hasDrive(path) && hasDrive(directory.subarray(directory[0] === SLASH ? 1 : 0))
  );
}

function hasDrive(path: Uint8Array): boolean {
  if (path[1] !== COLON || (path[2] !== SLASH && path[2] !== BACKSLASH)) return false;
  const lowerCase = (path[0] ?? 0) | 0x20;
  return lowerCase >= 0x61 && lowerCase <= 0x7a;
}

/** The last component, without trailing slashes; `/` for the root. */
export function baseName(path: Uint8Array): Buffer {
  const trimmed = withoutTrailingSlashes(path);
  const at = trimmed.lastIndexOf(SLASH);
  return trimmed.length === 1 ? trimmed : trimmed.subarray(at + 1);
}

/** All but the last component; `.` where there is only one. */
export function directoryName(path: Uint8Array): Buffer {
  const trimmed = withoutTrailingSlashes(path);
  const at = trimmed.lastIndexOf(SLASH);
  if (at < 0) return Buffer.from('.');
  return at === 0 ? trimmed.subarray(0, 1) : withoutTrailingSlashes(trimmed.subarray(0, at));
}

export function withoutTrailingSlashes(path: Uint8Array): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH) end -= 1;
  return Buffer.from(path.subarray(0, end));
}

function isDot(path: Uint8Array): boolean {
  return path.length === 1 && path[0] === 0x2e;
}

declare const isPathKey: unique symbol;

/** A path or a name as a key of a map or a set, with one character for each byte: names need not be UTF-8. */
export type PathKey = string & { readonly [isPathKey]: true };

export function pathKey(path: Uint8Array): PathKey {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1') as PathKey;
}

export function pathOfKey(key: PathKey): Buffer {
  return Buffer.from(key, 'latin1');
}

/** The names of a path as keys. `.` is none, and neither is nothing between two slashes. */
export function namesOf(path: Uint8Array): PathKey[] {
  const names = pathKey(path).split('/') as PathKey[];
  return names.filter((name) => name !== '' && name !== '.');
}

/** The path that consists of these names. */
export function relativePathOf(names: readonly PathKey[]): Buffer {
  return pathOfKey(names.join('/') as PathKey);
}

/** The path that leads from the root over these names. */
export function absolutePathOf(names: readonly PathKey[]): Buffer {
  return pathOfKey(`/${names.join('/')}` as PathKey);
}
