/**
 * What the embedded server needs of the files it shows. Paths are absolute, POSIX and bytes: names need not
 * be UTF-8. All but `sync` is synchronous on purpose: between the check of a path and its use nothing else of
 * this process can run, so a client cannot slip a link in between, and the requests of a session keep their
 * order without queues. Failures are errors with a `code` of Node's (`ENOENT` …).
 */
import { SftpError } from '../../errors.js';
import type { AttributeValues } from '../../wire/attributes.js';
import type { ExtensionData } from '../../wire/extensions.js';
import { strerror } from './errno.js';

export interface BackendOpenOptions {
  readonly read: boolean;
  readonly write: boolean;
  /** Every write goes to the end, whatever its offset. */
  readonly append: boolean;
  readonly create: boolean;
  readonly truncate: boolean;
  readonly exclusive: boolean;
  readonly mode: number | undefined;
}

export type FileSystemFigures = ExtensionData<'statvfs'>;

/** An open file. */
export interface BackendFile {
  /** At most `length` bytes; none at the end of the file. */
  read(offset: number, length: number): Buffer;
  write(offset: number, pieces: readonly Buffer[]): void;
  stat(): AttributeValues;
  setstat(attributes: AttributeValues): void;
  sync(): Promise<void>;
  statvfs(): FileSystemFigures;
  close(): void;
}

/** One name of a directory. `.` and `..` are among them, as in OpenSSH's sftp-server. */
export interface BackendEntry {
  readonly name: Buffer;
  readonly attributes: AttributeValues;
}

/** An open directory. */
export interface BackendDirectory {
  /** The next entries, at most `count`; none at the end. */
  read(count: number): readonly BackendEntry[];
}

export interface Backend {
  open(path: Uint8Array, options: BackendOpenOptions): BackendFile;
  openDirectory(path: Uint8Array): BackendDirectory;
  stat(path: Uint8Array): AttributeValues;
  lstat(path: Uint8Array): AttributeValues;
  setstat(path: Uint8Array, attributes: AttributeValues): void;
  /** Like `setstat`, and changes a symbolic link itself. */
  lsetstat(path: Uint8Array, attributes: AttributeValues): void;
  remove(path: Uint8Array): void;
  makeDirectory(path: Uint8Array, mode: number | undefined): void;
  removeDirectory(path: Uint8Array): void;
  /** Without links, `.` and `..`; the last component may be missing. */
  realpath(path: Uint8Array): Buffer;
  /** Fails where `newPath` exists. */
  rename(oldPath: Uint8Array, newPath: Uint8Array): void;
  /** Overwrites `newPath`, as rename(2) does. */
  replace(oldPath: Uint8Array, newPath: Uint8Array): void;
  symlink(target: Uint8Array, path: Uint8Array): void;
  readlink(path: Uint8Array): Buffer;
  link(oldPath: Uint8Array, newPath: Uint8Array): void;
  statvfs(path: Uint8Array): FileSystemFigures;
}

/** The error that a system call of that outcome would give. */
export function systemError(code: string, message: string = strerror(code)): SftpError {
  return new SftpError(code, message);
}
