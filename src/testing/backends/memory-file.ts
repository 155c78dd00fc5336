/** The content of a file in memory: pages, so that files grow without copies and holes cost nothing. */
import { systemError } from './backend.js';

const PAGE_LENGTH = 64 * 1024;

/** Counts bytes in use over all files of a tree. */
export class MemoryBudget {
  readonly capacity: number;
  #used = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get free(): number {
    return this.capacity - this.#used;
  }

  take(bytes: number): void {
    if (bytes > this.free) throw systemError('ENOSPC');
    this.#used += bytes;
  }

  giveBack(bytes: number): void {
    this.#used -= bytes;
  }
}

export class MemoryContent {
  readonly #budget: MemoryBudget;
  readonly #pages = new Map<number, Buffer>();
  #size = 0;

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#size;
  }

  /** A copy, as the content may change before it is sent. */
  read(offset: number, length: number): Buffer {
    const result = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, this.#size - offset)));
    for (let done = 0; done < result.length; ) {
      const { page, start } = locate(offset + done);
      const end = Math.min(result.length, done + PAGE_LENGTH - start);
      const copied = this.#pages.get(page)?.copy(result, done, start, start + end - done) ?? 0;
      result.fill(0, done + copied, end);
      done = end;
    }
    return result;
  }

  write(offset: number, bytes: Uint8Array): void {
    if (!Number.isSafeInteger(offset + bytes.length)) throw systemError('EFBIG');
    for (let done = 0; done < bytes.length; ) {
      const { page, start } = locate(offset + done);
      const count = Math.min(bytes.length - done, PAGE_LENGTH - start);
      this.#page(page, start + count).set(bytes.subarray(done, done + count), start);
      done += count;
      this.#size = Math.max(this.#size, offset + done);
    }
  }

  truncate(size: number): void {
    if (size < this.#size) {
      const { page: last, start } = locate(size);
      for (const [page, bytes] of this.#pages) {
        if (page > last) this.#drop(page, bytes);
        if (page === last) bytes.fill(0, Math.min(start, bytes.length));
      }
    }
    this.#size = size;
  }

  free(): void {
    this.truncate(0);
    for (const [page, bytes] of this.#pages) this.#drop(page, bytes);
  }

  /** A page with room for `length` bytes; small files need small pages. */
  #page(index: number, length: number): Buffer {
    const present = this.#pages.get(index);
    if (present !== undefined && present.length >= length) return present;
    const wanted = Math.min(PAGE_LENGTH, 2 ** Math.ceil(Math.log2(Math.max(length, 64))));
    this.#budget.take(wanted - (present?.length ?? 0));
    const page = Buffer.alloc(wanted);
    present?.copy(page);
    this.#pages.set(index, page);
    return page;
  }

  #drop(page: number, bytes: Buffer): void {
    this.#pages.delete(page);
    this.#budget.giveBack(bytes.length);
  }
}

function locate(offset: number): { page: number; start: number } {
  return { page: Math.floor(offset / PAGE_LENGTH), start: offset % PAGE_LENGTH };
}
