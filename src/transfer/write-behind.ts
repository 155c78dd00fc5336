/**
 * Writing without waiting for the answers: for streams, which are given their content bit by bit and do not
 * want to keep a part of it back until more has come.
 */
import { Buffer } from 'node:buffer';
import type { TargetFile } from './file-system.js';
import { TaskGroup } from './task-group.js';
import type { Throttle } from './throttle.js';
import type { Window } from './window.js';

export interface WriteBehindOptions {
  /** The most bytes in one request. */
  readonly chunkLength: number;
  /** The bytes that may be sent and not confirmed. */
  readonly window: Window;
  /** The bytes that may be sent per second. */
  readonly throttle?: Throttle | undefined;
  readonly signal: AbortSignal;
  /** Where the first byte goes. */
  readonly offset: number;
  /** Called with the first failure, as soon as it is known. */
  readonly onFailure: (reason: unknown) => void;
}

export class WriteBehind {
  readonly #target: TargetFile;
  readonly #options: WriteBehindOptions;
  readonly #tasks: TaskGroup;
  #nextOffset: number;

  constructor(target: TargetFile, options: WriteBehindOptions) {
    this.#target = target;
    this.#options = options;
    this.#tasks = new TaskGroup(options.signal);
    this.#nextOffset = options.offset;
  }

  /**
   * Resolves when everything has been sent, or at least copied: the caller may use its memory again. Calls must
   * wait for each other. Rejects after the first failure of any write.
   */
  async write(pieces: readonly Buffer[]): Promise<void> {
    const { chunkLength, window, throttle } = this.#options;
    const most = Math.min(chunkLength, throttle?.chunkLength ?? chunkLength);
    for (const parts of chunksOf(pieces, most)) {
      const length = parts.reduce((sum, part) => sum + part.length, 0);
      if (throttle?.isLimited) await throttle.take(length, this.#tasks.signal);
      await window.acquire(length, this.#tasks.signal);
      this.#tasks.add(this.#send(Buffer.concat(parts, length)));
    }
  }

  /** Resolves when everything is confirmed; rejects with the first failure, when nothing is under way any more. */
  settle(): Promise<void> {
    return this.#tasks.settle();
  }

  async #send(chunk: Buffer): Promise<void> {
    const offset = this.#nextOffset;
    this.#nextOffset += chunk.length;
    try {
      await this.#target.write(offset, [chunk], { signal: this.#tasks.signal });
    } catch (error) {
      this.#options.onFailure(error);
      throw error;
    } finally {
      this.#options.window.release(chunk.length);
    }
  }
}

/** Pieces of any size, gathered and cut into chunks of at most `chunkLength` bytes, in their order. */
function* chunksOf(pieces: readonly Buffer[], chunkLength: number): Generator<readonly Buffer[]> {
  let chunk: Buffer[] = [];
  let room = chunkLength;
  for (const piece of pieces) {
    for (let start = 0; start < piece.length; ) {
      const part = piece.subarray(start, start + room);
      chunk.push(part);
      start += part.length;
      room -= part.length;
      if (room > 0) continue;
      yield chunk;
      chunk = [];
      room = chunkLength;
    }
  }
  if (chunk.length > 0) yield chunk;
}
