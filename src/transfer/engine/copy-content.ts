/**
 * The content of one open file into another: reads ahead as the window allows, writes in ascending order, and
 * knows at every moment how far the target is complete without a hole.
 */
import type { Buffer } from 'node:buffer';
import { untilAborted } from '../../shared/abort.js';
import { byteLength } from '../../wire/bytes.js';
import { MAX_BLOCK_LENGTH, type SourceFile, type TargetFile } from '../file-system.js';
import type { Mark } from './pace.js';
import { readFully } from './read-fully.js';
import { MAX_PIECE_MS, requestLength } from './request-length.js';
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
  /**
   * The most bytes to ask for at once, in a few requests, until 4 MiB have arrived. Only what has arrived as a whole counts:
   * over a connection that is cut again and again, little may be on its way.
   */
  readonly carefulLength?: number | undefined;
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
  /** What of the window it has, and since when. */
  held: number;
  mark: Mark | undefined;
  /** And of the channel that the target shares with other files. */
  readonly room: Window | undefined;
  /** Of a source whose requests overtake each other: whether the content is there. */
  hasArrived: boolean;
}

/** What has been given to the target. */
interface Write {
  readonly start: number;
  readonly end: number;
  done: boolean;
}

/** Of a source that does not say how many it bears. */
const MAX_REQUESTS = 64;
/** What is being read, what is on its way and what is being written are not the same. */
const BLOCKS_PER_WINDOW = 4;
/**
 * Nothing is read so far ahead of the first byte that is not confirmed to be written: of a file that nobody could
 * cut after a failure, everything but its last so many bytes is without a hole.
 */
