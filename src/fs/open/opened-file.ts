/** A file that is open on the server, with the position that a system would keep for it. */

import { Buffer } from 'node:buffer';
import { SftpStatusError } from '../../errors.js';
import { statWithType } from '../../session/quirks/file-type.js';
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { failure, unlessRefused } from '../../session/status-error.js';
import { PendingPromises, SerialQueue } from '../../shared/promises.js';
import { ContentCopy } from '../../transfer/engine/copy-content.js';
import { copyToEnd, FileRange } from '../../transfer/file-range.js';
import type { SourceFile, TargetFile } from '../../transfer/file-system.js';
import { MemorySource, MemoryTarget, UNKNOWN_INFO } from '../../transfer/memory.js';
import type { AttributeValues, FileAttributes } from '../../wire/attributes.js';
import type { View } from '../base/view.js';
import type { OpenFlags } from './flags.js';

/** What one read or write may have, as in Node. */
const MAX_LENGTH = 2 ** 31 - 1;

export interface OpenedParts {
  readonly view: View;
  /** The server's path. */
  readonly path: Buffer;
  /** The path without other ways to write it, for inode numbers. */
  readonly key: string;
  readonly flags: OpenFlags;
  /** `undefined`: a directory on a server that does not open such as files; it can be looked at, and closed. */
  readonly handle: RemoteHandle | undefined;
}

export class OpenedFile {
  readonly path: Buffer;
  readonly key: string;
  readonly #view: View;
  readonly #flags: OpenFlags;
  readonly #handle: RemoteHandle | undefined;
  /** `undefined`: at the end, wherever that is. */
  #position: number | undefined = 0;
  readonly #turn = new SerialQueue();
  readonly #running = new PendingPromises();

  constructor({ view, path, key, flags, handle }: OpenedParts) {
    this.#view = view;
    this.path = path;
    this.key = key;
    this.#flags = flags;
    this.#handle = handle;
  }

