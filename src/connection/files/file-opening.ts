/** Opening a file for the caller: emptied if the mode says so, and positioned at its end if it is appended to. */
import type { Buffer } from 'node:buffer';
import { SftpError, SftpStatusError } from '../../errors.js';
import { isLink, orMissing } from '../../session/quirks/missing-file.js';
import { OPEN_AS } from '../../session/quirks/open-flags.js';
import type { OperationOptions, RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { failure, unlessRefused } from '../../session/status-error.js';
import { untilAborted, withinTime } from '../../shared/abort.js';
import { quote } from '../../shared/remote-path.js';
import { isMissing } from '../../transfer/file-system.js';
import { checkKept, makeEmpty, openExisting } from '../../transfer/remote/opened-file.js';
import { specialTarget } from '../../transfer/special-file.js';
import type { AttributeValues, FileAttributes } from '../../wire/attributes.js';
import type { OpenMode } from './open-mode.js';

export interface OpeningOptions extends OperationOptions {
  /** Of a file that is made. */
  readonly attributes: AttributeValues;
}

export interface Opening {
  readonly handle: RemoteHandle;
  /** Where a file ends that is appended to, and 0 for the others. */
  readonly end: number;
}

/** STAT goes before OPEN: there are servers that do not bear it the other way round. */
export async function openFile(
  client: SftpClient,
  path: Buffer,
  mode: OpenMode,
  given: OpeningOptions,
): Promise<Opening> {
  const { flags, appends, isExclusive, empties, writes } = mode;
  // What an aborted call may have made or emptied is done when the call rejects.
  const options: OpeningOptions = writes ? { ...given, whenAborted: 'await' } : given;
  if (isExclusive || !(empties || appends))
    return { handle: await client.open(path, flags, options), end: 0 };
  const looking = lookBefore(client, path, options);
  const open = appends ? openAtEnd : openEmptied;
  return open(client, path, looking, { ...options, flags });
}

interface FlaggedOptions extends OpeningOptions {
  readonly flags: number;
}

/** What is there; `null`: nothing is; `undefined`: that is not told. */
type Before = Pick<FileAttributes, 'size' | 'type'> | undefined | null;

function lookBefore(client: SftpClient, path: Buffer, options: OperationOptions): Promise<Before> {
  const looking = look(client, path, options);
  // Its failure is noticed when its turn has come.
  looking.catch(() => {});
  return looking;
}

async function look(
  client: SftpClient,
  path: Buffer,
  { signal, timeout }: OperationOptions,
): Promise<Before> {
  try {
    const looking = client.stat(path, { signal, timeout });
    return await orMissing(client, path, looking, { signal, timeout, followsLinks: true });
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    return isMissing(error) ? null : undefined;
  }
}

/** How long a server may take to open a FIFO that has a reader. */
const FIFO_PATIENCE_MS = 1000;

/**
 * A server that opens a FIFO waits until somebody reads from it, and answers nothing else meanwhile. So the caller hears of
 * it soon, and the call does not wait for the end of the session.
 */
async function unlessFifo<T extends RemoteHandle | undefined>(
  client: SftpClient,
  path: Buffer,
  looking: Promise<Before>,
  opening: Promise<T>,
): Promise<T> {
  const refused = async () => {
    const before = await looking.catch(() => undefined);
    if (before?.type !== 'fifo') return opening;
    const isAnswered = opening.then(
      () => true,
      () => true,
    );
    if (await withinTime(isAnswered, FIFO_PATIENCE_MS)) return opening;
    opening.then((handle) => handle && client.close(handle)).catch(() => {});
    throw new SftpError('EEXIST', `open ${quote(path)}: ${WITHOUT_READER}`);
  };
  return Promise.race([opening, refused()]);
}

const WITHOUT_READER = `${specialTarget({ type: 'fifo', isLocal: false }, true)}; until it has a reader, the server answers nothing else on this connection`;

async function openEmptied(
  client: SftpClient,
  path: Buffer,
  looking: Promise<Before>,
  { flags, ...options }: FlaggedOptions,
): Promise<Opening> {
  const handle = await unlessFifo(client, path, looking, client.open(path, flags, options));
  return closedOnFailure(client, handle, options, async () => {
    if (((await looking)?.size ?? 0) > 0) await makeEmpty(client, handle, options);
    return { handle, end: 0 };
  });
}

/** Others may make and remove a file while it is being opened. A server that says so without end must not hold the call. */
const MAX_APPEND_ATTEMPTS = 10;

async function openAtEnd(
  client: SftpClient,
  path: Buffer,
  looking: Promise<Before>,
  options: FlaggedOptions,
  attempt = 1,
): Promise<Opening> {
  // What opening does to the file must not have been done yet when its size is told.
  const isNew = !client.worksInOrder && (await looking) === null;
  const opened = isNew
    ? undefined
    : await unlessFifo(client, path, looking, openToAppend(client, path, looking, options)).catch(
        missing(looking),
      );
  const made = opened ?? (await openNew(client, path, options).catch(unlessMade(client, path, options)));
  if (made === undefined) {
    if (attempt === MAX_APPEND_ATTEMPTS)
      throw failure(
        'ENOENT',
        'open',
        path,
        `it appeared and disappeared ${attempt} times while it was being opened; try again`,
      );
    return openAtEnd(client, path, lookBefore(client, path, options), options, attempt + 1);
  }
  const handle = made;
  return closedOnFailure(client, handle, options, async () => {
    const before = (await looking)?.size;
    const size = opened && (await checkKept(client, { handle, path, bytes: before ?? 0 }, options));
    const end = opened === undefined ? 0 : (size ?? before);
    if (end !== undefined) return { handle, end };
    // Guessing would overwrite what it holds.
    const advice = "open it with 'r+' and seek";
    throw new SftpError('ENOTSUP', `The server does not report the size of ${quote(path)}: ${advice}`);
  });
}

/**
 * With APPEND every write goes to the end, wherever that is by then. What is there is not asked to be made, as some
 * servers empty it then; and servers without any extension are not asked at all, as there are some among them that end
 * where flags have a combination that they do not know.
 */
async function openToAppend(
  client: SftpClient,
  path: Buffer,
  looking: Promise<Before>,
  { flags, ...options }: FlaggedOptions,
): Promise<RemoteHandle> {
  if (client.extensions.length > 0) {
    const how = OPEN_AS.appendExisting | (flags & OPEN_AS.read);
    try {
      return await client.open(path, how, { ...options, mayFail: true });
    } catch (error) {
      // What somebody has made since they were asked must not be opened without APPEND: others may have appended to it.
      if (!(error instanceof SftpStatusError) || (await looking) === null) throw error;
    }
  }
  return openExisting(client, path, options);
}

/** Makes of a failure `undefined` where nothing is there. */
function missing(looking: Promise<Before>): (error: unknown) => Promise<undefined> {
  return async (error) => {
    if ((await looking) !== null) throw error;
    return undefined;
  };
}

/** Makes of a failure `undefined` where somebody else has made the file meanwhile. */
function unlessMade(
  client: SftpClient,
  path: Buffer,
  options: OperationOptions,
): (error: unknown) => Promise<undefined> {
  return async (error) => {
    if (!(error instanceof SftpStatusError)) throw error;
    const { type } = await client.stat(path, options).catch(() => Promise.reject(error));
    if (type !== 'file') throw error;
    return undefined;
  };
}

/** Also where a symlink leads that is dangling: the file is made, and `undefined` says that it can be appended to. */
async function openNew(
  client: SftpClient,
  path: Buffer,
  { flags, ...options }: FlaggedOptions,
): Promise<RemoteHandle | undefined> {
  if (client.extensions.length > 0) {
    const how = OPEN_AS.appendCreated | (flags & OPEN_AS.read);
    const handle = await unlessRefused(client.open(path, how, { ...options, mayFail: true }));
    if (handle !== undefined) return handle;
  }
  try {
    return await client.open(path, flags, options);
  } catch (error) {
    if (!(error instanceof SftpStatusError) || !(await isLink(client, path, options))) throw error;
    // Without APPEND it would be written from its beginning, over what others have appended.
    await client.close(await client.open(path, OPEN_AS.throughLink, options));
    return undefined;
  }
}

async function closedOnFailure<T>(
  client: SftpClient,
  handle: RemoteHandle,
  { signal }: OperationOptions,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await use();
  } catch (error) {
    await untilAborted(client.close(handle), signal).catch(() => {});
    throw error;
  }
}
