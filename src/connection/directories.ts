/** Listing and making directories. */
import { Buffer } from 'node:buffer';
import { byCodePoint } from '../code-point-order.js';
import { SftpError, SftpStatusError } from '../errors.js';
import { decodePath, directoryName, quote } from '../remote-path.js';
import { type ListingOptions, readDirectory, readEntries } from '../session/directory-reader.js';
import { statWithType } from '../session/file-type.js';
import type { OperationOptions, SftpClient } from '../session/sftp-client.js';
import type { FileAttributes } from '../wire/attributes.js';

/** The names in a directory, sorted. */
export async function listNames(
  client: SftpClient,
  path: Buffer,
  options: OperationOptions,
): Promise<string[]> {
  const names: string[] = [];
  // The attributes of a large directory take much more memory than its names.
  await readEntries(client, path, ({ filename }) => names.push(filename), { ...options, ...UNATTENDED });
  return names.sort(byCodePoint);
}

/** The entries of a directory, sorted by name, without `.` and `..`. */
export async function listDirectory(
  client: SftpClient,
  path: Buffer,
  options: OperationOptions,
): Promise<FileAttributes[]> {
  return (await readDirectory(client, path, { ...options, ...UNATTENDED })).sort(byName);
}

/** What is asked next comes after the CLOSE, which never rejects here: nobody need wait for its answer. */
const UNATTENDED: Pick<ListingOptions, 'inBackground'> = { inBackground: () => {} };

/** By code point, and by their bytes where names read the same that are not UTF-8. */
export function byName(left: FileAttributes, right: FileAttributes): number {
  return (
    byCodePoint(left.filename, right.filename) || Buffer.compare(left.filenameBytes, right.filenameBytes)
  );
}

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
  if (first !== 'missing') return first === 'made';
  const parent = directoryName(path);
  await makeDirectories(client, parent, mode, options);
  const second = await make();
  if (second !== 'missing') return second === 'made';
  throw new SftpError('ENOENT', `makedirs ${quote(path)}: ${quote(parent)} was removed meanwhile`);
}

/** `missing`: one above it is. */
async function makeDirectory(
  client: SftpClient,
  path: Buffer,
  mode: number | undefined,
  options: OperationOptions,
): Promise<'made' | 'there' | 'missing'> {
  try {
    await client.mkdir(path, { mode }, options);
    return 'made';
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    const attributes = await statWithType(client, path, options).catch(() => undefined);
    if (attributes?.isDirectory()) return 'there';
    if (attributes !== undefined && attributes.type !== 'unknown') throw inTheWay(path, attributes, error);
    const isTop = Buffer.compare(directoryName(path), path) === 0 || decodePath(directoryName(path)) === '.';
    if (isTop || error.code === 'EACCES') throw error;
    return 'missing';
  }
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
