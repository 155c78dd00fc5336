/** What lies at a path, and whether it is what a step has seen there. */
import { type Cancellable, type FileInfo, type Place, unlessCode } from '../transfer/file-system.js';
import { sftpTime } from '../transfer/sftp-time.js';
import type { StepState } from './step.js';

/** What is there; `undefined`: nothing. */
export function lookAt(
  { fileSystem, path }: Place,
  options: Cancellable,
  how: 'stat' | 'lstat' = 'lstat',
): Promise<FileInfo | undefined> {
  return unlessCode(fileSystem[how](path, options), 'ENOENT', 'ENOTDIR');
}

export function stateOf({ type, size, mtime }: FileInfo): StepState {
  return { type, size: size ?? null, mtime: mtime === undefined ? null : sftpTime(mtime) };
}

/** A time that nobody tells is taken for equal. Of anything but files only the type is compared. */
export function isSame(one: StepState, other: StepState): boolean {
  if (one.type !== other.type) return false;
  if (one.type !== 'file') return true;
  return one.size === other.size && (one.mtime === null || other.mtime === null || one.mtime === other.mtime);
}
