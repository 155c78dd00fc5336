/**
 * Many servers say no more than "Failure" where everybody would like to know what is in the way. So it is looked at:
 * what is found need not have been there a moment before, but nearly always was.
 */
import type { Buffer } from 'node:buffer';
import { SftpStatusError } from '../errors.js';
import { decodePath } from '../remote-path.js';
import { lstatWithType } from '../session/file-type.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { describeRequest } from '../session/status-error.js';

interface Cause {
  readonly code: string;
  readonly what: string;
}

interface Look {
  readonly client: SftpClient;
  /** What the request was about, and for those with two paths the second one. */
  readonly path: Buffer;
  readonly newPath?: Buffer;
  readonly options: OperationOptions;
}

interface Row {
  /** The server's answers behind which there may be more. */
  readonly codes: readonly string[];
  readonly find: (look: Look) => Promise<Cause | undefined>;
}

const rows = {
  mkdir: { codes: ['FAILURE'], find: (look) => findTaken(look, look.path, 'makedirs takes what is there') },
  // OpenSSH says of a file that there is none.
  rmdir: { codes: ['FAILURE', 'ENOENT'], find: findInDirectory },
  // Not everybody's unlink(2) tells a directory from a denied permission.
  remove: { codes: ['FAILURE', 'EACCES', 'EPERM'], find: findDirectory },
  rename: {
    codes: ['FAILURE'],
    find: (look) => findTaken(look, look.newPath, 'posixRename replaces files'),
  },
  symlink: { codes: ['FAILURE'], find: (look) => findTaken(look, look.newPath, 'remove it first') },
  hardlink: { codes: ['FAILURE'], find: (look) => findTaken(look, look.newPath, 'remove it first') },
} as const satisfies Readonly<Record<string, Row>>;

/** Waits for the call, and gives its failure the code and the words of what is in the way. */
export async function explain(call: Promise<void>, operation: keyof typeof rows, look: Look): Promise<void> {
  try {
    await call;
  } catch (error) {
    const { codes, find }: Row = rows[operation];
    if (!(error instanceof SftpStatusError) || !codes.includes(error.code)) throw error;
    const cause = await find(look).catch(() => undefined);
    throw cause === undefined ? error : explained(error, cause, look);
  }
}

function explained(error: SftpStatusError, { code, what }: Cause, { path, newPath }: Look): SftpStatusError {
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
    path: error.path,
    serverMessage,
    cause: error,
  });
}

async function findTaken(
  { client, options }: Look,
  path: Buffer | undefined,
  advice: string,
): Promise<Cause | undefined> {
  if (path === undefined) return undefined;
  const { type } = await lstatWithType(client, path, options);
  const kind = type === 'unknown' ? 'something' : `a ${type}`;
  return { code: 'EEXIST', what: `there is ${kind} already; ${advice}` };
}

async function findDirectory({ client, path, options }: Look): Promise<Cause | undefined> {
  const { type } = await lstatWithType(client, path, options);
  if (type !== 'directory') return undefined;
  return { code: 'EISDIR', what: 'it is a directory; rmdir and rmtree remove directories' };
}

async function findInDirectory({ client, path, options }: Look): Promise<Cause | undefined> {
  const { type } = await lstatWithType(client, path, options);
  if (type === 'unknown') return undefined;
  if (type !== 'directory') {
    return { code: 'ENOTDIR', what: `it is no directory but a ${type}; remove takes it away` };
  }
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
