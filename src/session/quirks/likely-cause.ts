/**
 * Many servers answer "Failure" or "No such file" for a dozen reasons (OpenSSH's `errno_to_portable`). So after a
 * refusal we look at what is in the way, and give the error the code that the system call had. What we find need not
 * have been there a moment before, but nearly always was.
 */
import { SftpStatusError } from '../../errors.js';
import { decodePath } from '../../shared/remote-path.js';
import { describeRequest } from '../status-error.js';
import {
  type Cause,
  findBrokenPath,
  findContent,
  findCrossing,
  findDeadLink,
  findDirectory,
  findFull,
  findLongName,
  findNoDirectory,
  findNoDirectoryItself,
  findNoParent,
  findNothing,
  findReadOnly,
  findTaken,
  findTypeConflict,
  type RefusedRequest,
} from './obstacles.js';

type Find = (look: RefusedRequest) => Cause | undefined | Promise<Cause | undefined>;

/** The server's answers behind which there may be more, each with what to look for, in the order of Linux. */
type Row = Readonly<Partial<Record<string, readonly Find[]>>>;

const NAME_THE_FILE = 'give the name of the file in it too';
const POSIX_RENAME = 'posixRename replaces files';
const REMOVE_FIRST = 'remove it first';
const REMOVE_FILES = 'use remove';
const REMOVE_DIRECTORIES = 'rmdir and rmtree remove directories';

const NOTHING = findNothing('path');
const NO_PARENT = findNoParent('path');
const BROKEN: readonly Find[] = [findBrokenPath('path')];
const BROKEN_TARGET: readonly Find[] = [findBrokenPath('path'), findBrokenPath('newPath')];

const MAKING: readonly Find[] = [findReadOnly('path', 'directory'), findFull];
const WRITING: readonly Find[] = [findReadOnly('path', 'content'), findFull];
const IN_NEW_PLACE: readonly Find[] = [
  findNoParent('newPath'),
  findReadOnly('newPath', 'directory'),
  findCrossing,
  findFull,
];

const rows = {
  stat: { ENOENT: BROKEN, FAILURE: [NOTHING] },
  opendir: { ENOENT: [...BROKEN, findNoDirectory], FAILURE: [findNoDirectory, NOTHING] },
  open: {
    ENOENT: BROKEN,
    EISDIR: [findDirectory(NAME_THE_FILE)],
    FAILURE: [findDirectory(NAME_THE_FILE), ...WRITING, NOTHING],
  },
  /** An OPEN that makes a file where there is none. */
  create: {
    ENOENT: BROKEN,
    EISDIR: [findDirectory(NAME_THE_FILE)],
    FAILURE: [findDirectory(NAME_THE_FILE), NO_PARENT, ...WRITING],
  },
  openNew: { ENOENT: BROKEN, FAILURE: [findTaken('path', ''), NO_PARENT, ...WRITING] },
  read: { FAILURE: [findDirectory('listdir lists it')] },
  write: { FAILURE: WRITING },
  setstat: { ENOENT: BROKEN, FAILURE: [...WRITING, NOTHING] },
  truncate: { ENOENT: BROKEN, FAILURE: [findDirectory(''), ...WRITING, NOTHING] },
  mkdir: {
    ENOENT: BROKEN,
    FAILURE: [findTaken('path', 'makedirs takes what is there'), NO_PARENT, ...MAKING],
  },
  makedirs: { ENOENT: BROKEN, FAILURE: [findDeadLink, ...MAKING] },
  rmdir: {
    // OpenSSH says of a file that there is none.
    ENOENT: [findNoDirectoryItself(REMOVE_FILES), ...BROKEN],
    FAILURE: [findReadOnly('path', 'directory'), findNoDirectoryItself(REMOVE_FILES), findContent, NOTHING],
  },
  remove: {
    ENOENT: BROKEN,
    FAILURE: [findReadOnly('path', 'directory'), findDirectory(REMOVE_DIRECTORIES), NOTHING],
    // Not everybody's unlink(2) tells a directory from a denied permission.
    EACCES: [findDirectory(REMOVE_DIRECTORIES)],
    EPERM: [findDirectory(REMOVE_DIRECTORIES)],
  },
  rename: {
    ENOENT: [...BROKEN_TARGET, findTaken('newPath', POSIX_RENAME)],
    FAILURE: [findTaken('newPath', POSIX_RENAME), ...IN_NEW_PLACE, NOTHING],
  },
  posixRename: {
    ENOENT: [findTypeConflict, ...BROKEN_TARGET],
    FAILURE: [
      findNoParent('newPath'),
      findCrossing,
      findReadOnly('newPath', 'directory'),
      findTypeConflict,
      findFull,
      NOTHING,
    ],
  },
  symlink: {
    ENOENT: [findBrokenPath('newPath')],
    FAILURE: [
      findTaken('newPath', REMOVE_FIRST),
      findNoParent('newPath'),
      findReadOnly('newPath', 'directory'),
      findFull,
    ],
  },
  hardlink: {
    ENOENT: BROKEN_TARGET,
    FAILURE: [findTaken('newPath', REMOVE_FIRST), ...IN_NEW_PLACE, NOTHING],
  },
} as const satisfies Readonly<Record<string, Row>>;

export type ExplainedOperation = keyof typeof rows;

/** Waits for the call, and gives its failure the code and the words of what is in the way. */
export async function explain<T>(
  call: Promise<T>,
  operation: ExplainedOperation,
  look: RefusedRequest,
): Promise<T> {
  try {
    return await call;
  } catch (error) {
    throw await likelyCause(error, operation, look);
  }
}

/** The refusal with the code and the words of what is in the way; the same error where nothing is found. */
export async function likelyCause(
  error: unknown,
  operation: ExplainedOperation,
  look: RefusedRequest,
): Promise<unknown> {
  if (!(error instanceof SftpStatusError)) return error;
  const long = ['EINVAL', 'FAILURE'].includes(error.code) ? findLongName(look) : undefined;
  if (long !== undefined) return explained(error, long, look);
  const row: Row = rows[operation];
  for (const find of row[error.code] ?? []) {
    const cause = await Promise.resolve(find(look)).catch(() => undefined);
    if (cause !== undefined) return explained(error, cause, look);
  }
  return error;
}

function explained(
  error: SftpStatusError,
  { code, what }: Cause,
  { path, newPath }: RefusedRequest,
): SftpStatusError {
  const { status, statusName, operation, serverMessage } = error;
  const request = describeRequest({
    operation,
    path: decodePath(path),
    newPath: newPath && decodePath(newPath),
  });
  const said = serverMessage === '' ? '' : `, the server says: ${serverMessage}`;
  return new SftpStatusError(code, `${request}: ${what} (${statusName}${said})`, {
    status,
    statusName,
    operation,
    path: decodePath(path),
    serverMessage,
    cause: error,
  });
}
