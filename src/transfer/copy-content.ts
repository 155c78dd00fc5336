/**
 * The content of one open file into another: reads ahead as the window allows, writes in ascending order, and
 * knows at every moment how far the target is complete without a hole.
 */
import type { Buffer } from 'node:buffer';
import { untilAborted } from '../abort.js';
import { byteLength } from '../wire/bytes.js';
import { MAX_BLOCK_LENGTH, type SourceFile, type TargetFile } from './file-system.js';
import { readFully } from './read-fully.js';
import { TaskGroup } from './task-group.js';
import type { Throttle } from './throttle.js';
import type { Window } from './window.js';

/** What a transfer may use of the line. */
export interface LineUse {
  /** Bytes in flight, shared by everything that runs over the same line. */
  readonly window: Window;
  /** Bytes per second. */
  readonly throttle?: Throttle | undefined;
  /** The most requests for the content of one file at once. Default: as many as the window allows. */
  readonly concurrency?: number | undefined;
  /** The most channels that a large file may be written through, where its file system has such. */
  readonly channels?: number | undefined;
}

export interface ContentOptions extends LineUse {
  /** Bytes to ask for in one request; a server may tell only while a copy is under way how many it takes. */
  readonly chunkLength: () => number;
  /** Source and target take several requests in one call. Default: false. */
  readonly inBlocks?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The target holds so many bytes already, and they are not copied again. Default: 0. */
  readonly start?: number | undefined;
  /** How many bytes the target holds by now; never fewer than the last time. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /**
   * Called when everything is written; for a target whose requests are in order (see
   * {@link TargetFile.isOrdered}) as soon as everything has been given to it.
   */
  readonly finish: (target: TargetFile) => Promise<void>;
}

/** What one call asks for. */
interface Chunk {
  readonly offset: number;
  readonly length: number;
  readonly requests: number;
  readonly content: Promise<readonly Buffer[]>;
  /** What of the window it has. */
  held: number;
}

/** Of a source that does not say how many it bears. */
const MAX_REQUESTS = 64;
/** What is being read, what is on its way and what is being written are not the same. */
const BLOCKS_PER_WINDOW = 4;
/** A block does not take longer: over a slow line whoever looks at the progress wants to see every request. */
const MAX_BLOCK_MS = 100;
/**
 * Nothing is read so far ahead of the first byte that is not confirmed to be written: of a file that nobody could
 * cut after a failure, everything but its last so many bytes is without a hole.
 */
export const MAX_SPREAD = 32 * 1024 * 1024;
/** A second's worth of chunks that wait for the throttle: a round trip may be as long without leaving it idle. */
const MAX_WAITING = 4;

/** Copies to the source's end; the size that it tells only says how far to read ahead. */
export class ContentCopy {
  readonly #source: SourceFile;
  readonly #target: TargetFile | Promise<TargetFile>;
  readonly #options: ContentOptions;
  readonly #tasks: TaskGroup;
  /** Asked of the source and not yet given to the target, in ascending order. */
  readonly #chunks: Chunk[] = [];
  /** Given to the target and not yet confirmed without a hole before it, in ascending order. */
  readonly #writes: { readonly end: number; done: boolean }[] = [];
  /** How many requests of the source are under way, how many may be at present, and how many ever. */
  #asked = 0;
  #allowed: number;
  readonly #maxRequests: number;
  #nextOffset: number;
  /** The turn of the last chunk that waits for the throttle, and how many wait. */
  #turn: Promise<void> = Promise.resolve();
  #waiting = 0;
  /** Where the source turned out to end. */
  #end: number | undefined;
  #writtenBytes: number;
  #contiguousBytes: number;
  /** The next one to be asked for waits until there is room for it. */
  #isWaitingForRoom = false;
  /** Wakes whoever waits for the contiguous bytes to become more. */
  #noteAdvance: () => void = () => {};

