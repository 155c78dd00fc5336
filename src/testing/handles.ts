/** The open files and directories of one session. */
import type { BackendDirectory, BackendFile } from './backend.js';
import { systemError } from './backend.js';

interface OpenFile {
  readonly kind: 'file';
  readonly path: Buffer;
  readonly file: BackendFile;
}

interface OpenDirectory {
  readonly kind: 'directory';
  readonly path: Buffer;
  readonly directory: BackendDirectory;
}

type Open = OpenFile | OpenDirectory;
/** `Omit` over each member of the union. */
type WithoutPath<T> = T extends Open ? Omit<T, 'path'> : never;

const HANDLE_LENGTH = 4;

export class HandleTable {
  readonly #open = new Map<number, Open>();
  readonly #maximum: number;
  #next = 0;

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  get size(): number {
    return this.#open.size;
  }

  /** `open` is called only where there is room for one more. */
  add(path: Uint8Array, open: () => WithoutPath<Open>): Buffer {
    if (this.#open.size >= this.#maximum) throw systemError('EMFILE');
    const opened = open();
    const number = this.#next++ >>> 0;
    this.#open.set(number, { ...opened, path: Buffer.from(path) });
    const handle = Buffer.alloc(HANDLE_LENGTH);
    handle.writeUInt32BE(number);
    return handle;
  }

  file(handle: Uint8Array): BackendFile {
    const open = this.find(handle);
    if (open?.kind !== 'file') throw systemError('EBADF');
    return open.file;
  }

  directory(handle: Uint8Array): BackendDirectory {
    const open = this.find(handle);
    if (open?.kind !== 'directory') throw systemError('EBADF');
    return open.directory;
  }

  find(handle: Uint8Array): Open | undefined {
    return handle.length === HANDLE_LENGTH ? this.#open.get(numberOf(handle)) : undefined;
  }

  close(handle: Uint8Array): void {
    const open = this.find(handle);
    if (open === undefined) throw systemError('EBADF');
    this.#open.delete(numberOf(handle));
    if (open.kind === 'file') open.file.close();
  }

  closeAll(): void {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const open of all) {
      try {
        if (open.kind === 'file') open.file.close();
      } catch {
        // The session is over: nobody is left to be told, and the other handles must be closed too.
      }
    }
  }
}

function numberOf(handle: Uint8Array): number {
  return Buffer.from(handle).readUInt32BE();
}
