/** Paths of the embedded server: bytes, absolute, resolved by our own hand so that nothing leaves the root. */
import { systemError } from './backend.js';

/** What lies at a place of the tree, links not followed; nothing: `undefined`. */
export type PathEntry =
  | { readonly type: 'directory' | 'other' }
  | { readonly type: 'symlink'; readonly target: Uint8Array };
export type Look = (parts: readonly Buffer[]) => PathEntry | undefined;

const SLASH = 0x2f;
const MAX_PATH_LENGTH = 4096;
const MAX_NAME_LENGTH = 255;
/** As Linux has it. */
const MAX_LINKS = 40;

/**
 * The names that lead from the root to what the path means, every link on the way replaced by its target. The
 * root is the top of everything: an absolute target counts from it, and `..` does not climb over it. The last
 * name may be missing from the tree.
 *
 * @throws ENOENT where an earlier name is missing, ENOTDIR, ELOOP, ENAMETOOLONG, EINVAL for a NUL.
 */
export function resolvePath(path: Uint8Array, look: Look, options: { followLast: boolean }): Buffer[] {
  const pending = split(path).reverse();
  const done: Buffer[] = [];
  let links = 0;
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (isDot(name)) continue;
    if (isDotDot(name)) {
      done.pop();
      continue;
    }
    done.push(name);
    const isLast = pending.length === 0;
    if (isLast && !options.followLast) break;
    const place = look(done);
    if (place?.type === 'symlink') {
      links += 1;
      if (links > MAX_LINKS) throw systemError('ELOOP');
      if (place.target[0] === SLASH) done.length = 0;
      else done.pop();
      split(place.target)
        .reverse()
        .forEach((name) => void pending.push(name));
    } else checkPlace(place, pending);
  }
  return done;
}

function checkPlace(place: PathEntry | undefined, pending: readonly Buffer[]): void {
  if (place === undefined && !pending.every(isDot)) throw systemError('ENOENT');
  if (place?.type === 'other' && pending.length > 0) throw systemError('ENOTDIR');
}

/** The empty name that a trailing slash leaves behind stands for "a directory", as it does for system calls. */
function split(path: Uint8Array): Buffer[] {
  if (path.length === 0) throw systemError('ENOENT');
  if (path.length > MAX_PATH_LENGTH) throw systemError('ENAMETOOLONG');
  if (path.includes(0)) throw systemError('EINVAL', 'A path must not contain a NUL byte');
  const names: Buffer[] = [];
  const bytes = Buffer.from(path);
  for (let start = 0; start <= bytes.length; ) {
    const slash = bytes.indexOf(SLASH, start);
    const end = slash === -1 ? bytes.length : slash;
    if (end - start > MAX_NAME_LENGTH) throw systemError('ENAMETOOLONG');
    names.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return names;
}

function isDot(name: Buffer): boolean {
  return name.length === 0 || name.equals(Buffer.from('.'));
}

function isDotDot(name: Buffer): boolean {
  return name.equals(Buffer.from('..'));
}

/** `/a/b` of `a` and `b`; `/` of nothing. */
export function joinParts(parts: readonly Uint8Array[]): Buffer {
  if (parts.length === 0) return Buffer.from('/');
  return Buffer.concat(parts.flatMap((part) => [Buffer.from('/'), part]));
}
