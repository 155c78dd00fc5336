/** A file that is being read from a server. */
import type { Buffer } from 'node:buffer';
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { unlessRefused } from '../../session/status-error.js';
import { release } from '../../shared/lent-memory.js';
import { byteLength } from '../../wire/bytes.js';
import { readFully } from '../engine/read-fully.js';
import { together } from '../engine/task-group.js';
import type { Cancellable, FileInfo, ReadOptions, SourceFile } from '../file-system.js';
import type { FileLane, FileLanesOptions } from './file-lanes.js';
import { proceeding, settling } from './remote-target.js';
import { SpreadReads } from './spread-reads.js';

/** Of a source that may be read through other connections too. */
export interface SpreadSource extends Pick<FileLanesOptions, 'main' | 'spread' | 'open'> {
  /** Called when the file is being closed. */
  readonly leave?: (() => void) | undefined;
}

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
  readonly isSpread: boolean;
  readonly #client: SftpClient;
  readonly #handle: RemoteHandle;
  readonly #spread: SpreadReads | undefined;
  readonly #leave: (() => void) | undefined;

  constructor(client: SftpClient, handle: RemoteHandle, info: FileInfo, spreading?: SpreadSource) {
    this.#client = client;
    this.#handle = handle;
    this.info = info;
    const discard = (content: readonly Buffer[] | null) => release(content ?? []);
    this.#spread = spreading && new SpreadReads({ client, handle, discard, ...spreading });
    this.#leave = spreading?.leave;
    this.isSpread = spreading?.spread !== undefined;
    const width = spreading?.spread?.width ?? 1;
    this.maxRequests = client.supports('limits') ? width * MAX_REQUESTS : undefined;
    if (client.supports('checkFileHandle')) {
      this.sha256 = (offset, length, options) => this.#hashOf(offset, length, options);
    }
  }

  async #hashOf(offset: number, length: number, options: Cancellable): Promise<Uint8Array | undefined> {
    const range = { offset, length, blockLength: length };
    const asking = this.#client.checkFile(this.#handle, ['sha256'], range, settling(options));
    const told = await unlessRefused(asking);
    if (told?.algorithm !== 'sha256') return undefined;
    const hash = told.hashes.length === FRAMED_LENGTH ? told.hashes.subarray(4) : told.hashes;
    return hash.length === SHA256_LENGTH ? hash : undefined;
  }

  read(offset: number, length: number, options: ReadOptions): Promise<readonly Buffer[] | null> {
    const most = this.#client.limits.maxReadLength;
    return length > most
      ? this.#readInParts({ offset, length, most }, options)
      : this.#readOnce(offset, length, options);
  }

  #readOnce(offset: number, length: number, options: ReadOptions): Promise<readonly Buffer[] | null> {
    const settled = settling(options);
    if (this.#spread === undefined) return this.#client.read(this.#handle, offset, length, settled);
    const ask = ({ client, handle }: FileLane) => client.read(handle, offset, length, settled);
    return this.#spread.read(length, ask, options);
  }

  /** Up to the first part that has come short: there the file ended when that was asked for. */
  async #readInParts(
    { offset, length, most }: { offset: number; length: number; most: number },
    options: ReadOptions,
  ): Promise<readonly Buffer[] | null> {
    const parts: Promise<readonly Buffer[]>[] = [];
    for (let at = 0; at < length; at += most) {
      const range = { offset: offset + at, length: Math.min(most, length - at) };
      parts.push(readFully(this, range, options));
    }
    const whole: (readonly Buffer[])[] = [];
    let count = 0;
    for (const [index, part] of (await together(parts)).entries()) {
      if (count === index * most) whole.push(part);
      else this.release(part);
      count += byteLength(part);
    }
    const pieces = whole.flat();
    return pieces.length === 0 ? null : pieces;
  }

  release(pieces: readonly Buffer[]): void {
    release(pieces);
  }

  /** All has been read by now, and a server that fails to close has done no harm. */
  async close(options: Cancellable): Promise<void> {
    this.#leave?.();
    const proceed = proceeding(options);
    const closing =
      this.#spread?.close(options, ({ client, handle }) => client.close(handle, proceed)) ??
      this.#client.close(this.#handle, proceed);
    await closing.catch(() => {});
  }
}
