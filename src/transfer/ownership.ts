/**
 * Whose a file is that takes the place of another one. It is given to the owner of that, with its group and its
 * permissions, if only we and root can have put it there. In any other directory another user could create a file under the
 * name of an upload, and would then own what is uploaded.
 */
import { Buffer } from 'node:buffer';
import { SftpError } from '../errors.js';
import { absolutePathOf, namesOf, quote } from '../shared/remote-path.js';
import type { Cancellable, FileInfo, FileSystem, Owner, TargetFile, TargetPlace } from './file-system.js';

/** The file that is replaced. */
export interface Replaced {
  readonly owner?: Owner | undefined;
  readonly mode?: number | undefined;
  /**
   * The mode is that of this file. A new file of somebody else's gets of it no more than new files get: the rights that
   * others have given to their file need not be ours to give.
   */
  readonly isModeOfOwner?: boolean | undefined;
}

/** What has come of it. */
export interface Kept {
  /** The permissions that the new file may have. */
  readonly mode: number | undefined;
  /** Why owner and group are not what they were. */
  readonly refusal?: Error | undefined;
}

const ROOT = 0;

/** What a file may have of the one that it replaces: never a right beyond the usual ones. */
export function replacedBy({ mode, uid, gid }: Partial<FileInfo> = {}): Replaced {
  const owner = uid === undefined || gid === undefined ? undefined : { uid, gid };
  return mode === undefined ? { owner } : { owner, mode: mode & 0o777, isModeOfOwner: uid !== undefined };
}

/** Costs no request where our new files have that owner anyway; a promise only where somebody has to be asked. */
export function keepOwner(
  file: GivenFile,
  place: TargetPlace,
  { owner, ...replaced }: Replaced,
  options: Cancellable,
): Kept | Promise<Kept> {
  return owner === undefined ? ofNobody(replaced) : giveBack(file, place, { owner, ...replaced }, options);
}

type GivenFile = Pick<TargetFile, 'owner' | 'giveTo'>;

function ofNobody({ mode, isModeOfOwner }: Replaced): Kept {
  return { mode: isModeOfOwner ? undefined : mode };
}

async function giveBack(
  file: GivenFile,
  { fileSystem, path }: TargetPlace,
  { owner, mode, isModeOfOwner }: Replaced & { readonly owner: Owner },
  options: Cancellable,
): Promise<Kept> {
  const ours = await file.owner?.(owner, options);
  if (ours === undefined) return ofNobody({ mode, isModeOfOwner });
  const isSameUser = ours.uid === owner.uid;
  if (isSameUser && ours.gid === owner.gid) return { mode };
  const directory = fileSystem.split?.(path).directory;
  const isReserved = directory && (await fileSystem.isReservedFor?.(ours.uid, directory, options));
  const refusal = isReserved ? await file.giveTo?.(owner, options) : openToOthers();
  if (refusal === undefined) return { mode };
  return {
    mode: isModeOfOwner && !isSameUser ? undefined : mode,
    refusal: changedOwner(fileSystem.textOf(path), owner, ours, refusal),
  };
}

function openToOthers(): Error {
  return new Error(
    'others may change its directory or a directory above, and could have put the old one there',
  );
}

function changedOwner(path: string, old: Owner, ours: Owner, cause: Error): SftpError {
  const [before, now] = [old, ours].map(({ uid, gid }) => `${uid}:${gid}`);
  return new SftpError(
    'EPERM',
    `${quote(path)} belonged to ${before} and belongs to ${now} now: ${cause.message}`,
    {
      cause,
    },
  );
}

type Looks = Pick<FileSystem, 'lstat' | 'realPath' | 'join'>;

/** {@link FileSystem.isReservedFor} by the directories from the root down, none of which may be reached by a link. */
export async function isReservedFor(
  fileSystem: Looks,
  { uid, directory }: { readonly uid: number; readonly directory: Buffer },
  options: Cancellable,
): Promise<boolean> {
  const real = await fileSystem.realPath(directory, options);
  const isAbsolute = directory[0] === SLASH;
  const here = isAbsolute ? undefined : await fileSystem.realPath(Buffer.from('.'), options);
  const given = here === undefined ? directory : fileSystem.join(here, directory);
  if (!plain(given).equals(plain(real))) return false;
  const infos = await Promise.all(lineageOf(real).map((path) => fileSystem.lstat(path, options)));
  return infos.every((info, index) => isOnlyOf(uid, info, index === infos.length - 1));
}

const SLASH = 0x2f;

/** Entries of others cannot be renamed in a directory with the sticky bit; but new ones can be made. */
function isOnlyOf(uid: number, { type, uid: owner, mode = 0o777 }: FileInfo, isLast: boolean): boolean {
  const isClosed = (mode & 0o022) === 0 || (!isLast && (mode & 0o1000) !== 0);
  return type === 'directory' && (owner === uid || owner === ROOT) && isClosed;
}

function plain(path: Buffer): Buffer {
  return absolutePathOf(namesOf(path));
}

/** `/`, `/a`, `/a/b`. */
function lineageOf(path: Buffer): readonly Buffer[] {
  const names = namesOf(path);
  return ['', ...names].map((_, count) => absolutePathOf(names.slice(0, count)));
}
