/** `rm` and `rmdir`. */
import { constants as os } from 'node:os';
import { forEachLimited } from '../../shared/promises.js';
import { childPath } from '../../shared/remote-path.js';
import { pause } from '../../shared/retry.js';
import { hasCode, unlessCode } from '../../transfer/file-system.js';
import { type GivenPath, givenInteger, givenOptions, givenPath } from '../base/arguments.js';
import { REPEATABLE, type View } from '../base/view.js';
import { listEntries } from './directories.js';
import { unlink } from './links.js';

const MAX_AT_ONCE = 32;
/** Those after which another attempt may work, as node:fs has them. */
const BUSY = ['EBUSY', 'EMFILE', 'ENFILE', 'ENOTEMPTY', 'EPERM'] as const;

interface RemovalRules {
  readonly maxRetries: number;
  readonly retryDelayMs: number;
}

export function removalCalls(view: View) {
  const removeDirectory = (given: GivenPath) =>
    view.changeName('rmdir', given, 'rmdir', (path) => view.client.rmdir(path));

  const removeFile = (given: GivenPath) => unlink(view, given);

  const insist = async (removing: () => Promise<void>, { maxRetries, retryDelayMs }: RemovalRules) => {
    for (let tried = 1; ; tried += 1) {
      try {
        return await removing();
      } catch (error) {
        // What others have removed meanwhile is removed.
        if (hasCode(error, 'ENOENT')) return;
        if (!hasCode(error, ...BUSY) || tried > maxRetries) throw error;
        await pause(tried * retryDelayMs, undefined);
      }
    }
  };

  /** Links are removed, never what they lead to. */
  const removeTree = async (given: GivenPath, rules: RemovalRules): Promise<void> => {
    // No system removes a directory by that name, and its content should not be gone by then.
    if (/(?:^|\/)\.\/*$/.test(given.text)) return removeDirectory(given);
    const listing = view.call(
      { syscall: 'scandir', path: given.text },
      () => listEntries(view, given),
      REPEATABLE,
    );
    const entries = await unlessCode(listing, 'ENOENT');
    const children = (entries ?? []).map(({ name, attributes }) => ({
      path: givenPath(childPath(given.bytes, name)),
      isDirectory: attributes.isDirectory(),
    }));
    const files = children.filter(({ isDirectory }) => !isDirectory);
    await forEachLimited(files, MAX_AT_ONCE, ({ path }) => insist(() => removeFile(path), rules));
    for (const { path, isDirectory } of children) if (isDirectory) await removeTree(path, rules);
    await insist(() => removeDirectory(given), rules);
  };

  return {
    rmdir: (path: unknown, options?: unknown): Promise<void> => {
      const given = givenPath(path);
      const { recursive, maxRetries, retryDelay } = givenOptions(options);
      if (recursive !== true) return removeDirectory(given);
      return removeTree(given, rulesOf(maxRetries, retryDelay));
    },
    rm: (path: unknown, options?: unknown): Promise<void> => {
      const given = givenPath(path);
      const { force, recursive, maxRetries, retryDelay } = givenOptions(options);
      const rules = rulesOf(maxRetries, retryDelay);
      return view.look(given, 'lstat').then(
        async (attributes) => {
          if (!attributes.isDirectory()) return insist(() => removeFile(given), rules);
          if (recursive !== true) throw isDirectoryError(given.text);
          await removeTree(given, rules);
        },
        (error: unknown) => {
          if (force !== true || !hasCode(error, 'ENOENT')) throw error;
        },
      );
    },
  };
}

function rulesOf(maxRetries: unknown, retryDelay: unknown): RemovalRules {
  return {
    maxRetries: givenInteger(maxRetries ?? 0, 'options.maxRetries'),
    retryDelayMs: givenInteger(retryDelay ?? 100, 'options.retryDelay'),
  };
}

/** Node's own for this case, which is none of a system call. */
function isDirectoryError(path: string): Error {
  const error = new Error(`Path is a directory: rm returned EISDIR (is a directory) ${path}`);
  error.name = 'SystemError';
  const info = { code: 'EISDIR', message: 'is a directory', path, syscall: 'rm', errno: os.errno.EISDIR };
  return Object.assign(error, { code: 'ERR_FS_EISDIR', info, errno: os.errno.EISDIR, syscall: 'rm', path });
}
