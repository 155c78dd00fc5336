/** Where a path really lies, on servers that may not tell. */
import type { Buffer } from 'node:buffer';
import { SftpStatusError } from '../../errors.js';
import type { OperationOptions, SftpClient } from '../sftp-client.js';

/** The server's absolute form of a path, or `fallback` where it refuses to tell. */
export async function realPathOr<T>(
  client: SftpClient,
  path: Buffer,
  fallback: T,
  options: OperationOptions,
): Promise<Buffer | T> {
  try {
    return await client.realpath(path, options);
  } catch (error) {
    if (error instanceof SftpStatusError) return fallback;
    throw error;
  }
}
