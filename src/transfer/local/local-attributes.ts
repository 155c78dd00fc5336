/** Times and permissions of what is on the local disk: of the file or directory itself, through no link. */
import { Buffer } from 'node:buffer';
import * as fs from 'node:fs';
import { promisify } from 'node:util';
import { type FileChanges, hasCode } from '../file-system.js';
import { hasDirectoryHandles, O_PATH, toldOf } from './directory-handles.js';
import { checkOwnership } from './foreign-links.js';
import { LocalTarget } from './local-file.js';
import { linkInTheWay, localError, open, typeOf } from './local-opening.js';

const close = promisify(fs.close);
const fstat = promisify(fs.fstat);

/** What a system says that does not let us change a file, or whose disk keeps no such thing. */
const REFUSALS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EROFS'];

/** As {@link FileSystem.setAttributes}. */
export async function setAttributes(path: Buffer, changes: FileChanges): Promise<Error | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK = 0 } = fs.constants;
  // Windows opens no directories.
  if (O_NOFOLLOW === undefined) return atBestEffort(byPath(path)(changes));
  const isHeld = hasDirectoryHandles();
  // What may not be read may be changed by its owner all the same.
  const descriptor = await open(path, O_NOFOLLOW | (isHeld ? O_PATH : O_RDONLY | O_NONBLOCK));
  try {
    checkKind(path, await fstat(descriptor));
    if (!isHeld) return await atBestEffort(byDescriptor(descriptor)(changes));
    const held = Buffer.from(`/proc/self/fd/${descriptor}`);
    return toldOf(await atBestEffort(byPath(held)(changes)), held, path);
  } finally {
    await close(descriptor);
  }
}

/** Another user who may write to the directory may have replaced the file. */
function checkKind(path: Buffer, stats: fs.Stats): void {
  if (stats.isDirectory()) return;
  if (stats.isSymbolicLink()) throw linkInTheWay('ELOOP', path);
  if (!stats.isFile()) throw localError('EINVAL', `it is a ${typeOf(stats)}`, { syscall: 'chmod', path });
  checkOwnership(path.toString(), stats);
}

type Change = (changes: FileChanges) => Promise<void>;

function byPath(path: Buffer): Change {
  return async ({ mode, atime, mtime }) => {
    // The times first: a mode may forbid the rest.
    if (mtime !== undefined) await fs.promises.utimes(path, atime ?? mtime, mtime);
    if (mode !== undefined) await fs.promises.chmod(path, mode);
  };
}

function byDescriptor(descriptor: number): Change {
  const file = new LocalTarget(descriptor);
  return async ({ mode, ...times }) => {
    await file.setAttributes(times);
    await file.setAttributes({ mode });
  };
}

async function atBestEffort(change: Promise<void>): Promise<Error | undefined> {
  try {
    await change;
    return undefined;
  } catch (error) {
    if (error instanceof Error && hasCode(error, ...REFUSALS)) return error;
    throw error;
  }
}
