/** `cp`: a file, or a directory with everything below it, from one place of the server to another. */
import { posix } from 'node:path';
import { unlessCode } from '../../transfer/file-system.js';
import type { FileAttributes } from '../../wire/attributes.js';
import { type GivenPath, givenOptions, givenPath } from '../base/arguments.js';
import { argumentError } from '../base/node-error.js';
import type { View } from '../base/view.js';
import type { attributeCalls } from './attributes.js';
import type { contentCalls } from './contents.js';
import type { directoryCalls } from './directories.js';
import type { linkCalls } from './links.js';

const PERMISSIONS = 0o7777;

type Calls = ReturnType<typeof attributeCalls> &
  ReturnType<typeof contentCalls> &
  ReturnType<typeof directoryCalls> &
  ReturnType<typeof linkCalls>;

interface Rules {
  readonly recursive: boolean;
  readonly force: boolean;
  readonly errorOnExist: boolean;
  readonly dereference: boolean;
  readonly preserveTimestamps: boolean;
  readonly verbatimSymlinks: boolean;
  readonly mode: unknown;
  readonly filter: ((source: string, target: string) => unknown) | undefined;
}

export function copyCalls(view: View, calls: Calls) {
  const look = (given: GivenPath, how: 'stat' | 'lstat') => unlessCode(view.look(given, how), 'ENOENT');

  const copyFile = async (
    from: string,
    to: string,
    source: FileAttributes,
    rules: Rules,
    isThere: boolean,
  ) => {
    if (isThere && !rules.force) return refuse(to, rules);
    await calls.copyFile(from, to, rules.mode);
    const { atime, mtime } = source;
    if (rules.preserveTimestamps && atime !== undefined && mtime !== undefined)
      await calls.utimes(to, atime, mtime);
  };

  const copyLink = async (from: string, to: string, rules: Rules, isThere: boolean) => {
    const text = String(await calls.readlink(from));
    const target = rules.verbatimSymlinks
      ? text
      : posix.resolve(posix.dirname(posix.resolve('/', from)), text);
    if (isThere && !rules.force) return refuse(to, rules);
    if (isThere) await calls.unlink(to);
    await calls.symlink(target, to);
  };

  const copyDirectory = async (
    from: string,
    to: string,
    source: FileAttributes,
    rules: Rules,
    isThere: boolean,
  ) => {
    if (!rules.recursive) {
      const what = `Recursive option not enabled, cannot copy a directory: cp returned EISDIR (${from} is a directory (not copied)) ${from}`;
      throw argumentError(Error, 'ERR_FS_EISDIR', what);
    }
    const below = posix.relative(posix.resolve('/', from), posix.resolve('/', to));
    if (below !== '..' && !below.startsWith('../')) {
      const what = `Cannot copy to a subdirectory of self: cannot copy ${from} to a subdirectory of self ${to}`;
      throw argumentError(Error, 'ERR_FS_CP_EINVAL', what);
    }
    if (!isThere) await calls.mkdir(to, { recursive: true });
    for (const name of await calls.readdir(from))
      await copyAny(posix.join(from, String(name)), posix.join(to, String(name)), rules);
    // Last: it may not allow anybody to write.
    if (!isThere && source.mode !== undefined) await calls.chmod(to, source.mode & PERMISSIONS);
  };

  const copyAny = async (from: string, to: string, rules: Rules): Promise<void> => {
    if (rules.filter !== undefined && !(await rules.filter(from, to))) return;
    const how = rules.dereference ? 'stat' : 'lstat';
    const [source, target] = await Promise.all([view.look(givenPath(from), how), look(givenPath(to), how)]);
    const isThere = target !== undefined;
    if (isThere && source.isDirectory() !== target.isDirectory()) {
      const code = source.isDirectory() ? 'ERR_FS_CP_DIR_TO_NON_DIR' : 'ERR_FS_CP_NON_DIR_TO_DIR';
      throw argumentError(
        Error,
        code,
        `Cannot overwrite ${to} with ${from}: only one of them is a directory`,
      );
    }
    if (source.isDirectory()) return copyDirectory(from, to, source, rules, isThere);
    if (source.isSymbolicLink()) return copyLink(from, to, rules, isThere);
    await copyFile(from, to, source, rules, isThere);
  };

  return {
    cp: async (source: unknown, target: unknown, options?: unknown): Promise<void> => {
      const [from, to] = [givenPath(source, 'src'), givenPath(target, 'dest')];
      const given = givenOptions(options);
      const parent = posix.dirname(to.text);
      if ((await look(givenPath(parent), 'stat')) === undefined)
        await calls.mkdir(parent, { recursive: true });
      await copyAny(from.text, to.text, {
        recursive: given.recursive === true,
        force: given.force !== false,
        errorOnExist: given.errorOnExist === true,
        dereference: given.dereference === true,
        preserveTimestamps: given.preserveTimestamps === true,
        verbatimSymlinks: given.verbatimSymlinks === true,
        mode: given.mode,
        filter: typeof given.filter === 'function' ? (given.filter as Rules['filter']) : undefined,
      });
    },
  };
}

/** @throws where the program wants to know of it */
function refuse(to: string, { errorOnExist }: Rules): void {
  if (errorOnExist)
    throw argumentError(
      Error,
      'ERR_FS_CP_EEXIST',
      `Target already exists: cp returned EEXIST (${to} already exists) ${to}`,
    );
}
