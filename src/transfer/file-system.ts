/**
 * What a transfer asks of either side. Copying is between two of these, so that downloading, uploading and
 * copying between servers are one piece of code. Paths are bytes in the form of their own side.
 */
import type { Buffer } from 'node:buffer';
import type { FileType } from '../wire/attributes.js';
import type { Window } from './engine/window.js';

export interface Cancellable {
  readonly signal?: AbortSignal | undefined;
}

/** What is known about a file; a figure that nobody tells is `undefined`. */
export interface FileInfo {
  readonly type: FileType;
  readonly size: number | undefined;
  /** Permissions, without the type. */
  readonly mode: number | undefined;
  /** Seconds since 1970. */
  readonly atime: number | undefined;
  readonly mtime: number | undefined;
  /** Whose it is, and of which group, as numbers; only equal or unequal means anything. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export interface DirectoryEntry {
  readonly name: Buffer;
  /** What the listing tells, of a link the link itself. */
  readonly info: FileInfo;
}

/** What may be set on a file; what is left out stays as it is. */
export interface FileChanges {
  readonly mode?: number | undefined;
  readonly atime?: number | undefined;
  readonly mtime?: number | undefined;
}

export interface OpenSourceOptions extends Cancellable {
  /** Saves asking for what it is. */
  readonly known?: FileInfo | undefined;
  /** Refuses a link, where the file system can; a server has no such request. */
  readonly refuseLink?: boolean | undefined;
}

export interface OpenTargetOptions extends Cancellable {
  /** Nothing is there, so that nobody need look. */
  readonly isFree?: boolean | undefined;
  /** Refuses whatever is there already. */
  readonly exclusive?: boolean | undefined;
  /** With `exclusive`: something may well be there. */
  readonly mayExist?: boolean | undefined;
  /** Refuses a link, where the file system can; a server has no such request. */
  readonly refuseLink?: boolean | undefined;
  /** How long the file will be, where that is known; only the speed depends on it. */
  readonly size?: number | undefined;
  /** The most channels that it may be written through, where there are such. */
  readonly channels?: number | undefined;
  /** The permissions of a file that is made. */
  readonly mode?: number | undefined;
  /** A file that is there already gets them too, before anything is written to it. */
  readonly isModeGiven?: boolean | undefined;
  /** Keeps so many bytes of the existing file, and cuts off only the rest. */
  readonly keep?: number | undefined;
}

export interface ListOptions extends Cancellable {
  /** Takes the closing of the directory, where nobody need wait for it. */
  readonly inBackground?: ((closing: Promise<void>) => void) | undefined;
  /** What kind of thing each entry is will do, where the rest takes more time. */
  readonly typesOnly?: boolean | undefined;
}

export interface ReadOptions extends Cancellable {
  /** It may not be asked for twice, as where somebody counts the requests or the bytes. Default: false. */
  readonly once?: boolean | undefined;
}

/** A file that is open for reading. */
export interface SourceFile {
  readonly info: FileInfo;
  /** How many requests may be under way at once. Default: 64, as there are servers that fail when it is more. */
  readonly maxRequests?: number | undefined;
  /** Its requests go through several connections, so that what was asked for first need not come first. */
  readonly isSpread?: boolean;
  /** Up to `length` bytes at `offset`, in pieces; fewer are legal, `null` is the end of the file. */
  read(offset: number, length: number, options: ReadOptions): Promise<readonly Buffer[] | null>;
  /**
   * The hash of exactly those bytes, without their travelling; `undefined` where it turns out that nobody tells it.
   * Left out where nobody tells any.
   */
  readonly sha256?:
    | ((offset: number, length: number, options: Cancellable) => Promise<Uint8Array | undefined>)
    | undefined;
  /** The pieces of a read are written and may be used again. */
  release?(pieces: readonly Buffer[]): void;
  /** Closes in any case; the signal only says that nobody waits for it any more. */
  close(options: Cancellable): Promise<void>;
}

