/** What may be in the way of a request, and how to find out. Each finder asks as little as it can. */
import type { Buffer } from 'node:buffer';
import { SftpStatusError } from '../../errors.js';
import {
  directoryName,
  isAbsolute,
  joinPath,
  type PathKey,
  pathKey,
  quote,
} from '../../shared/remote-path.js';
import type { FileAttributes } from '../../wire/attributes.js';
import type { ExtensionData } from '../../wire/extensions.js';
import type { OperationOptions, SftpClient } from '../sftp-client.js';
import { lstatWithType, statWithType } from './file-type.js';
import { orMissing } from './missing-file.js';

/** Why a request was refused, as Node would say it. */
export interface Cause {
  readonly code: string;
  readonly what: string;
}

export interface RefusedRequest {
  readonly client: SftpClient;
  /** What the request was about, and for those with two paths the second one. */
  readonly path: Buffer;
  readonly newPath?: Buffer | undefined;
  readonly options: OperationOptions;
}

/** Linux's NAME_MAX and PATH_MAX, the closing NUL included. */
const MAX_NAME_LENGTH = 255;
const MAX_PATH_LENGTH = 4096;
/** As many links as Linux follows. */
const MAX_LINKS = 40;
const SLASH = '/';

type PathName = 'path' | 'newPath';

/** A name or a path that is longer than systems take; nobody need be asked for that. */
export function findLongName({ path, newPath }: Pick<RefusedRequest, 'path' | 'newPath'>): Cause | undefined {
  for (const each of [path, newPath]) {
    if (each === undefined) continue;
    const longest = Math.max(
      ...each
        .toString('latin1')
        .split(SLASH)
        .map((name) => name.length),
    );
    if (longest > MAX_NAME_LENGTH) {
      return {
        code: 'ENAMETOOLONG',
        what: `a name in it has ${longest} bytes; most systems allow ${MAX_NAME_LENGTH}`,
      };
    }
    if (each.length >= MAX_PATH_LENGTH) {
      return {
        code: 'ENAMETOOLONG',
        what: `it has ${each.length} bytes; most systems allow ${MAX_PATH_LENGTH - 1}`,
      };
    }
  }
  return undefined;
}

/** Nothing under the name, on servers that say no more than "failure" of that. */
export function findNothing(which: PathName): (look: RefusedRequest) => Promise<Cause | undefined> {
  return async (look) => {
    const path = look[which];
    if (path === undefined || !(await isMissing(look, path))) return undefined;
    return { code: 'ENOENT', what: 'no such file or directory' };
  };
}

/** The same of the directory that shall contain the new name. */
export function findNoParent(which: PathName): (look: RefusedRequest) => Promise<Cause | undefined> {
  return async (look) => {
    const path = look[which];
    const parent = path && directoryName(path);
    if (parent === undefined || isTop(parent) || !(await isMissing(look, parent))) return undefined;
    return { code: 'ENOENT', what: `there is no directory ${quote(parent)}` };
  };
}

async function isMissing({ client, options }: RefusedRequest, path: Buffer): Promise<boolean> {
  const asking = orMissing(client, path, client.lstat(path, options), options);
  return asking.then(
    () => false,
    (error: unknown) => error instanceof SftpStatusError && error.code === 'ENOENT',
  );
}

/** Upwards to the first that exists: a file in the place of a directory, or links that lead to each other. */
export function findBrokenPath(which: PathName): (look: RefusedRequest) => Promise<Cause | undefined> {
  return async (look) => {
    let below = look[which];
    while (below !== undefined) {
      const above = directoryName(below);
      const [itself, parent] = await Promise.all([lookAt(look, below, 'lstat'), lookAt(look, above, 'stat')]);
      if (itself !== undefined) return itself.isSymbolicLink() ? findLoop(look, below) : undefined;
      if (parent !== undefined) return asDirectory(parent, above);
      below = above.equals(below) || isTop(above) ? undefined : above;
    }
    return undefined;
  };
}

function isTop(path: Buffer): boolean {
  return ['.', SLASH].includes(path.toString('latin1'));
}

async function findLoop({ client, options }: RefusedRequest, link: Buffer): Promise<Cause | undefined> {
  const loop = { code: 'ELOOP', what: `${quote(link)} is a symbolic link that leads back to itself` };
  const seen = new Set<PathKey>();
  let at = link;
  for (let links = 0; links < MAX_LINKS; links += 1) {
    const key = pathKey(at);
    if (seen.has(key)) return loop;
    seen.add(key);
    const target = await client.readlink(at, options).catch(() => undefined);
    if (target === undefined) return undefined;
    at = isAbsolute(target) ? target : joinPath(directoryName(at), target);
  }
  return loop;
}

/** A link in the place of a directory, which leads to none. */
export async function findDeadLink(look: RefusedRequest): Promise<Cause | undefined> {
  const { type } = await lstatWithType(look.client, look.path, look.options);
  if (type !== 'symlink') return undefined;
  return (await findLoop(look, look.path)) ?? { code: 'ENOENT', what: 'it is a dangling symbolic link' };
}

/** Something that is no directory, where one is needed. */
export async function findNoDirectory({ client, path, options }: RefusedRequest): Promise<Cause | undefined> {
  return asDirectory(await statWithType(client, path, options));
}

