/** Downloads: into memory, into local files, into streams. */
import { Buffer } from 'node:buffer';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { Connection } from '../index.js';
import { asClientError, CODES, clientError, isLocal, isMissing } from './client-error.js';
import { badPath, checkLocalTarget, mustStayInPlace } from './local-checks.js';
import { modeDigits, openReadStream, pump } from './streams.js';
import type {
  FastGetTransferOptions,
  ReadStreamOptions,
  TransferOptions,
  WriteStreamOptions,
} from './types.js';
import { stepper } from './uploads.js';

/** Where `get` writes: into memory, into the local file of a path, or into a stream. */
export type DownloadTarget = string | NodeJS.WritableStream | undefined | null;

export async function download(
  sftp: Connection,
  remotePath: string,
  target: DownloadTarget,
  options: TransferOptions | null | undefined,
): Promise<string | NodeJS.WritableStream | Buffer> {
  const readStreamOptions = options?.readStreamOptions ?? {};
  const writeStreamOptions = options?.writeStreamOptions ?? {};
  if (target === undefined || target === null) {
    return content(sftp, remotePath, readStreamOptions).catch(explain('get', remotePath));
  }
  if (typeof target === 'string') {
    await checkLocalTarget(target, 'get', CODES.generic);
    await intoFile(sftp, remotePath, target, { readStreamOptions, writeStreamOptions }).catch((error) =>
      explain('get', isLocal(error) ? target : remotePath)(error),
    );
    return target;
  }
  if (typeof target.write !== 'function' || typeof target.on !== 'function') {
    throw clientError('get: the target must be a path or a writable stream', CODES.generic);
  }
  let isOfTarget = false;
  const noteFailure = (): void => {
    isOfTarget = true;
  };
  target.on('error', noteFailure);
  try {
    await pump(openReadStream(sftp, remotePath, readStreamOptions), target);
  } catch (error) {
    throw asClientError(error, { before: 'get', after: isOfTarget ? '<stream>' : remotePath });
  } finally {
    target.removeListener('error', noteFailure);
  }
  return target;
}

async function content(
  sftp: Connection,
  remotePath: string,
  options: ReadStreamOptions,
): Promise<string | Buffer> {
  const { start, end, encoding } = options;
  if (start === undefined && end === undefined) {
    return encoding ? sftp.readFile(remotePath, encoding) : sftp.readFile(remotePath);
  }
  const chunks: (string | Buffer)[] = [];
  for await (const chunk of openReadStream(sftp, remotePath, options)) chunks.push(chunk as Buffer);
  return encoding ? chunks.join('') : Buffer.concat(chunks as Buffer[]);
}

/** Whole or not at all, save where the caller wants a part of it, or something else than to replace the file. */
async function intoFile(
  sftp: Connection,
  remotePath: string,
  localPath: string,
  { readStreamOptions = {}, writeStreamOptions = {} }: TransferOptions,
): Promise<void> {
  if (isPlainRead(readStreamOptions) && isPlainWrite(writeStreamOptions)) {
    await replaceFile(sftp, remotePath, localPath);
    return;
  }
  const { flags, mode, start, encoding } = writeStreamOptions;
  // It comes first: an invalid range leaves the local file as it was.
  const reader = openReadStream(sftp, remotePath, readStreamOptions);
  const writer = createWriteStream(localPath, {
    ...(flags !== undefined && { flags }),
    ...(mode !== undefined && { mode: Number.parseInt(modeDigits(mode), 8) }),
    ...(start !== undefined && { start }),
    ...(encoding && { encoding }),
  });
  await pipeline(reader, writer);
}

async function replaceFile(
  sftp: Connection,
  remotePath: string,
  localPath: string,
  callback?: ReturnType<typeof stepper>,
): Promise<void> {
  const inPlace = await mustStayInPlace(localPath);
  await sftp.get(remotePath, localPath, { callback, ...(inPlace && { atomic: false }) });
}

function isPlainRead({ start, end, encoding }: ReadStreamOptions): boolean {
  return start === undefined && end === undefined && (!encoding || /^utf-?8$/i.test(encoding));
}

function isPlainWrite({ flags = 'w', mode, start }: WriteStreamOptions): boolean {
  return flags === 'w' && (mode === undefined || mode === 0o666) && start === undefined;
}

export async function fastDownload(
  sftp: Connection,
  remotePath: string,
  localPath: string,
  options: FastGetTransferOptions | null | undefined,
): Promise<void> {
  const method = 'fastGet->fastGet';
  await checkLocalTarget(localPath, method, CODES.badPath);
  try {
    await replaceFile(sftp, remotePath, localPath, stepper(options?.step));
  } catch (error) {
    if (isMissing(error)) throw badPath(`${method}: No such file  ${remotePath}`);
    if (await sftp.isdir(remotePath).catch(() => false)) {
      throw badPath(`${method}: Not a regular file ${remotePath}`);
    }
    const after = `Remote: ${remotePath} Local: ${localPath}`;
    throw asClientError(error, { before: 'fastGet->sftp', after, code: CODES.generic });
  }
}

function explain(before: string, after: string): (error: unknown) => never {
  return (error) => {
    throw asClientError(error, { before, after });
  };
}
