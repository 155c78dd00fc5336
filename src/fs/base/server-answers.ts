/**
 * What a server's answer means, as node:fs would tell it on that machine. SFTP has few codes, so after a refusal we look at
 * what is there; what explains a refusal for the whole package does most of it, and a few are only of interest here.
 */
import type { Buffer } from 'node:buffer';
import { constants } from 'node:fs';
import { SftpStatusError } from '../../errors.js';
import { lstatWithType, statWithType } from '../../session/quirks/file-type.js';
import { type ExplainedOperation, explain } from '../../session/quirks/likely-cause.js';
import type { RefusedRequest } from '../../session/quirks/obstacles.js';
import { failure, unlessRefused } from '../../session/status-error.js';
import {
  baseName,
  childPath,
  directoryName,
  namesOf,
  withoutTrailingSlashes,
} from '../../shared/remote-path.js';
import { FileAttributes } from '../../wire/attributes.js';
import { PathFault, walkPath } from './path-walk.js';

const STICKY = 0o1000;
const SLASH = 0x2f;

export async function explained<T>(
  request: Promise<T>,
  operation: ExplainedOperation,
  look: RefusedRequest,
): Promise<T> {
  try {
    return await request;
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    const missing = await ofMissing(error, operation, look).catch(() => undefined);
    if (missing !== undefined) throw withCode(error, missing, look);
    const explaining = explain<never>(Promise.reject(error), operation, look);
    const told = await explaining.catch((better: unknown) => better);
    if (!(told instanceof SftpStatusError)) throw told;
    const code = await refinedCode(told, operation, look).catch(() => undefined);
    throw withCode(told, code ?? told.code, look);
  }
}

function withCode(error: SftpStatusError, code: string, { path }: RefusedRequest): SftpStatusError {
  if (code === error.code) return error;
  return failure(code, error.operation, path, 'as a look at what is there shows', error);
}

/** What is made or removed under a name, and not where a link of that name leads. */
const OF_THE_NAME: readonly ExplainedOperation[] = ['mkdir', 'rmdir', 'remove', 'openNew'];

/**
 * Nothing there, which is what most refusals say: one look at the name and at its directory tells whether that is all.
 * Otherwise there is a link on the way, and the path is followed name by name.
 */
const ofMissing: Refine = async ({ code }, operation, { client, path, newPath, options }) => {
  if (code !== 'ENOENT' || newPath !== undefined) return undefined;
  const [itself, above] = await Promise.all([
    unlessRefused(client.lstat(path, options)),
    unlessRefused(client.stat(directoryName(path), options)),
  ]);
  const hasSlash = path[path.length - 1] === SLASH;
  if (itself === undefined && above?.isDirectory() && !hasSlash) return code;
  if (itself !== undefined && !itself.isSymbolicLink()) return undefined;
  const absolute = path[0] === SLASH ? path : childPath(await client.realpath('.', options), path);
  const rules = { root: [], follows: !OF_THE_NAME.includes(operation), mustExist: false, ...options };
  const walking = walkPath(client, namesOf(absolute), rules);
  return walking.then(
    () => undefined,
    (error: unknown) => (error instanceof PathFault ? error.code : undefined),
  );
};

type Refine = (
  error: SftpStatusError,
  operation: ExplainedOperation,
  look: RefusedRequest,
) => Promise<string | undefined>;

async function refinedCode(...args: Parameters<Refine>): Promise<string | undefined> {
  for (const refine of [behindDenial, ofTwoPaths, behindSlash]) {
    const code = await refine(...args);
    if (code !== undefined) return code;
  }
  return undefined;
}

/** What "permission denied" stands for: OpenSSH says it for EPERM too (`errno_to_portable`). */
const behindDenial: Refine = async ({ code }, operation, { client, path, newPath, options }) => {
  if (code !== 'EACCES') return undefined;
  if (operation === 'setstat') {
    // What can be looked at can be changed by its owner, and by nobody else.
    await lstatWithType(client, path, options);
    return 'EPERM';
  }
  if (operation === 'hardlink') {
    const { type } = await lstatWithType(client, path, options);
    return type === 'directory' ? 'EPERM' : undefined;
  }
  if (!['remove', 'rmdir', 'posixRename', 'rename'].includes(operation)) return undefined;
  const parents = [path, ...(newPath === undefined ? [] : [newPath])].map((each) => directoryName(each));
  const modes = await Promise.all(
    parents.map(async (each) => (await statWithType(client, each, options)).mode ?? 0),
  );
  // In a directory such as /tmp only the owner of a file may remove it.
  const isSticky = modes.some((mode) => (mode & STICKY) !== 0 && (mode & constants.S_IWOTH) !== 0);
  return isSticky ? 'EPERM' : undefined;
};