/** The same for what follows no links. */
export function findNoDirectoryItself(advice: string): (look: RefusedRequest) => Promise<Cause | undefined> {
  return async ({ client, path, options }) =>
    asDirectory(await lstatWithType(client, path, options), undefined, advice);
}

function asDirectory({ type }: FileAttributes, above?: Buffer, advice = ''): Cause | undefined {
  if (type === 'directory' || type === 'unknown') return undefined;
  const subject = above === undefined ? 'it' : quote(above);
  return { code: 'ENOTDIR', what: `${subject} is a ${type}, not a directory${advised(advice)}` };
}

function advised(advice: string): string {
  return advice === '' ? '' : `; ${advice}`;
}

export function findDirectory(advice: string): (look: RefusedRequest) => Promise<Cause | undefined> {
  return async ({ client, path, options }) => {
    const { type } = await statWithType(client, path, options);
    return type === 'directory' ? { code: 'EISDIR', what: `it is a directory${advised(advice)}` } : undefined;
  };
}

export function findTaken(
  which: PathName,
  advice: string,
): (look: RefusedRequest) => Promise<Cause | undefined> {
  return async ({ client, options, [which]: path }) => {
    if (path === undefined) return undefined;
    const { type } = await lstatWithType(client, path, options);
    const kind = type === 'unknown' ? 'something' : `a ${type}`;
    return { code: 'EEXIST', what: `there is ${kind} already${advised(advice)}` };
  };
}

/** A directory renamed over a file, a file over a directory, or anything over a directory with content. */
export async function findTypeConflict(look: RefusedRequest): Promise<Cause | undefined> {
  const { client, path, newPath, options } = look;
  if (newPath === undefined) return undefined;
  const [from, to] = await Promise.all([path, newPath].map((each) => lstatWithType(client, each, options)));
  if (from?.isDirectory() && !to?.isDirectory()) {
    return { code: 'ENOTDIR', what: `${quote(newPath)} is a ${to?.type}, and a directory cannot replace it` };
  }
  if (!to?.isDirectory()) return undefined;
  if (from?.isDirectory()) {
    const hasContent = (await findContent({ ...look, path: newPath })) !== undefined;
    return hasContent ? { code: 'ENOTEMPTY', what: `${quote(newPath)} is not empty` } : undefined;
  }
  return { code: 'EISDIR', what: `${quote(newPath)} is a directory, and only a directory can replace it` };
}

export async function findContent({ client, path, options }: RefusedRequest): Promise<Cause | undefined> {
  const handle = await client.opendir(path, options);
  try {
    for (let entries = await client.readdir(handle, options); entries?.length; ) {
      if (entries.some(({ filename }) => filename !== '.' && filename !== '..')) {
        return { code: 'ENOTEMPTY', what: 'it is not empty; rmtree removes a directory with its content' };
      }
      entries = await client.readdir(handle, options);
    }
    return undefined;
  } finally {
    await client.close(handle, options).catch(() => {});
  }
}

/** OpenSSH's PROTOCOL, section 4.4 */
const READ_ONLY = 1n;

/** @param part whether the request changes what is under the name, or the directory that holds the name */
export function findReadOnly(
  which: PathName,
  part: 'content' | 'directory',
): (look: RefusedRequest) => Promise<Cause | undefined> {
  return async (look) => {
    const volume = await volumeOf(look, look[which], part);
    if (volume === undefined || (volume.flags & READ_ONLY) === 0n) return undefined;
    return { code: 'EROFS', what: 'the file system is mounted read-only' };
  };
}

/** Less room than one request of ours could need, or no room for one more file. */
export async function findFull(look: RefusedRequest): Promise<Cause | undefined> {
  const volume = await volumeOf(look, look.newPath ?? look.path, 'content');
  if (volume === undefined) return undefined;
  const { availableBlocks, fragmentSize, blocks, files, availableFiles } = volume;
  const isFull = blocks > 0n && availableBlocks * fragmentSize < BigInt(look.client.limits.maxWriteLength);
  if (isFull) return { code: 'ENOSPC', what: 'no space left on the device' };
  const isOutOfFiles = files > 0n && availableFiles === 0n;
  return isOutOfFiles ? { code: 'ENOSPC', what: 'the device has no room for another file' } : undefined;
}

export async function findCrossing(look: RefusedRequest): Promise<Cause | undefined> {
  const [from, to] = await Promise.all(
    [look.path, look.newPath].map((each) => volumeOf(look, each, 'directory')),
  );
  if (from === undefined || to === undefined || from.fileSystemId === to.fileSystemId) return undefined;
  return { code: 'EXDEV', what: 'the two paths are on different file systems; copy the file instead' };
}

/** The file system that holds a name, or what is under the name where there is something. */
async function volumeOf(
  { client, options }: RefusedRequest,
  path: Buffer | undefined,
  part: 'content' | 'directory',
): Promise<ExtensionData<'statvfs'> | undefined> {
  if (path === undefined || !client.supports('statvfs')) return undefined;
  const asked = part === 'content' ? await client.statvfs(path, options).catch(() => undefined) : undefined;
  return asked ?? client.statvfs(directoryName(path), options);
}

/** `undefined`: there is nothing, as far as we can see. */
function lookAt(
  { client, options }: RefusedRequest,
  path: Buffer,
  how: 'stat' | 'lstat',
): Promise<FileAttributes | undefined> {
  const looking = how === 'stat' ? statWithType : lstatWithType;
  return looking(client, path, options).catch(() => undefined);
}