/** A file that is open for writing. */
export interface TargetFile {
  /**
   * The requests of this file are carried out in the order in which they are made, so that `setAttributes`
   * and `close` may follow the last `write` at once, without waiting for it.
   */
  readonly isOrdered: boolean;
  /** Attributes were set later than asked for, so that what was told of the file before is out of date. */
  readonly isChangedLate?: boolean;
  /** Why attributes could not be set, known once it is closed. */
  readonly refusal?: Error | undefined;
  /** What has been written is still looked at later, so that its memory cannot be used again. */
  readonly keepsPieces?: boolean;
  /** Takes what lies behind before what lies in front. Default: only in ascending order. */
  readonly takesAnyOrder?: boolean;
  /** Of a channel that other files share: how much may be on its way through it, where others have room too. */
  readonly room?: Window | undefined;
  /** Writes all of the pieces at `offset`; they stay as they are until the promise settles. */
  write(offset: number, pieces: readonly Buffer[], options: Cancellable): Promise<void>;
  setAttributes(changes: FileChanges, options: Cancellable): Promise<void>;
  /**
   * Whose the file is; where it is missing, nobody tells. Our new files are all of the same owner, and nobody is asked
   * anew where that is the `expected` one.
   */
  owner?(expected: Owner, options: Cancellable): Promise<Owner | undefined>;
  /** Gives it to another owner, at best effort: resolves with the reason where that could not be done. */
  giveTo?(owner: Owner, options: Cancellable): Promise<Error | undefined>;
  /** Waits until the content is on the disk; where it is missing there is nothing to wait for. */
  sync?(options: Cancellable): Promise<void>;
  /**
   * Only its success means that the content has arrived. Closes in any case; the signal only says that nobody
   * waits for it any more.
   */
  close(options: Cancellable): Promise<void>;
}

/**
 * Several requests in one call cost little more than one does, and a disk is asked for more at a time. Larger blocks
 * bring nothing.
 */
export const MAX_BLOCK_LENGTH = 1024 * 1024;

/** A file that was there already, open for reading and for writing: whatever its path leads to by now. */
export interface ReopenedFile {
  readonly info: FileInfo;
  /** How many names it has, where that is told. */
  readonly links: number | undefined;
  /** Its content; closed with the whole. */
  readonly content: SourceFile;
  /** Whether a path leads to it, and not through a link. */
  isAt(path: Buffer): Promise<boolean>;
  /** Cuts it, at a path by now, to so many bytes and goes on behind them. The result closes it. */
  writeFrom(path: Buffer, bytes: number, options: OpenTargetOptions): Promise<TargetFile>;
  /** Does nothing once it is written to. */
  close(): Promise<void>;
}

export interface FileSystem {
  /** The most bytes to read or to write in one request. */
  readonly chunkLength: { readonly read: number; readonly write: number };
  /** One call may read or write what takes several requests, up to {@link MAX_BLOCK_LENGTH}. */
  readonly takesBlocks?: boolean;
  /** How many files may be open at once. */
  readonly maxOpenFiles: number;
  /** What is asked of it takes no time worth mentioning: an abort can wait for it. */
  readonly isLocal: boolean;
  /** False once the line to it is lost: nothing can be cleaned up there then. */
  readonly isReachable: boolean;
  /** How many handles its server has given twice: what was under way then may hold the content of another file. */
  readonly repeatedHandles?: number;

  /** The path as people write it. */
  textOf(path: Buffer): string;
  join(directory: Buffer, name: Buffer): Buffer;
  /** The directory of a path and the last component. */
  split(path: Buffer): { readonly directory: Buffer; readonly name: Buffer };
  /** Why a name from elsewhere must not be used here, or `undefined` where it may. */
  objectionTo(name: Buffer): string | undefined;
  /** Equal for names that are one name here, as where capitals make no difference. */
  identityOf(name: Buffer): string;
  /** What of a mode from elsewhere may be set here: never more than what the umask lets, never set-uid. */
  permitted(mode: number): number;

