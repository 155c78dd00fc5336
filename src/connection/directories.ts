/** Listing and making directories. */
import { Buffer } from 'node:buffer';
import { SftpStatusError } from '../errors.js';
import { type ListingOptions, readAttributes, readEntries, textBytes } from '../session/directory-reader.js';
import { lstatWithType, statWithType } from '../session/quirks/file-type.js';
import { explain, likelyCause } from '../session/quirks/likely-cause.js';
import { findLongName } from '../session/quirks/obstacles.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import { unlessRefused } from '../session/status-error.js';
import { byCodePoint } from '../shared/code-point-order.js';
import { CALL_OPTIONS, type CallOptions, type OptionTable } from '../shared/option-checks.js';
import { decodePath, directoryName, joinPath, quote } from '../shared/remote-path.js';
import { together } from '../transfer/engine/task-group.js';
import { FileAttributes } from '../wire/attributes.js';

/** Options of {@link Connection.mkdir} and {@link Connection.makedirs}. */
export interface MkdirOptions extends CallOptions {
  /** The permissions of what is made, in the digits of chmod; the server's umask applies. Default: 777. */
  readonly mode?: number | string | undefined;
}

export const MKDIR_OPTIONS: OptionTable<MkdirOptions> = { ...CALL_OPTIONS, mode: 'checked' };

/** The names in a directory, sorted. */
export async function listNames(
  client: SftpClient,
  path: Buffer,
  options: OperationOptions,
): Promise<string[]> {
  let names: string[] = [];
  const begin = () => {
    const found: string[] = [];
    names = found;
    // The attributes of a large directory take much more memory than its names.
    return ({ filename }: { readonly filename: Uint8Array }) => {
      found.push(Buffer.from(filename).toString('utf8'));
      return textBytes(filename);
    };
  };
  const reading = readEntries(client, path, begin, { ...options, ...UNATTENDED });
  await explain(reading, 'opendir', { client, path, options });
  return names.sort(byCodePoint);
}

/**
 * The entries of a directory, sorted by name, without `.` and `..`. The type of an entry is asked for if the listing does
 * not tell it.
 */
export async function listDirectory(
  client: SftpClient,
  path: Buffer,
  options: OperationOptions,
): Promise<FileAttributes[]> {
  const reading = readAttributes(client, path, { ...options, ...UNATTENDED });
  const entries = await explain(reading, 'opendir', { client, path, options });
  await askForTypes(client, path, entries, options);
  return entries;
}

/** Questions about single entries in flight at once. */
const MAX_QUESTIONS = 64;

async function askForTypes(
  client: SftpClient,
  path: Buffer,
  entries: FileAttributes[],
  options: OperationOptions,
): Promise<void> {
  const untold: number[] = [];
  for (const [index, { type }] of entries.entries()) if (type === 'unknown') untold.push(index);
  const ask = async () => {
    for (let index = untold.pop(); index !== undefined; index = untold.pop()) {
      const listed = entries[index];
      if (listed !== undefined) entries[index] = await typed(client, path, listed, options);
    }
  };
  await together(Array.from({ length: Math.min(MAX_QUESTIONS, untold.length) }, ask));
}

/** As it was listed where nobody tells more: it may have gone, or may not be looked at. */
async function typed(
  client: SftpClient,
  directory: Buffer,
  listed: FileAttributes,
  options: OperationOptions,
): Promise<FileAttributes> {
  const asking = lstatWithType(client, joinPath(directory, listed.filenameBytes), options);
  const { type } = await unlessRefused(asking, listed);
  if (type === 'unknown') return listed;
  return new FileAttributes(listed, {
    filename: listed.filenameBytes,
    longname: Buffer.from(listed.longname),
    type,
  });
}

/** What is asked next comes after the CLOSE, which never rejects here: nobody need wait for its answer. */
const UNATTENDED: Pick<ListingOptions, 'inBackground'> = { inBackground: () => {} };

/**
 * Makes a directory and those above it that are missing. The deepest is tried first: what exists already needs
 * no look at directories that may not be readable. True where it was not there before.
 */
export async function makeDirectories(
  client: SftpClient,
  path: Buffer,
  mode: number | undefined,
  options: OperationOptions,
): Promise<boolean> {
  const make = () => makeDirectory(client, path, mode, options);
  const first = await make();
  if (typeof first === 'boolean') return first;
  const parent = directoryName(path);
  const isTop = parent.equals(path) || decodePath(parent) === '.';
  if (isTop || !mayLackParent(first, path)) throw await first.cause();
  await makeDirectories(client, parent, mode, options);
  const second = await make();
  if (typeof second === 'boolean') return second;
  throw await second.cause();
}

/** A refusal of MKDIR for a name that does not exist yet, and how to find out what is behind it. */
interface Refusal {
  readonly error: SftpStatusError;
  readonly cause: () => Promise<unknown>;
}

/** True: it has been made; false: it is there already. */
async function makeDirectory(
  client: SftpClient,
  path: Buffer,
  mode: number | undefined,
  options: OperationOptions,
): Promise<boolean | Refusal> {
  try {
    await client.mkdir(path, { mode }, options);
    return true;
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    const attributes = await statWithType(client, path, options).catch(() => undefined);
    if (attributes?.isDirectory()) return false;
    if (attributes !== undefined && attributes.type !== 'unknown') throw inTheWay(path, attributes, error);
    return { error, cause: () => likelyCause(error, 'makedirs', { client, path, options }) };
  }
}

/** Servers that do not say which of the two is missing say "failure". */
function mayLackParent({ error }: Refusal, path: Buffer): boolean {
  return error.code !== 'EACCES' && findLongName({ path }) === undefined;
}

function inTheWay(path: Buffer, { type }: FileAttributes, cause: SftpStatusError): SftpStatusError {
  return new SftpStatusError('ENOTDIR', `makedirs: a ${type} is in the way at ${quote(path)}`, {
    status: cause.status,
    statusName: cause.statusName,
    operation: 'makedirs',
    path: decodePath(path),
    serverMessage: cause.serverMessage,
    cause,
  });
}
