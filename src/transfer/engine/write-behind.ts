/**
 * Writing without waiting for the answers: for streams, which are given their content bit by bit and do not
 * want to keep a part of it back until more has come.
 */
import { Buffer } from 'node:buffer';
import type { TargetFile } from '../file-system.js';
import { requestLength } from './request-length.js';
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

/** What has come and has not been sent. */
interface Gathered {
  readonly memory: Buffer;
  length: number;
}

/** Memory that is kept for the next chunk. */
const MAX_FREE = 16;

/**
 * While earlier writes are not confirmed, small ones gather until they fill a request; where nothing is under way,
 * whatever has come goes at once. So nothing waits for more than a round trip, and requests are large.
 */
export class WriteBehind {
  readonly #target: TargetFile;
  readonly #options: WriteBehindOptions;
  readonly #tasks: TaskGroup;
  readonly #free: Buffer[] = [];
  #gathered: Gathered | undefined;
  /** Chunks that have been given away to be sent and are not confirmed. */
  #underWay = 0;
  #nextOffset: number;

  constructor(target: TargetFile, options: WriteBehindOptions) {
    this.#target = target;
    this.#options = options;
    this.#tasks = new TaskGroup(options.signal);
    this.#nextOffset = options.offset;
  }

  /**
   * Resolves when everything has been copied, and all but the last chunk sent: the caller may use its memory again.
   * Calls must wait for each other. Rejects after the first failure of any write.
   */
  async write(pieces: readonly Buffer[]): Promise<void> {
    this.#tasks.signal.throwIfAborted();
    for (const piece of pieces) {
      for (let start = 0; start < piece.length; ) {
        start += this.#gather(piece, start);
        if ((this.#gathered?.length ?? 0) >= this.#chunkLength) await this.#sendGathered();
      }
    }
    if (this.#underWay === 0) await this.#sendGathered();
  }

  /** Resolves when everything is confirmed; rejects with the first failure, when nothing is under way any more. */
  async settle(): Promise<void> {
    this.#tasks.add(this.#sendGathered());
    await this.#tasks.settle();
  }

  get #chunkLength(): number {
    const { chunkLength, throttle, window } = this.#options;
    return Math.min(requestLength(window, chunkLength), throttle?.chunkLength ?? chunkLength);
  }

  #gather(piece: Buffer, start: number): number {
    this.#gathered ??= {
      memory: this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#options.chunkLength),
      length: 0,
    };
    const { memory, length } = this.#gathered;
    // A limit that has become lower meanwhile is kept from the next chunk on.
    const end = start + Math.max(0, this.#chunkLength - length);
    const count = piece.copy(memory, length, start, end);
    this.#gathered.length += count;
    return count;
  }

  /** In the order of the calls, as the window and the throttle serve those who wait in that order. */
  async #sendGathered(): Promise<void> {
    const { window, throttle } = this.#options;
    const { signal } = this.#tasks;
    const gathered = this.#gathered;
    if (gathered === undefined) return;
    this.#gathered = undefined;
    this.#underWay += 1;
    const offset = this.#nextOffset;
    this.#nextOffset += gathered.length;
    if (throttle?.isLimited) await throttle.take(gathered.length, signal);
    await window.acquire(gathered.length, signal);
    this.#tasks.add(this.#send(gathered, offset));
  }

  async #send({ memory, length }: Gathered, offset: number): Promise<void> {
    const mark = this.#options.window.mark();
    try {
      await this.#target.write(offset, [memory.subarray(0, length)], { signal: this.#tasks.signal });
    } catch (error) {
      this.#options.onFailure(error);
      throw error;
    } finally {
      this.#options.window.release(length, mark);
    }
    if (this.#free.length < MAX_FREE) this.#free.push(memory);
    this.#underWay -= 1;
    if (this.#underWay === 0) this.#tasks.add(this.#sendGathered());
  }
}
