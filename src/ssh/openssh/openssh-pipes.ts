/**
 * Named pipes in our private folder. What comes out of one was written by our own ssh or its helper, as no peer can
 * write there; what goes into one is in no file. On Windows there are none.
 */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { promisify } from 'node:util';
import { IS_BUN, IS_DENO } from '../runtime.js';

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = constants;
const CHUNK_LENGTH = 64 * 1024;

export const HAS_PIPES = process.platform !== 'win32';
/** The sockets of Bun and Deno cannot be made of a pipe: there we look into it now and again. */
const CAN_LISTEN = !IS_BUN && !IS_DENO;
const LOOK_MS = 10;

export async function makePipes(paths: readonly string[]): Promise<void> {
  await promisify(execFile)('mkfifo', ['-m', '600', ...paths]);
}

/** Yields what is written into a pipe, even if writers come and go at the other end. */
export class ReadPipe {
  readonly #descriptor: number;
  /** Without a writer of our own the first one to leave would be the end. */
  readonly #keeper: number;
  readonly #stopReading: () => void;
  readonly #onData: (chunk: Buffer) => void;
  #isOpen = true;

  constructor(path: string, onData: (chunk: Buffer) => void) {
    this.#onData = onData;
    this.#descriptor = openSync(path, O_RDONLY | O_NONBLOCK);
    this.#keeper = openSync(path, O_WRONLY | O_NONBLOCK);
    this.#stopReading = CAN_LISTEN ? this.#listen() : this.#look();
  }

  #listen(): () => void {
    const socket = new Socket({ fd: this.#descriptor, readable: true, writable: false });
    socket.on('error', () => {}).on('data', this.#onData);
    return () => void socket.destroy();
  }

  #look(): () => void {
    const timer = setInterval(() => this.drain(), LOOK_MS);
    return () => {
      clearInterval(timer);
      closeSync(this.#descriptor);
    };
  }

  /** Gives at once what has been written so far. */
  drain(): void {
    if (this.#isOpen) readAvailable(this.#descriptor, this.#onData);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stopReading();
    closeSync(this.#keeper);
  }
}

/** A pipe for one answer at a time. As long as it is open here, the reader waits; then it reads an end. */
export class AnswerPipe {
  readonly #descriptor: number;
  #isOpen = true;

  constructor(path: string) {
    this.#descriptor = openSync(path, O_RDWR | O_NONBLOCK);
  }

  /** Takes back an answer that nobody has read. */
  clear(): void {
    if (this.#isOpen) readAvailable(this.#descriptor, () => {});
  }

  write(text: string): void {
    if (this.#isOpen) writeSync(this.#descriptor, text);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSync(this.#descriptor);
  }
}

function readAvailable(descriptor: number, onData: (chunk: Buffer) => void): void {
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK_LENGTH);
    let count = 0;
    try {
      count = readSync(descriptor, chunk);
    } catch {
      // EAGAIN: there is nothing more.
    }
    if (count === 0) return;
    onData(chunk.subarray(0, count));
  }
}
