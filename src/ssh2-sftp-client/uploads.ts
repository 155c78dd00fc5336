/** Uploads: files, bytes and streams, new, in place or appended. */
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type Connection, SftpError, SftpStatusError } from '../index.js';
import { asClientError, CODES, clientError, isLocal } from './client-error.js';
import { badPath, checkLocalSource } from './local-checks.js';
import { borrowed, modeDigits, openWriteStream } from './streams.js';
import type {
  FastPutTransferOptions,
  ReadStreamOptions,
  TransferOptions,
  WriteStreamOptions,
} from './types.js';

/** What `put` takes: the path of a local file, bytes, or a stream. */
export type UploadSource = string | Uint8Array | NodeJS.ReadableStream;

export async function upload(
  sftp: Connection,
  source: UploadSource,
  remotePath: string,
  options: TransferOptions | null | undefined,
): Promise<void> {
  const readStreamOptions = options?.readStreamOptions ?? {};
  const writeStreamOptions = options?.writeStreamOptions ?? {};
  const { flags = 'w', start, mode } = writeStreamOptions;
  checkRemotePath(remotePath);
  if (typeof source === 'string') await checkLocalSource(source, 'put');
  else if (!isSource(source)) {
    throw clientError('put: the source must be a path, a Buffer or a readable stream', CODES.generic);
  }
  const isWhole = /^wb?$|^bw$/.test(flags) && start === undefined;
  try {
    if (!isWhole) await writeInto(sftp, source, remotePath, { readStreamOptions, writeStreamOptions });
    else {
      if (mode !== undefined) await prepareMode(sftp, remotePath, mode);
      await replace(sftp, source, remotePath, readStreamOptions);
    }
  } catch (error) {
    const subject = typeof source === 'string' ? source : '<stream>';
    throw isLocal(error)
      ? asClientError(error, { before: '_put: Read stream error', after: subject })
      : asClientError(error, { before: '_put: Write stream error', after: remotePath });
  }
}

/** The file holds what the source gives, and nothing else. */
function replace(
  sftp: Connection,
  source: UploadSource,
  remotePath: string,
  options: ReadStreamOptions,
): Promise<void> {
  if (typeof source === 'string' && isWholeFile(options)) return mayVanish(sftp.put(source, remotePath));
  return mayVanish(sftp.putfo(contentOf(source, options), remotePath));
}

/** At a place in a file, at its end, or only where there is none. */
async function writeInto(
  sftp: Connection,
  source: UploadSource,
  remotePath: string,
  { readStreamOptions = {}, writeStreamOptions = {} }: TransferOptions,
): Promise<void> {
  const content = contentOf(source, readStreamOptions);
  const reader = content instanceof Readable ? content : Readable.from([content]);
  await pipeline(reader, openWriteStream(sftp, remotePath, writeStreamOptions));
}

export async function append(
  sftp: Connection,
  input: Uint8Array | NodeJS.ReadableStream,
  remotePath: string,
  options: WriteStreamOptions | null | undefined,
): Promise<void> {
  if (typeof input === 'string') throw badPath('append: Cannot append one file to another');
  if (!isSource(input)) {
    throw clientError('append: the input must be a Buffer or a readable stream', CODES.generic);
  }
  const writeStreamOptions = { ...options, flags: 'a' };
  try {
    await writeInto(sftp, input, remotePath, { writeStreamOptions });
  } catch (error) {
    const kind = await sftp.isdir(remotePath).catch(() => false);
    if (kind) throw badPath(`append: Bad path: ${remotePath}: cannot append to a directory`);
    throw asClientError(error, { before: 'append', after: remotePath });
  }
}

export async function fastUpload(
  sftp: Connection,
  localPath: string,
  remotePath: string,
  options: FastPutTransferOptions | null | undefined,
): Promise<void> {
  const { step, mode } = options ?? {};
  checkRemotePath(remotePath);
  await checkLocalSource(localPath, 'fastPut');
  try {
    if (mode !== undefined) await prepareMode(sftp, remotePath, mode);
    await mayVanish(sftp.put(localPath, remotePath, { callback: stepper(step) }));
  } catch (error) {
    const after = `Local: ${localPath} Remote: ${remotePath}`;
    throw asClientError(error, { before: 'fastPut', after });
  }
}

/** Tells of each piece, where tsftp tells how far it has come. */
export function stepper(
  step: FastPutTransferOptions['step'],
): ((transferred: number, total: number) => void) | undefined {
  if (step === undefined) return undefined;
  let before = 0;
  return (transferred, total) => {
    const chunk = transferred - before;
    before = transferred;
    if (chunk > 0) step(transferred, chunk, total);
  };
}

/** Without one, tsftp's own `put` takes the name of the local file. */
function checkRemotePath(path: unknown): void {
  if (path === undefined || path === null) throw new TypeError('the path on the server is missing');
}

function isSource(source: unknown): source is UploadSource {
  if (typeof source === 'string' || source instanceof Uint8Array) return true;
  return typeof (source as Partial<NodeJS.ReadableStream> | undefined)?.pipe === 'function';
}

function isWholeFile({ start, end, encoding }: ReadStreamOptions): boolean {
  const isText = encoding !== undefined && encoding !== null && !/^utf-?8$/i.test(encoding);
  return start === undefined && end === undefined && !isText;
}

function contentOf(source: UploadSource, { start, end, encoding }: ReadStreamOptions): Uint8Array | Readable {
  if (source instanceof Uint8Array) return source;
  if (typeof source !== 'string') return borrowed(source);
  const range = { ...(start !== undefined && { start }), ...(end !== undefined && { end }) };
  return createReadStream(source, { ...range, ...(encoding && { encoding }) });
}

/**
 * Gives a file exactly these permissions before it holds anything, so that there is no moment in which more may read it.
 * Where the server refuses to set them, its own stand.
 */
async function prepareMode(sftp: Connection, remotePath: string, mode: number | string): Promise<void> {
  const permissions = modeDigits(mode);
  try {
    await using file = await sftp.open(remotePath, 'wx', { permissions });
    await file.chmod(permissions);
  } catch (error) {
    if (!(error instanceof SftpStatusError)) throw error;
    await sftp.chmod(remotePath, permissions).catch(() => {});
  }
}

/** A drop box may take the file away as soon as it is complete, which is no failure here. */
async function mayVanish(uploading: Promise<unknown>): Promise<void> {
  try {
    await uploading;
  } catch (error) {
    if (!(error instanceof SftpError) || error.code !== 'VANISHED') throw error;
  }
}
