/** What `opendir` gives: a directory, entry by entry. */
import type { Dirent } from 'node:fs';
import { argumentError, systemError } from '../base/node-error.js';

type Callback<T> = (error: Error | null, value?: T) => void;

function closedError(): Error {
  return argumentError(Error, 'ERR_DIR_CLOSED', 'Directory handle was closed');
}

/** An open directory, as `fs.Dir`. It was listed as a whole when it was opened. */
export class RemoteDir {
  /** The path as it was given. */
  readonly path: string;
  readonly #entries: Iterator<Dirent>;
  #isClosed = false;

  constructor(path: string, entries: readonly Dirent[]) {
    this.path = path;
    this.#entries = entries[Symbol.iterator]();
  }

  read(): Promise<Dirent | null>;
  read(callback: (error: NodeJS.ErrnoException | null, entry: Dirent | null) => void): void;
  read(callback?: (error: null, entry: Dirent | null) => void): Promise<Dirent | null> | undefined {
    if (this.#isClosed && callback !== undefined) throw closedError();
    if (this.#isClosed) return Promise.reject(closedError());
    const next = this.#entries.next();
    const entry = next.done ? null : next.value;
    if (callback === undefined) return Promise.resolve(entry);
    process.nextTick(callback, null, entry);
    return undefined;
  }

  close(): Promise<void>;
  close(callback: Callback<void>): void;
  close(callback?: Callback<void>): Promise<void> | undefined {
    const error = this.#isClosed ? closedError() : null;
    this.#isClosed = true;
    if (callback === undefined) return error === null ? Promise.resolve() : Promise.reject(error);
    process.nextTick(callback, error);
    return undefined;
  }

  readSync(): never {
    throw systemError('ENOSYS', { syscall: 'readSync: use read' });
  }

  closeSync(): never {
    throw systemError('ENOSYS', { syscall: 'closeSync: use close' });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Dirent, undefined, undefined> {
    try {
      for (let entry = await this.read(); entry !== null; entry = await this.read()) yield entry;
    } finally {
      if (!this.#isClosed) await this.close();
    }
    return undefined;
  }

  entries(): AsyncGenerator<Dirent, undefined, undefined> {
    return this[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isClosed) await this.close();
  }
}
