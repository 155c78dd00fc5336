/**
 * Local paths that lead through symbolic links of other users. Who may write to a directory, `/tmp` first of all, may
 * lay a link there under the name that a program is about to use, and so have its files written or read elsewhere. On
 * Windows nobody lays links without being trusted.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { quote } from '../../shared/remote-path.js';

/** As Linux (path_resolution(7)). */
const MAX_LINKS = 40;
/** Its links stand for open files, and what they say is no path. */
const PROC = /^\/proc(\/|$)/;

export interface LinkRules {
  /** What is done with what the path leads to; `replace` takes the place of a link instead of following it. */
  readonly purpose: 'read' | 'write' | 'replace';
}

/**
 * A link of another user than ourselves and root is followed only where not everybody could have laid it, as Linux does
 * with `fs.protected_symlinks`; and to a file that is written to, never.
 *
 * @throws Error `EACCES` in the form of Node's own. What is missing or cannot be looked at is left to the caller.
 */
export function checkLinks(file: string, { purpose }: LinkRules): void {
  if (process.geteuid === undefined) return;
  let pending = namesOf(path.resolve(file));
  let directory = '/';
  for (let links = 0; links < MAX_LINKS && !PROC.test(directory); ) {
    const [name, ...rest] = pending;
    if (name === undefined || (rest.length === 0 && purpose === 'replace')) return;
    const next = path.join(directory, name);
    const link = name === '..' ? undefined : linkAt(next);
    pending = link === undefined ? rest : [...namesOf(link.text), ...rest];
    if (link === undefined) directory = next;
    else {
      checkLink(next, link.uid, { directory, isWritten: rest.length === 0 && purpose === 'write' });
      if (link.text.startsWith('/')) directory = '/';
      links += 1;
    }
  }
}

function checkLink(
  link: string,
  uid: number,
  { directory, isWritten }: { readonly directory: string; readonly isWritten: boolean },
): void {
  if (uid === process.geteuid?.() || uid === 0) return;
  const { uid: owner, mode } = fs.statSync(directory);
  const isAnybodys = (mode & 0o002) !== 0 && uid !== owner;
  if (isAnybodys || isWritten) {
    throw denied(
      link,
      'it is a symbolic link of another user, who may have laid it there to lead files elsewhere',
    );
  }
}

/** What is missing is no link, nor is what cannot be looked at. */
function linkAt(file: string): { readonly uid: number; readonly text: string } | undefined {
  try {
    const stats = fs.lstatSync(file);
    return stats.isSymbolicLink() ? { uid: stats.uid, text: fs.readlinkSync(file) } : undefined;
  } catch {
    return undefined;
  }
}

function namesOf(file: string): readonly string[] {
  return file.split('/').filter((name) => name !== '' && name !== '.');
}

/**
 * Whether what has been opened for writing may have been laid there to be written to: a file of somebody else in a
 * directory like `/tmp`, or a further name of one of our own files in any directory of others.
 *
 * @throws Error `EACCES` in the form of Node's own
 */
export function checkOwnership(file: string, { uid, nlink }: Pick<fs.Stats, 'uid' | 'nlink'>): void {
  const user = process.geteuid?.();
  if (user === undefined || (nlink === 1 && uid === user)) return;
  const directory = fs.statSync(path.dirname(file));
  const isEverybodys = (directory.mode & 0o002) !== 0;
  const isSticky = isEverybodys && (directory.mode & 0o1000) !== 0;
  const isForeign = ![user, 0, directory.uid].includes(uid);
  if (isSticky && isForeign)
    throw denied(file, 'it belongs to another user, in a directory that everybody may write to');
  if (nlink > 1 && (isEverybodys || ![user, 0].includes(directory.uid))) {
    throw denied(file, 'it has a second name, and others may write to its directory');
  }
}

function denied(file: string, reason: string): NodeJS.ErrnoException {
  const error = new Error(`EACCES: permission denied, open ${quote(file)}: ${reason}`);
  return Object.assign(error, { code: 'EACCES', syscall: 'open', path: file });
}