/** A slash at the end asks for a directory. */
const behindSlash: Refine = async ({ code }, operation, look) => {
  if (!['ENOENT', 'FAILURE', 'EEXIST', 'EISDIR', 'ENOTDIR', 'ENOTEMPTY'].includes(code)) return undefined;
  for (const each of [look.path, look.newPath]) {
    if (each === undefined || each[each.length - 1] !== SLASH || each.length === 1) continue;
    const found = await behindSlashOf(each, operation, look);
    if (found !== undefined) return found;
  }
  return undefined;
};

async function behindSlashOf(
  given: Buffer,
  operation: ExplainedOperation,
  { client, path, newPath, options }: RefusedRequest,
): Promise<string | undefined> {
  const lookAt = (each: Buffer) => lstatWithType(client, each, options).catch(() => undefined);
  const trimmed = withoutTrailingSlashes(given);
  const itself = await lookAt(trimmed);
  const answer = AT_NAMES_WITH_SLASH[operation];
  if (answer !== undefined) return itself === undefined ? answer.missing : answer.there;
  if (given === newPath) {
    const source = await lookAt(withoutTrailingSlashes(path));
    const found = atNewNameWithSlash(operation, source, itself);
    if (found !== undefined) return found;
  }
  if (itself === undefined) return undefined;
  if (['rmdir', 'remove'].includes(operation) && itself.isSymbolicLink()) return 'ENOTDIR';
  const asking = explain(statWithType(client, trimmed, options), 'stat', { client, path: trimmed, options });
  const target = await asking.catch((error: unknown) => error);
  if (target instanceof SftpStatusError) return target.code;
  return target instanceof FileAttributes && !target.isDirectory() ? 'ENOTDIR' : undefined;
}

/** Only a directory can be renamed to such a name, and only over a directory. */
function atNewNameWithSlash(
  operation: ExplainedOperation,
  source: FileAttributes | undefined,
  itself: FileAttributes | undefined,
): string | undefined {
  if (operation === 'hardlink') return itself === undefined ? 'ENOENT' : 'EEXIST';
  const isDirectory = source === undefined || source.isDirectory();
  return isRenaming(operation) && (!isDirectory || itself?.isSymbolicLink()) ? 'ENOTDIR' : undefined;
}

interface SlashAnswer {
  readonly missing: string | undefined;
  readonly there: string;
}

/** What makes something at a name that ends with a slash. */
const AT_NAMES_WITH_SLASH: Readonly<Partial<Record<ExplainedOperation, SlashAnswer>>> = {
  create: { missing: 'EISDIR', there: 'EISDIR' },
  openNew: { missing: 'EISDIR', there: 'EISDIR' },
  symlink: { missing: 'ENOENT', there: 'EEXIST' },
  mkdir: { missing: undefined, there: 'EEXIST' },
};

function isRenaming(operation: ExplainedOperation): boolean {
  return operation === 'rename' || operation === 'posixRename';
}

/**
 * Of two paths a system looks at the first one first: link(2) at what it names, rename(2) at the directories of both, and
 * only then at what they name. A directory cannot be renamed by the names `.` and `..`.
 */
const ofTwoPaths: Refine = async ({ code }, operation, { client, path, newPath, options }) => {
  if (newPath === undefined) return undefined;
  if (
    isRenaming(operation) &&
    code === 'EISDIR' &&
    path.indexOf(`${newPath.toString('latin1')}/`, 0, 'latin1') === 0
  ) {
    return 'ENOTEMPTY';
  }
  const isOfDots = isRenaming(operation) && [path, newPath].some(isDots);
  if (!isOfDots && !['ENOENT', 'ELOOP', 'ENOTDIR', 'FAILURE', 'EINVAL'].includes(code)) return undefined;
  const look = async (each: Buffer, how: 'stat' | 'lstat') => {
    const asking = explained(client[how](each, options), 'stat', { client, path: each, options });
    return asking.then(
      ({ type }) => (how === 'stat' && type !== 'directory' && type !== 'unknown' ? 'ENOTDIR' : undefined),
      (error: unknown) => (error instanceof SftpStatusError ? error.code : undefined),
    );
  };
  const [above, newAbove] = [directoryName(path), directoryName(newPath)];
  const old = withoutTrailingSlashes(path);
  if (operation === 'symlink') return code === 'ENOENT' ? look(newAbove, 'stat') : undefined;
  if (operation === 'hardlink') return (await look(path, 'lstat')) ?? (await look(newAbove, 'stat'));
  if (!isRenaming(operation)) return undefined;
  const broken = (await look(above, 'stat')) ?? (await look(newAbove, 'stat'));
  if (broken !== undefined) return broken;
  return isOfDots ? 'EBUSY' : look(old, 'lstat');
};

function isDots(path: Buffer): boolean {
  return ['.', '..'].includes(baseName(path).toString('latin1'));
}