export const MAX_SPREAD = 32 * 1024 * 1024;
/** Once so much has arrived, the connection is not taken for one that is cut again and again. */
export const CAREFUL_BYTES = 4 * 1024 * 1024;
const CAREFUL_REQUESTS = 4;
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
  readonly #writes: Write[] = [];
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
  /** Known when the target is open. */
  #takesAnyOrder = false;
  #room: Window | undefined;
  /** The next one to be asked for waits until there is room for it. */
  #isWaitingForRoom = false;
  /** Wakes those who wait for more contiguous bytes. */
  #noteAdvance: () => void = () => {};
  /** Wakes those who wait for the content of any chunk. */
  #noteArrival: () => void = () => {};

  /** @param target need not be open yet: the source is read ahead meanwhile */
  constructor(source: SourceFile, target: TargetFile | Promise<TargetFile>, options: ContentOptions) {
    this.#source = source;
    this.#target = target;
    if (!(target instanceof Promise)) this.#room = target.room;
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
    let isFinishing = false;
    try {
      while (await this.#readAhead()) {
        target ??= await this.#target;
        this.#takesAnyOrder = this.#isSpread && target.takesAnyOrder === true;
        this.#room = target.room;
        await this.#writeNext(target);
      }
      target ??= await this.#target;
      isFinishing = target.isOrdered;
      if (isFinishing) this.#tasks.add(finish(target));
    } catch (error) {
      this.#tasks.fail(error);
      for (const chunk of this.#chunks) this.#tasks.add(this.#discard(chunk));
    }
    await this.#tasks.settle();
    if (target !== undefined && !isFinishing) await finish(target);
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

  /** For a source that has nothing under way: no answer would wake it. */
  async #waitForRoom(length: number): Promise<void> {
    this.#isWaitingForRoom = true;
    try {
      if (this.#isFarAhead(length)) return await this.#advance();
      const room = this.#room;
      // First: what waits for its channel must not hold a part of the window that another channel could use.
      await room?.acquire(length, this.#tasks.signal);
      try {
        await this.#options.window.acquire(length, this.#tasks.signal);
      } catch (error) {
        room?.release(length);
        throw error;
      }
      this.#askAtOnce(length, room);
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
    const room = this.#room;
    if (room?.tryAcquire(length) === false) return false;
    if (!window.tryAcquire(length)) {
      room?.release(length);
      return false;
    }
    this.#askAtOnce(length, room);
    return true;
  }

  /** As {@link ContentOptions.carefulLength}, as long as it holds. */
  get #careful(): number | undefined {
    const { carefulLength, start = 0 } = this.#options;
    return this.#contiguousBytes < start + CAREFUL_BYTES ? carefulLength : undefined;
  }

  get #concurrency(): number | undefined {
    const { concurrency } = this.#options;
    return this.#careful === undefined
      ? concurrency
      : Math.min(concurrency ?? CAREFUL_REQUESTS, CAREFUL_REQUESTS);
  }

  /** Where the window does not count what has come and waits for what was asked before it. */
  get #maxSpread(): number {
    return this.#isSpread ? Math.min(MAX_SPREAD, this.#options.window.max) : MAX_SPREAD;
  }

  /** A source of unknown size ends where it first ends: that is known in order only. */
  get #isSpread(): boolean {
    return this.#source.isSpread === true && this.#size !== undefined;
  }

  #isFarAhead(length: number): boolean {
    const concurrency = this.#concurrency ?? Number.POSITIVE_INFINITY;
    const isWide = this.#nextOffset + length > this.#contiguousBytes + this.#maxSpread;
    return isWide || this.#chunks.length + this.#writes.length >= concurrency;
  }

  #askAtOnce(length: number, room: Window | undefined): void {
    const mark = this.#options.window.mark();
    this.#ask(length, this.#readFully(this.#nextOffset, length), { held: length, mark, room });
  }

  #ask(
    length: number,
    content: Promise<readonly Buffer[]>,
    taken: Pick<Chunk, 'held' | 'mark' | 'room'> = { held: 0, mark: undefined, room: undefined },
  ): Chunk {
    // Its failure is noticed when its turn has come.
    content.catch(() => {});
    const chunk = {
      offset: this.#nextOffset,
      length,
      requests: this.#requestsFor(length),
      content,
      hasArrived: false,
      ...taken,
    };
    if (this.#isSpread) {
      const arrive = () => this.#arrive(chunk);
      content.then(arrive, arrive);
    }
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
      chunk.mark = window.mark();
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
    const chunk = this.#ask(length, read());
  }

  #arrive(chunk: Chunk): void {
    chunk.hasArrived = true;
    this.#asked -= chunk.requests;
    if (!this.#takesAnyOrder) {
      this.#options.window.release(chunk.held, chunk.mark);
      chunk.held = 0;
      chunk.mark = undefined;
    }
    this.#noteArrival();
    this.#askMore();
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
    const { chunkLength, throttle, window } = this.#options;
    const most = Math.min(chunkLength(), this.#careful ?? Number.POSITIVE_INFINITY);
    const length = requestLength(window, most);
    return throttle?.isLimited ? Math.min(length, throttle.chunkLength) : length;
  }

  /** Single requests where these are counted, or where they are held back one by one. */
  get #blockLength(): number {
    const { inBlocks = false, window, throttle } = this.#options;
    const length = this.#chunkLength;
    if (!inBlocks || throttle?.isLimited || this.#concurrency !== undefined) return length;
    const most = Math.min(MAX_BLOCK_LENGTH, window.limit / BLOCKS_PER_WINDOW, window.rate * MAX_PIECE_MS);
    return length * Math.max(1, Math.min(Math.floor(most / length), MAX_REQUESTS / BLOCKS_PER_WINDOW));
  }

  #requestsFor(length: number): number {
    return Math.max(1, Math.ceil(length / this.#chunkLength));
  }

  #readFully(offset: number, length: number): Promise<readonly Buffer[]> {
    const once = this.#options.throttle?.isLimited === true || this.#concurrency !== undefined;
    return readFully(this.#source, { offset, length }, { signal: this.#tasks.signal, once });
  }

  async #writeNext(target: TargetFile): Promise<void> {
    const chunk = await this.#nextChunk();
    if (chunk === undefined) return;
    // Where it fails it stays with those that are discarded.
    const pieces = chunk.offset < (this.#end ?? Number.POSITIVE_INFINITY) ? await chunk.content : undefined;
    this.#chunks.splice(this.#chunks.indexOf(chunk), 1);
    if (!this.#isSpread) this.#asked -= chunk.requests;
    if (pieces === undefined) return this.#discard(chunk);
    const count = byteLength(pieces);
    if (count < chunk.length) this.#end = chunk.offset + count;
    else this.#allowed = Math.min(this.#maxRequests, this.#allowed * 2);
    if (count === 0) this.#giveBack(chunk, chunk.mark);
    else this.#tasks.add(this.#write(target, chunk, pieces, count));
  }

  /** The first one, or the first of those whose content is there. */
  async #nextChunk(): Promise<Chunk | undefined> {
    if (!this.#takesAnyOrder) return this.#chunks[0];
    for (;;) {
      const chunk = this.#chunks.find(({ hasArrived }) => hasArrived);
      if (chunk !== undefined || this.#chunks.length === 0) return chunk;
      await new Promise<void>((resolve) => {
        this.#noteArrival = resolve;
      });
    }
  }

  async #write(target: TargetFile, chunk: Chunk, pieces: readonly Buffer[], count: number): Promise<void> {
    const write = { start: chunk.offset, end: chunk.offset + count, done: false };
    const later = this.#writes.findIndex(({ start }) => start > write.start);
    this.#writes.splice(later < 0 ? this.#writes.length : later, 0, write);
    try {
      await target.write(chunk.offset, pieces, { signal: this.#tasks.signal });
      if (!target.keepsPieces) this.#source.release?.(pieces);
    } finally {
      this.#giveBack(chunk, chunk.mark);
    }
    write.done = true;
    for (let first = this.#writes[0]; first?.done; first = this.#writes[0]) {
      if (first.start !== this.#contiguousBytes) break;
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
    this.#giveBack(chunk);
  }

  #giveBack({ held, room }: Chunk, mark?: Mark): void {
    room?.release(held);
    this.#options.window.release(held, mark);
  }
}
