/** Numbers for open files, as the callback forms have them. */
import { givenInteger } from '../base/arguments.js';
import { type Subject, systemError } from '../base/node-error.js';
import type { OpenedFile } from './opened-file.js';

/**
 * Far away from the numbers that the system gives, so that one that is passed to node:fs by mistake fails with EBADF there
 * and reaches no file. It still fits the 32 bits that node:fs checks for.
 */
const FIRST = 2 ** 30;
const LAST = 2 ** 31 - 1;

export interface Descriptor {
  readonly number: number;
  readonly file: OpenedFile;
  /** Called once when it is closed, by a call or by the connection. */
  onClose?: () => void;
}

export class Descriptors {
  readonly #open = new Map<number, Descriptor>();
  #next = FIRST;

  add(file: OpenedFile): Descriptor {
    while (this.#open.has(this.#next)) this.#advance();
    const descriptor = { number: this.#next, file };
    this.#open.set(this.#next, descriptor);
    // A number is not given again soon: a program that still has it must not reach another file.
    this.#advance();
    return descriptor;
  }

  /** @throws TypeError if it is not a number; with EBADF if it is not open here, as a number of the system */
  get(fd: unknown, subject: Subject): Descriptor {
    const number = givenInteger(fd, 'fd', 0, LAST);
    const found = this.#open.get(number);
    if (found === undefined) throw systemError('EBADF', subject);
    return found;
  }

  isOpen(number: number): boolean {
    return this.#open.has(number);
  }

  async close(descriptor: Descriptor): Promise<void> {
    this.#open.delete(descriptor.number);
    descriptor.onClose?.();
    await descriptor.file.close();
  }

  #advance(): void {
    this.#next = this.#next === LAST ? FIRST : this.#next + 1;
  }
}
