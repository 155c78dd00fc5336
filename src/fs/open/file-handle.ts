/** What `promises.open` gives. */
import type { Buffer } from 'node:buffer';
import { EventEmitter } from 'node:events';
import type { BigIntStats, ReadStream, Stats, WriteStream } from 'node:fs';
import { createInterface, type Interface } from 'node:readline';
import { Readable } from 'node:stream';
import { readSettings, writeSettings } from './contents.js';
import type { DescriptorCalls } from './descriptor-calls.js';
import type { Descriptor } from './descriptors.js';

export interface HandleParts {
  readonly descriptor: Descriptor;
  readonly calls: DescriptorCalls;
  close(descriptor: Descriptor): Promise<void>;
  readStream(fd: number, options: object): ReadStream;
  writeStream(fd: number, options: object): WriteStream;
}

/** An open file, as `fs.promises.FileHandle`: the same methods, positions and events. */
export class RemoteFileHandle extends EventEmitter {
  readonly #parts: HandleParts;
  #closing: Promise<void> | undefined;
  #isClosed = false;

  constructor(parts: HandleParts) {
    super();
    this.#parts = parts;
    parts.descriptor.onClose = () => {
      this.#isClosed = true;
      process.nextTick(() => this.emit('close'));
    };
  }

  /** The number for the callback functions of the same view; -1 when it is closed. */
  get fd(): number {
    return this.#isClosed ? -1 : this.#parts.descriptor.number;
  }

  async read(...args: readonly unknown[]) {
    return this.#parts.calls.read(this.#open('read'), args);
  }

  async readv(buffers: unknown, position?: unknown) {
    return this.#parts.calls.readv(this.#open('read'), buffers, position);
  }

  async write(...args: readonly unknown[]) {
    return this.#parts.calls.write(this.#open('write'), args);
  }

  async writev(buffers: unknown, position?: unknown) {
    return this.#parts.calls.writev(this.#open('write'), buffers, position);
  }

  async readFile(options?: unknown): Promise<string | Buffer> {
    return this.#parts.calls.readFile(this.#open('read'), readSettings(options));
  }

  async writeFile(data: unknown, options?: unknown): Promise<void> {
    await this.#parts.calls.writeFile(this.#open('write'), data, writeSettings(options, 'w'));
  }

  async appendFile(data: unknown, options?: unknown): Promise<void> {
    await this.#parts.calls.writeFile(this.#open('write'), data, writeSettings(options, 'a'));
  }

  async stat(options?: unknown): Promise<Stats | BigIntStats> {
    return this.#parts.calls.stat(this.#open('fstat'), options);
  }

  async chmod(mode: unknown): Promise<void> {
    await this.#parts.calls.chmod(this.#open('fchmod'), mode);
  }

  async chown(uid: unknown, gid: unknown): Promise<void> {
    await this.#parts.calls.chown(this.#open('fchown'), uid, gid);
  }

  async utimes(atime: unknown, mtime: unknown): Promise<void> {
    await this.#parts.calls.utimes(this.#open('futime'), atime, mtime);
  }

  async truncate(length?: unknown): Promise<void> {
    await this.#parts.calls.truncate(this.#open('ftruncate'), length);
  }

  async sync(): Promise<void> {
    await this.#parts.calls.sync(this.#open('fsync'), 'fsync');
  }

  async datasync(): Promise<void> {
    await this.#parts.calls.sync(this.#open('fdatasync'), 'fdatasync');
  }

  readLines(options: object = {}): Interface {
    return createInterface({ input: this.createReadStream(options), crlfDelay: Number.POSITIVE_INFINITY });
  }

  readableWebStream(options: { readonly autoClose?: boolean } = {}): ReturnType<typeof Readable.toWeb> {
    return Readable.toWeb(this.createReadStream({ autoClose: options.autoClose ?? false }));
  }

  createReadStream(options: object = {}): ReadStream {
    return this.#parts.readStream(this.#open('read').number, options);
  }

  createWriteStream(options: object = {}): WriteStream {
    return this.#parts.writeStream(this.#open('write').number, options);
  }

  /** Closes it, once everything that was called before has settled. May be called again. */
  close(): Promise<void> {
    if (this.#isClosed && this.#closing === undefined) return Promise.resolve();
    this.#closing ??= this.#parts.close(this.#parts.descriptor);
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(syscall: string): Descriptor {
    // In Node's words, which here are not those of a system call.
    if (this.#isClosed) throw Object.assign(new Error('file closed'), { code: 'EBADF', syscall });
    return this.#parts.descriptor;
  }
}
