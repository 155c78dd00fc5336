/** A file that is being read from a server. */
import type { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { SftpStatusError } from '../errors.js';
import { release } from '../lent-memory.js';
import type { RemoteHandle, SftpClient } from '../session/sftp-client.js';
import { byteLength } from '../wire/bytes.js';
import type { Cancellable, FileInfo, SourceFile } from './file-system.js';
import { readFully } from './read-fully.js';
import { together } from './task-group.js';

const SHA256_LENGTH = 32;
/** There are servers that put the length before each hash. */
const FRAMED_LENGTH = 4 + SHA256_LENGTH;

/**
 * For a server that tells its limits, and so is OpenSSH's or made after it: that one takes nothing from its input as long
 * as it has no room to answer (`sftp-server.c`). So many requests of 255 KiB are 24 MiB: over a long line 64 of them bring
 * less through, and 128 take more memory when all of it comes at once.
 */
const MAX_REQUESTS = 96;

export class RemoteSource implements SourceFile {
  readonly info: FileInfo;
  readonly maxRequests: number | undefined;
  readonly sha256: SourceFile['sha256'];
  readonly #client: SftpClient;
  readonly #handle: RemoteHandle;

  constructor(client: SftpClient, handle: RemoteHandle, info: FileInfo) {
    this.#client = client;
    this.#handle = handle;
    this.info = info;
    this.maxRequests = client.supports('limits') ? MAX_REQUESTS : undefined;
    if (client.supports('checkFileHandle')) {
      this.sha256 = (offset, length, options) => this.#hashOf(offset, length, options);
    }
  }

  async #hashOf(offset: number, length: number, options: Cancellable): Promise<Uint8Array | undefined> {
    const range = { offset, length, blockLength: length };
    try {
      const { algorithm, hashes } = await this.#client.checkFile(this.#handle, ['sha256'], range, options);
      const hash = hashes.length === FRAMED_LENGTH ? hashes.subarray(4) : hashes;
      return algorithm === 'sha256' && hash.length === SHA256_LENGTH ? hash : undefined;
    } catch (error) {
      if (error instanceof SftpStatusError) return undefined;
      throw error;
    }
  }

  read(offset: number, length: number, options: Cancellable): Promise<readonly Buffer[] | null> {
    const most = this.#client.limits.maxReadLength;
    return length > most
      ? this.#readInParts({ offset, length, most }, options)
      : this.#client.read(this.#handle, offset, length, options);
  }

  /** Up to the first part that has come short: there the file ended when that was asked for. */
  async #readInParts(
    { offset, length, most }: { offset: number; length: number; most: number },
    options: Cancellable,
  ): Promise<readonly Buffer[] | null> {
    const parts: Promise<readonly Buffer[]>[] = [];
    for (let at = 0; at < length; at += most) {
      const range = { offset: offset + at, length: Math.min(most, length - at) };
      parts.push(readFully(this, range, options));
    }
    const pieces: Buffer[] = [];
    for (const [index, part] of (await together(parts)).entries()) {
      if (byteLength(pieces) < index * most) this.release(part);
      else pieces.push(...part);
    }
    return pieces.length === 0 ? null : pieces;
  }

  release(pieces: readonly Buffer[]): void {
    release(pieces);
  }

  /** All has been read by now, and a server that fails to close has done no harm. */
  async close({ signal }: Cancellable): Promise<void> {
    await untilAborted(this.#client.close(this.#handle), signal).catch(() => {});
  }
}
