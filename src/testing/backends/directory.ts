/**
 * A local directory as the server's root. Every path is resolved name by name (paths.ts) before a system
 * call sees it, so no link is left for the kernel to follow, and the last name is opened with O_NOFOLLOW.
 */
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  type Stats,
  statfsSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
} from 'node:fs';
import type { AttributeValues } from '../../wire/attributes.js';
import type {
  Backend,
  BackendDirectory,
  BackendFile,
  BackendOpenOptions,
  FileSystemFigures,
} from './backend.js';
import { systemError } from './backend.js';
import { errorCode } from './errno.js';
import { attributesOf, LocalFile } from './local-file.js';
import { joinParts, type PathEntry, resolvePath } from './paths.js';

/**
 * Shows the local directory `root`, which must exist, and nothing outside of it. Symbolic links inside count
 * from the root, as in a chroot.
 */
export function openDirectoryBackend(root: string): Backend {
  const top = Buffer.from(realpathSync(root));
  if (!lstatSync(top).isDirectory()) throw systemError('ENOTDIR', `${root} is not a directory`);
  return new DirectoryBackend(top);
}

class DirectoryBackend implements Backend {
  readonly #root: Buffer;

  constructor(root: Buffer) {
    this.#root = root;
  }

  open(path: Uint8Array, options: BackendOpenOptions): BackendFile {
    const local = this.#resolve(path, { followLast: !(options.create && options.exclusive) });
    const present = lstatSync(local, { throwIfNoEntry: false });
    const isUsual = present?.isFile() || present?.isDirectory() || present?.isSymbolicLink();
    // Opening a FIFO or a device could block, or do anything.
    if (present !== undefined && !isUsual) {
      throw systemError('EIO', 'Not a regular file');
    }
    const mode = (options.mode ?? 0o666) & 0o7777;
    return new LocalFile(openSync(local, openFlags(options), mode), () => this.#figures(local));
  }

  openDirectory(path: Uint8Array): BackendDirectory {
    const parts = this.#parts(path, { followLast: true });
    const local = this.#local(parts);
    const names = readdirSync(local, { encoding: 'buffer' });
    const parent = this.#local(parts.slice(0, -1));
    const pending = [Buffer.from('.'), Buffer.from('..'), ...names].reverse();
    return {
      read: (count) => {
        const entries = [];
        while (entries.length < count) {
          const name = pending.pop();
          if (name === undefined) break;
          const isParent = name.equals(Buffer.from('..'));
          const stats = lstatSync(isParent ? parent : child(local, name), { throwIfNoEntry: false });
          // It may have been removed since.
          if (stats !== undefined) entries.push({ name, attributes: attributesOf(stats) });
        }
        return entries;
      },
    };
  }

  stat(path: Uint8Array): AttributeValues {
    return attributesOf(lstatSync(this.#resolve(path, { followLast: true })));
  }

  lstat(path: Uint8Array): AttributeValues {
    return attributesOf(lstatSync(this.#resolve(path, { followLast: false })));
  }

  setstat(path: Uint8Array, { size, mode, atime, mtime, uid, gid }: AttributeValues): void {
    const local = this.#resolve(path, { followLast: true });
    const stats = lstatSync(local);
    if (size !== undefined) {
      if (stats.isDirectory()) throw systemError('EISDIR');
      if (!stats.isFile()) throw systemError('EINVAL');
      truncateSync(local, size);
    }
    if (mode !== undefined) chmodSync(local, mode & 0o7777);
    if (atime !== undefined && mtime !== undefined) utimesSync(local, atime, mtime);
    if (uid !== undefined && gid !== undefined) chownSync(local, uid, gid);
  }

  lsetstat(path: Uint8Array, attributes: AttributeValues): void {
    const { size, mode, atime, mtime, uid, gid } = attributes;
    if (size !== undefined) throw systemError('EINVAL', 'A size cannot be set without following links');
    const local = this.#resolve(path, { followLast: false });
    if (!lstatSync(local).isSymbolicLink()) {
      this.setstat(path, attributes);
      return;
    }
    if (mode !== undefined) throw systemError('EOPNOTSUPP', 'A symbolic link has no permissions of its own');
    if (atime !== undefined && mtime !== undefined) lutimesSync(local, atime, mtime);
    if (uid !== undefined && gid !== undefined) lchownSync(local, uid, gid);
  }

  remove(path: Uint8Array): void {
    unlinkSync(this.#resolve(path, { followLast: false }));
  }

  makeDirectory(path: Uint8Array, mode: number | undefined): void {
    mkdirSync(this.#resolve(path, { followLast: false }), (mode ?? 0o777) & 0o7777);
  }

  removeDirectory(path: Uint8Array): void {
    rmdirSync(this.#belowRoot(path));
  }

  realpath(path: Uint8Array): Buffer {
    return joinParts(this.#parts(path, { followLast: true }));
  }

  rename(oldPath: Uint8Array, newPath: Uint8Array): void {
    const source = this.#belowRoot(oldPath);
    const isFile = lstatSync(source).isFile();
    const target = this.#belowRoot(newPath);
    // As OpenSSH: a file gets a second name first, so that nothing is replaced in between.
    if (isFile && linked(source, target)) unlinkSync(source);
    else if (this.#exists(newPath)) throw systemError('EEXIST');
    else renameSync(source, target);
  }

  replace(oldPath: Uint8Array, newPath: Uint8Array): void {
    renameSync(this.#belowRoot(oldPath), this.#belowRoot(newPath));
  }

  symlink(target: Uint8Array, path: Uint8Array): void {
    if (target.length === 0) throw systemError('ENOENT');
    if (target.includes(0)) throw systemError('EINVAL', 'A path must not contain a NUL byte');
    symlinkSync(Buffer.from(target), this.#resolve(path, { followLast: false }));
  }

  readlink(path: Uint8Array): Buffer {
    return readlinkSync(this.#resolve(path, { followLast: false }), { encoding: 'buffer' });
  }

  link(oldPath: Uint8Array, newPath: Uint8Array): void {
    linkSync(this.#belowRoot(oldPath), this.#belowRoot(newPath));
  }

  statvfs(path: Uint8Array): FileSystemFigures {
    const local = this.#resolve(path, { followLast: true });
    lstatSync(local);
    return this.#figures(local);
  }

  #exists(path: Uint8Array): boolean {
    try {
      this.stat(path);
      return true;
    } catch {
      return false;
    }
  }

  #figures(local: Buffer): FileSystemFigures {
    const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(local, { bigint: true });
    return {
      blockSize: bsize,
      fragmentSize: bsize,
      blocks,
      freeBlocks: bfree,
      availableBlocks: bavail,
      files,
      freeFiles: ffree,
      availableFiles: ffree,
      fileSystemId: lstatSync(local, { bigint: true }).dev,
      flags: isReadOnly(local) ? READ_ONLY : 0n,
      maxNameLength: 255n,
    };
  }

  #resolve(path: Uint8Array, options: { followLast: boolean }): Buffer {
    return this.#local(this.#parts(path, options));
  }

  /** For what must never happen to the root itself. */
  #belowRoot(path: Uint8Array): Buffer {
    const parts = this.#parts(path, { followLast: false });
    if (parts.length === 0) throw systemError('EBUSY', 'The root cannot be moved or removed');
    return this.#local(parts);
  }

  #parts(path: Uint8Array, options: { followLast: boolean }): Buffer[] {
    const parts = resolvePath(path, (place) => this.#look(place), options);
    checkName(parts.at(-1));
    return parts;
  }

  #look(parts: readonly Buffer[]): PathEntry | undefined {
    checkName(parts.at(-1));
    const local = this.#local(parts);
    const stats: Stats | undefined = lstatSync(local, { throwIfNoEntry: false });
    if (stats === undefined) return undefined;
    if (stats.isSymbolicLink()) {
      return { type: 'symlink', target: readlinkSync(local, { encoding: 'buffer' }) };
    }
    return { type: stats.isDirectory() ? 'directory' : 'other' };
  }

  #local(parts: readonly Buffer[]): Buffer {
    return parts.length === 0 ? this.#root : Buffer.concat([this.#root, joinParts(parts)]);
  }
}

/** False where the disk has no hard links, or `target` is on another. */
function linked(source: Buffer, target: Buffer): boolean {
  try {
    linkSync(source, target);
    return true;
  } catch (error) {
    if (['EXDEV', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(errorCode(error))) return false;
    throw error;
  }
}

/** OpenSSH's PROTOCOL, section 4.4 */
const READ_ONLY = 1n;

/** Node's statfs does not tell, access(2) does. */
function isReadOnly(local: Buffer): boolean {
  try {
    accessSync(local, constants.W_OK);
    return false;
  } catch (error) {
    return errorCode(error) === 'EROFS';
  }
}

function child(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), name]);
}

/** Not every platform has every flag. */
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;

function openFlags(options: BackendOpenOptions): number {
  const { O_RDONLY, O_WRONLY, O_RDWR, O_APPEND, O_CREAT, O_TRUNC, O_EXCL } = constants;
  const access = options.write ? (options.read ? O_RDWR : O_WRONLY) : O_RDONLY;
  return (
    access |
    O_NOFOLLOW |
    O_NONBLOCK |
    (options.append ? O_APPEND : 0) |
    (options.create ? O_CREAT : 0) |
    (options.truncate ? O_TRUNC : 0) |
    (options.exclusive ? O_EXCL : 0)
  );
}

/** Refuses names that mean more than a name to Windows: devices, streams, drives, other separators. */
function checkName(name: Buffer | undefined): void {
  if (process.platform !== 'win32' || name === undefined) return;
  const special = /[\\:*?"<>|]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;
  if (special.test(name.toString('utf8'))) throw systemError('EINVAL');
}