  /** @param target need not be open yet: the source is read ahead meanwhile */
  constructor(source: SourceFile, target: TargetFile | Promise<TargetFile>, options: ContentOptions) {
    this.#source = source;
    this.#target = target;
    this.#options = options;
    this.#tasks = new TaskGroup(options.signal);
    this.#nextOffset = options.start ?? 0;
    this.#writtenBytes = this.#nextOffset;
    this.#contiguousBytes = this.#nextOffset;
    // A source of unknown size is approached step by step: much would be asked behind its end.
    this.#maxRequests = source.maxRequests ?? MAX_REQUESTS;
    this.#allowed = this.#size === undefined ? 1 : this.#maxRequests;
  }

  /** How far the target is complete, also after a failure. */
  get contiguousBytes(): number {
    return this.#contiguousBytes;
  }

  /**
   * Resolves with the number of bytes up to the source's end. Rejects with the first failure, after everything
   * that was under way has settled.
   */
  async run(): Promise<number> {
    const { finish } = this.#options;
    let target: TargetFile | undefined;
    try {
      while (await this.#readAhead()) {
        target ??= await this.#target;
        await this.#writeNext(target);
      }
      target ??= await this.#target;
      if (target.isOrdered) this.#tasks.add(finish(target));
    } catch (error) {
      this.#tasks.fail(error);
      for (const chunk of this.#chunks) this.#tasks.add(this.#discard(chunk));
    }
    await this.#tasks.settle();
    if (target?.isOrdered === false) await finish(target);
    return this.#end ?? this.#nextOffset;
  }

  /** A size of 0 says nothing: files of `/proc`, and those of some servers, have content all the same. */
  get #size(): number | undefined {
    return this.#source.info.size === 0 ? undefined : this.#source.info.size;
  }