  /** Links followed. */
  stat(path: Buffer, options: Cancellable): Promise<FileInfo>;
  /** Of a link itself. */
  lstat(path: Buffer, options: Cancellable): Promise<FileInfo>;
  /** The entries of a directory in batches, without `.` and `..`, in no order. */
  list(path: Buffer, options: ListOptions): AsyncIterable<readonly DirectoryEntry[]>;
  /** Opens a regular file; rejects on anything else, without blocking. */
  openSource(path: Buffer, options: OpenSourceOptions): Promise<SourceFile>;
  /**
   * Creates a file, or empties the existing one; refuses what {@link OpenTargetOptions} tells, and what is no
   * regular file, without blocking.
   */
  openTarget(path: Buffer, options: OpenTargetOptions): Promise<TargetFile>;
  /** Opens a regular file through no link; `undefined` where there is none, or it cannot be opened so. */
  reopen(path: Buffer, options: Cancellable): Promise<ReopenedFile | undefined>;
  /** What a new file of ours in a directory is like: whose, with which rights, and what time it is there. */
  newFile(directory: Buffer, options: Cancellable): Promise<FileInfo>;
  /** Makes a directory where there is none: true. Anything else in the way is an error that names it. */
  ensureDirectory(path: Buffer, options: Cancellable): Promise<boolean>;
  /**
   * Whether what is in a directory, and what the path leads to, can only be changed by `uid` and by root; false where
   * nobody tells.
   */
  isReservedFor(uid: number, directory: Buffer, options: Cancellable): Promise<boolean>;
  /** The path without links, to know a directory again. */
  realPath(path: Buffer, options: Cancellable): Promise<Buffer>;
  /** Renames, and replaces an existing file; what the signal does is as with `removeFile`. */
  replace(from: Buffer, to: Buffer, options: Cancellable): Promise<void>;
  /** Renames; what is there already is an error and stays. */
  rename(from: Buffer, to: Buffer, options: Cancellable): Promise<void>;
  /** Whether nobody may set the times of files there; `newFile` is a name to try it with, where that may be. */
  refusesTimes?(
    path: Buffer,
    options: Cancellable & { readonly newFile?: Buffer | undefined },
  ): Promise<boolean>;
  /**
   * Changes a file or a directory, at best effort: resolves with the reason where something could not be set. Follows no
   * link, where the file system can do that.
   */
  setAttributes(path: Buffer, changes: FileChanges, options: Cancellable): Promise<Error | undefined>;
  /** What is behind a failure of writing, where the error itself does not tell; it may be the same error. */
  likelyCause?(error: unknown, path: Buffer, options: Cancellable): Promise<unknown>;
  /** Removes the file should the program end before the result is called. */
  removeOnExit?(path: Buffer): () => void;
  /** Of a link: itself. Removes in any case; once the signal has aborted, a silent server is not waited for. */
  removeFile(path: Buffer, options: Cancellable): Promise<void>;
  /** Removes an empty directory. */
  removeDirectory(path: Buffer, options: Cancellable): Promise<void>;
  /** Throws where a link may have been laid by somebody else to lead what is written elsewhere. */
  checkLink?(path: Buffer): void;
  /** What a link says, as it is written there. */
  readLink(path: Buffer, options: Cancellable): Promise<Buffer>;
  /** Makes `path` a link that says `target`; whatever is there already is an error. */
  makeLink(target: Buffer, path: Buffer, options: Cancellable): Promise<void>;
}

/** A path on one of the two sides. */
export interface Place {
  readonly fileSystem: FileSystem;
  readonly path: Buffer;
}

/** Where content comes from: a path, or something that only looks like one, as a stream. */
export interface SourcePlace {
  readonly fileSystem: Pick<
    FileSystem,
    'chunkLength' | 'takesBlocks' | 'isLocal' | 'repeatedHandles' | 'textOf' | 'openSource'
  >;
  readonly path: Buffer;
  /** What has been read is gone, so that nothing is read before it can be written. */
  readonly readsOnce?: boolean;
}

/** Where content goes to. */
export interface TargetPlace {
  readonly fileSystem: Pick<
    FileSystem,
    'chunkLength' | 'takesBlocks' | 'isLocal' | 'repeatedHandles' | 'textOf' | 'openTarget'
  > &
    Partial<Pick<FileSystem, 'openSource' | 'likelyCause' | 'split' | 'isReservedFor'>>;
  readonly path: Buffer;
}

/** Whether an error of either side says that a path names nothing. */
export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT');
}

export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && codes.includes(code);
}

/** Waits for a call; `undefined` if it fails with one of these codes. */
export async function unlessCode<T>(call: Promise<T>, ...codes: readonly string[]): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (hasCode(error, ...codes)) return undefined;
    throw error;
  }
}

/** What a link leads to; `undefined`: it is dangling, as those that lead to each other or through a file, too. */
export function followLink({ fileSystem, path }: Place, options: Cancellable): Promise<FileInfo | undefined> {
  return unlessCode(fileSystem.stat(path, options), 'ENOENT', 'ENOTDIR', 'ELOOP');
}