  /** Fills the buffer from `position`, or from the file's own position, and tells how many bytes that were. */
  read(target: Buffer, position: number | null, signal?: AbortSignal): Promise<number> {
    if (position !== null) return this.#running.add(this.#readAt(target, position, signal));
    return this.#inTurn(async () => {
      this.#position ??= await this.#size();
      const count = await this.#readAt(target, this.#position, signal);
      this.#position += count;
      return count;
    });
  }

  /** Writes all of them, at `position` or at the file's own. A file that is appended to is written at its end. */
  write(pieces: readonly Buffer[], position: number | null, signal?: AbortSignal): Promise<number> {
    const bytes = pieces.length === 1 && pieces[0] !== undefined ? pieces[0] : Buffer.concat(pieces);
    if (this.#flags.appends) {
      return this.#inTurn(async () => {
        // A write at a position goes to the end all the same, but leaves the position where it is.
        if (position !== null) this.#position ??= await this.#size();
        await this.#append(bytes, signal);
        if (position === null) this.#position = undefined;
        return bytes.length;
      });
    }
    if (position !== null) return this.#running.add(this.#writeAt(bytes, position, signal));
    return this.#inTurn(async () => {
      this.#position ??= await this.#size();
      const count = await this.#writeAt(bytes, this.#position, signal);
      this.#position += count;
      return count;
    });
  }

  /** From the file's position to its end. */
  readRest(signal?: AbortSignal): Promise<Buffer> {
    return this.#inTurn(async () => {
      this.#position ??= await this.#size();
      const content = await this.#contentFrom(this.#position, signal);
      this.#position += content.length;
      return content;
    });
  }

  stat(): Promise<FileAttributes> {
    const handle = this.#handle;
    const client = this.#client;
    if (handle === undefined) return this.#running.add(client.stat(this.path));
    const asking = client.fstat(handle);
    const told = asking.then((attributes) =>
      attributes.type === 'unknown' ? statWithType(client, this.path) : attributes,
    );
    return this.#running.add(told);
  }

  set(attributes: AttributeValues): Promise<void> {
    const handle = this.#handle;
    const setting =
      handle === undefined
        ? this.#client.setstat(this.path, attributes)
        : this.#client.fsetstat(handle, attributes);
    return this.#running.add(this.#view.explained(setting, 'setstat', this.path));
  }

  async truncate(size: number): Promise<void> {
    // ftruncate(2) says so of a file that is not open for writing.
    if (!this.#flags.writes)
      throw failure('EINVAL', 'ftruncate', this.path, 'the file is open for reading only');
    await this.set({ size });
  }

  /** Copies the first `length` bytes on the server; false where it cannot do that. */
  async copyTo(target: OpenedFile, length: number): Promise<boolean> {
    if (!this.#client.supports('copyData')) return false;
    const source = { handle: this.#readable(), offset: 0, length };
    const copying = this.#client.copyData(source, { handle: target.#writable(), offset: 0 });
    try {
      await this.#running.add(target.#running.add(copying));
      return true;
    } catch (error) {
      // OpenSSH's server refuses where both are one file. Copied byte by byte, it stays as it is.
      if (error instanceof SftpStatusError) return false;
      throw error;
    }
  }

  /** Where the server can: others have it on the disk when they please. */
  async sync(): Promise<void> {
    if (this.#handle === undefined || !this.#client.supports('fsync')) return;
    await this.#running.add(this.#client.fsync(this.#handle));
  }

  /** When all that was called before has settled. Of a file that was only read it never rejects. */
  async close(): Promise<void> {
    await this.#running.settled();
    if (this.#handle === undefined) return;
    const closing = this.#client.close(this.#handle);
    await (this.#flags.writes ? closing : closing.catch(() => {}));
  }

  get #client(): SftpClient {
    return this.#view.client;
  }

  async #readAt(target: Buffer, position: number, signal: AbortSignal | undefined): Promise<number> {
    const handle = this.#readable();
    const { maxReadLength } = this.#client.limits;
    if (target.length > maxReadLength || !this.#client.worksInOrder) {
      return (await this.#readRange(position, target.length, signal)).copy(target);
    }
    if (target.length === 0) return 0;
    // OpenSSH's server gives fewer bytes at the end only, so that nothing is asked twice.
    const reading = this.#client.read(handle, position, target.length, { signal });
    const pieces = (await this.#view.explained(reading, 'read', this.path)) ?? [];
    let count = 0;
    for (const piece of pieces) count += piece.copy(target, count);
    return count;
  }

  #readRange(position: number, length: number, signal: AbortSignal | undefined): Promise<Buffer> {
    return this.#gather(new FileRange(this.#source(UNKNOWN_INFO), position, length), length, signal);
  }

  async #gather(source: SourceFile, most: number, signal: AbortSignal | undefined): Promise<Buffer> {
    const target = new MemoryTarget(`'${this.path}'`, most);
    const { maxReadLength } = this.#client.limits;
    await copyToEnd(source, target, {
      ...this.#view.line,
      chunkLength: () => Math.max(1, Math.min(maxReadLength, most)),
      signal,
    });
    return target.takeContent();
  }

  /**
   * All from a position on. The size and the first bytes are asked for at once; as a rule that is all. A size of 0 says
   * nothing: files below /proc have it.
   */
  async #contentFrom(position: number, signal: AbortSignal | undefined): Promise<Buffer> {
    const handle = this.#readable();
    const asked = this.#client.limits.maxReadLength;
    const sizing = unlessRefused(this.#client.fstat(handle, { signal }));
    const reading = this.#client.read(handle, position, asked, { signal });
    const [told, first] = await Promise.all([
      sizing,
      this.#view.explained(reading, 'read', this.path).catch((error: unknown) => ({ error })),
    ]);
    if (told?.type === 'directory') throw failure('EISDIR', 'read', this.path, 'it is a directory');
    if (first === null) return Buffer.alloc(0);
    if ('error' in first) throw first.error;
    const head = Buffer.concat(first);
    const size = told?.size ?? 0;
    if (size > MAX_LENGTH) throw tooLarge(size);
    const isAll = size > 0 && position + head.length >= size;
    if (isAll) return head;
    const info = size > 0 ? { ...UNKNOWN_INFO, size } : UNKNOWN_INFO;
    const rest = new FileRange(this.#source(info), position + head.length);
    return Buffer.concat([head, await this.#gather(rest, MAX_LENGTH - head.length, signal)]);
  }

  async #writeAt(bytes: Buffer, position: number, signal: AbortSignal | undefined): Promise<number> {
    const handle = this.#writable();
    if (bytes.length === 0) return 0;
    await this.#copy(bytes, signal, (offset, pieces) =>
      this.#client.write(handle, position + offset, pieces, { signal }),
    );
    return bytes.length;
  }

  /**
   * OpenSSH's server takes no notice of the offset here. Others ignore APPEND, and for them it has to be the end; and
   * those that answer in another order than they were asked get one request after the other.
   */
  async #append(bytes: Buffer, signal: AbortSignal | undefined): Promise<void> {
    const handle = this.#writable();
    if (this.#client.worksInOrder) {
      await this.#copy(bytes, signal, (_, pieces) => this.#client.write(handle, 0, pieces, { signal }));
      return;
    }
    const end = await this.#size();
    const step = this.#client.limits.maxWriteLength;
    for (let at = 0; at < bytes.length; at += step) {
      const writing = this.#client.write(handle, end + at, [bytes.subarray(at, at + step)], { signal });
      await this.#view.explained(writing, 'write', this.path);
    }
  }

  async #copy(
    bytes: Buffer,
    signal: AbortSignal | undefined,
    write: (offset: number, pieces: readonly Buffer[]) => Promise<void>,
  ): Promise<void> {
    const target: TargetFile = {
      isOrdered: true,
      write: (offset, pieces) => this.#view.explained(write(offset, pieces), 'write', this.path),
      setAttributes: async () => {},
      close: async () => {},
    };
    await new ContentCopy(new MemorySource(bytes), target, {
      ...this.#view.line,
      chunkLength: () => this.#client.limits.maxWriteLength,
      signal,
      finish: async () => {},
    }).run();
  }

  #source(info: SourceFile['info']): SourceFile {
    const handle = this.#readable();
    return {
      info,
      read: (offset, length, options) =>
        this.#view.explained(this.#client.read(handle, offset, length, options), 'read', this.path),
      close: async () => {},
    };
  }

  async #size(): Promise<number> {
    return (await this.stat()).size ?? 0;
  }

  #readable(): RemoteHandle {
    if (!this.#flags.reads) throw failure('EBADF', 'read', this.path, 'the file is open for writing only');
    if (this.#handle === undefined) throw failure('EISDIR', 'read', this.path, 'it is a directory');
    return this.#handle;
  }

  #writable(): RemoteHandle {
    if (this.#flags.writes && this.#handle !== undefined) return this.#handle;
    throw failure('EBADF', 'write', this.path, 'the file is open for reading only');
  }

  /** What uses the position runs one after the other; a failure is no obstacle to the next. */
  #inTurn<T>(operation: () => Promise<T>): Promise<T> {
    return this.#running.add(this.#turn.run(operation));
  }
}

function tooLarge(size: number): Error {
  const error = new RangeError(`File size (${size}) is greater than 2 GiB`);
  return Object.assign(error, { code: 'ERR_FS_FILE_TOO_LARGE' });
}