  /** Asks the source for as much as is allowed; false when there is nothing left to wait for. */
  async #readAhead(): Promise<boolean> {
    // A disk does not heed the signal, and would be read to the end in vain.
    this.#tasks.signal.throwIfAborted();
    this.#askMore();
    while (this.#chunks.length === 0 && this.#end === undefined && this.#nextLength() > 0) {
      await this.#waitForRoom(this.#nextLength());
      this.#askMore();
    }
    return this.#chunks.length > 0;
  }

  /** Asks for as much as is allowed at present; called again whenever that may have become more. */
  #askMore(): void {
    if (this.#isWaitingForRoom || this.#tasks.signal.aborted) return;
    while (this.#end === undefined && this.#asked < this.#allowed) {
      const length = this.#nextLength();
      if (length === 0 || this.#isFarAhead(length)) return;
      if (this.#chunks.length > 0 && this.#asked + this.#requestsFor(length) > this.#allowed) return;
      if (!this.#askNow(length)) return;
    }
  }

  /** For whoever has nothing under way: no answer would wake it. */
  async #waitForRoom(length: number): Promise<void> {
    this.#isWaitingForRoom = true;
    try {
      if (this.#isFarAhead(length)) return await this.#advance();
      await this.#options.window.acquire(length, this.#tasks.signal);
      this.#ask(length, length, this.#readFully(this.#nextOffset, length));
    } finally {
      this.#isWaitingForRoom = false;
    }
  }

  /** False where there is no room at present. */
  #askNow(length: number): boolean {
    const { window, throttle } = this.#options;
    // Once one has to wait its turn, those behind it do as well.
    if (this.#waiting > 0 || throttle?.isLimited) {
      if (this.#waiting >= MAX_WAITING) return false;
      this.#askInTurn(length);
      return true;
    }
    if (!window.tryAcquire(length)) return false;
    this.#ask(length, length, this.#readFully(this.#nextOffset, length));
    return true;
  }

  #isFarAhead(length: number): boolean {
    const { concurrency = Number.POSITIVE_INFINITY } = this.#options;
    const isWide = this.#nextOffset + length > this.#contiguousBytes + MAX_SPREAD;
    return isWide || this.#chunks.length + this.#writes.length >= concurrency;
  }

  #ask(length: number, held: number, content: Promise<readonly Buffer[]>): Chunk {
    // Its failure is noticed when its turn has come.
    content.catch(() => {});
    const chunk = { offset: this.#nextOffset, length, requests: this.#requestsFor(length), held, content };
    this.#chunks.push(chunk);
    this.#asked += chunk.requests;
    this.#nextOffset += length;
    return chunk;
  }

  /** Takes nothing of the window before the throttle lets it pass: others of the line need not wait with it. */
  #askInTurn(length: number): void {
    const { throttle, window } = this.#options;
    const { signal } = this.#tasks;
    const offset = this.#nextOffset;
    const turn = this.#turn.then(async () => {
      await throttle?.take(length, signal);
      await window.acquire(length, signal);
      chunk.held = length;
      this.#waiting -= 1;
    });
    const read = async () => {
      await turn;
      const pieces = await this.#readFully(offset, length);
      throttle?.giveBack(length - byteLength(pieces));
      return pieces;
    };
    this.#turn = turn;
    this.#waiting += 1;
    const chunk = this.#ask(length, 0, read());
  }

  /** Waits for the contiguous bytes to become more; rejects when they never will. */
  #advance(): Promise<void> {
    const advanced = new Promise<void>((resolve) => {
      this.#noteAdvance = resolve;
    });
    return untilAborted(advanced, this.#tasks.signal);
  }

  /** One byte more is asked for than there should be: it tells whether the source has grown. */
  #nextLength(): number {
    const size = this.#size;
    if (size === undefined) return this.#chunkLength;
    return Math.min(this.#blockLength, Math.max(0, size + 1 - this.#nextOffset));
  }

  get #chunkLength(): number {
    const { chunkLength, throttle } = this.#options;
    return throttle?.isLimited ? Math.min(chunkLength(), throttle.chunkLength) : chunkLength();
  }

  /** Single requests where these are counted, or where they are held back one by one. */
  get #blockLength(): number {
    const { inBlocks = false, window, throttle, concurrency } = this.#options;
    const length = this.#chunkLength;
    if (!inBlocks || throttle?.isLimited || concurrency !== undefined) return length;
    const most = Math.min(MAX_BLOCK_LENGTH, window.limit / BLOCKS_PER_WINDOW, window.rate * MAX_BLOCK_MS);
    return length * Math.max(1, Math.min(Math.floor(most / length), MAX_REQUESTS / BLOCKS_PER_WINDOW));
  }

  #requestsFor(length: number): number {
    return Math.max(1, Math.ceil(length / this.#chunkLength));
  }

  #readFully(offset: number, length: number): Promise<readonly Buffer[]> {
    return readFully(this.#source, { offset, length }, { signal: this.#tasks.signal });
  }

  async #writeNext(target: TargetFile): Promise<void> {
    const [chunk] = this.#chunks;
    if (chunk === undefined) return;
    // Where it fails it stays with those that are discarded.
    const pieces = this.#end === undefined ? await chunk.content : undefined;
    this.#chunks.shift();
    this.#asked -= chunk.requests;
    if (pieces === undefined) return this.#discard(chunk);
    const count = byteLength(pieces);
    if (count < chunk.length) this.#end = chunk.offset + count;
    else this.#allowed = Math.min(this.#maxRequests, this.#allowed * 2);
    if (count === 0) this.#options.window.release(chunk.held);
    else this.#tasks.add(this.#write(target, chunk, pieces, count));
  }

  async #write(target: TargetFile, chunk: Chunk, pieces: readonly Buffer[], count: number): Promise<void> {
    const write = { end: chunk.offset + count, done: false };
    this.#writes.push(write);
    try {
      await target.write(chunk.offset, pieces, { signal: this.#tasks.signal });
      if (!target.keepsPieces) this.#source.release?.(pieces);
    } finally {
      this.#options.window.release(chunk.held);
    }
    write.done = true;
    for (let first = this.#writes[0]; first?.done; first = this.#writes[0]) {
      this.#contiguousBytes = first.end;
      this.#writes.shift();
      this.#noteAdvance();
    }
    this.#writtenBytes += count;
    this.#options.onProgress?.(this.#writtenBytes);
    this.#askMore();
  }

  /** What was asked for behind the end, or in vain. */
  async #discard(chunk: Chunk): Promise<void> {
    await chunk.content.catch(() => {});
    this.#options.window.release(chunk.held, { counts: false });
  }
}
