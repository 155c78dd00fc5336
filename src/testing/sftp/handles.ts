/** The open files and directories of one session. */
import type { BackendDirectory, BackendFile } from '../backends/backend.js';
import { systemError } from '../backends/backend.js';

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
  /** The newest of one number last; there is more than one only where numbers are given twice. */
  readonly #open = new Map<number, Open[]>();
  readonly #maximum: number;
  readonly #repeats: boolean;
  /** The newest first, where numbers are given twice. */
  readonly #numbers: number[] = [];
  #next = 0;
  #size = 0;

  constructor(maximum: number, { repeats = false }: { readonly repeats?: boolean | undefined } = {}) {
    this.#maximum = maximum;
    this.#repeats = repeats;
  }

  get size(): number {
    return this.#size;
  }

  /** `open` is called only where there is room for one more. */
  add(path: Uint8Array, open: () => WithoutPath<Open>): Buffer {
    if (this.#size >= this.#maximum) throw systemError('EMFILE');
    const opened = open();
    const number = this.#nextNumber();
    this.#open.set(number, [...(this.#open.get(number) ?? []), { ...opened, path: Buffer.from(path) }]);
    this.#size += 1;
    const handle = Buffer.alloc(HANDLE_LENGTH);
    handle.writeUInt32BE(number);
    return handle;
  }

  /** Erlang takes the smallest number that those which are open, the newest first, do not count up to. */
  #nextNumber(): number {
    if (!this.#repeats) return this.#next++ >>> 0;
    let number = 0;
    for (const taken of this.#numbers) if (taken <= number) number = taken + 1;
    this.#numbers.unshift(number);
    return number;
  }

  /** @param otherwise the code of the failure where there is no such file */
  file(handle: Uint8Array, otherwise = 'EBADFD'): BackendFile {
    const open = this.find(handle);
    if (open?.kind !== 'file') throw systemError(otherwise);
    return open.file;
  }

  directory(handle: Uint8Array): BackendDirectory {
    const open = this.find(handle);
    if (open?.kind !== 'directory') throw systemError('EBADFD');
    return open.directory;
  }

  find(handle: Uint8Array): Open | undefined {
    return handle.length === HANDLE_LENGTH ? this.#open.get(numberOf(handle))?.at(-1) : undefined;
  }

  close(handle: Uint8Array): void {
    const open = this.find(handle);
    if (open === undefined) throw systemError('EBADF');
    const number = numberOf(handle);
    const others = this.#open.get(number)?.slice(0, -1) ?? [];
    if (others.length > 0) this.#open.set(number, others);
    else this.#open.delete(number);
    this.#size -= 1;
    if (this.#repeats) this.#numbers.splice(this.#numbers.indexOf(number), 1);
    if (open.kind === 'file') open.file.close();
  }

  closeAll(): void {
    const all = [...this.#open.values()].flat();
    this.#open.clear();
    this.#size = 0;
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
