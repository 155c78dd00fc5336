/**
 * Reads of one file through several connections. If one of them is late with an answer, another that is idle is asked as
 * well, and the first answer counts. Otherwise a download would wait in the end for the connection that has lost packets.
 */
import type { Buffer } from 'node:buffer';
import { deferred } from '../../shared/promises.js';
import type { Cancellable, ReadOptions } from '../file-system.js';
import { type FileLane, FileLanes, type FileLanesOptions } from './file-lanes.js';

type Content = readonly Buffer[] | null;
type Ask = (lane: FileLane) => Promise<Content>;

export interface SpreadReadsOptions extends Omit<FileLanesOptions, 'onIdle' | 'leavesLate'> {
  /** Gets what has come twice. */
  readonly discard: (content: Content) => void;
}

/** An answer is late that takes two round trips and longer than this. */
const LATE_MS = 100;

export class SpreadReads {
  readonly #options: SpreadReadsOptions;
  readonly #lanes: FileLanes;
  /** Those that are not answered. */
  readonly #open = new Set<Read>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SpreadReadsOptions) {
    this.#options = options;
    const onIdle = options.spread && (() => this.#look());
    this.#lanes = new FileLanes({ ...options, onIdle, leavesLate: true });
  }

  async read(length: number, ask: Ask, { once = false }: ReadOptions): Promise<Content> {
    if (once) return this.#lanes.run(length, ask);
    const read = new Read(length, ask, this.#options.discard);
    this.#open.add(read);
    try {
      read.expect(this.#lanes.run(length, read.ask));
      this.#look();
      return await read.content;
    } finally {
      this.#open.delete(read);
    }
  }

  async close(options: Cancellable, closeIn: (lane: FileLane) => Promise<void>): Promise<void> {
    clearTimeout(this.#timer);
    await this.#lanes.close(options, closeIn);
  }

  /** Asks those who have nothing to do for what is late, and looks again when something will be. */
  #look(): void {
    clearTimeout(this.#timer);
    for (let lane = this.#lanes.idle; lane !== undefined; lane = this.#lanes.idle) {
      const oldest = this.#oldest();
      if (oldest === undefined) return;
      const lateAt = oldest.askedAt + 2 * this.#options.client.roundTripMs + LATE_MS;
      const waitMs = lateAt - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#look(), waitMs);
        return;
      }
      oldest.expect(this.#lanes.runIn(lane, oldest.length, oldest.ask));
    }
  }

  #oldest(): Read | undefined {
    let oldest: Read | undefined;
    for (const read of this.#open)
      if (read.askedAt < (oldest?.askedAt ?? Number.POSITIVE_INFINITY)) oldest = read;
    return oldest;
  }
}

/** What is asked for once or several times, until there is an answer. */
class Read {
  readonly length: number;
  /** When it was last asked for. */
  askedAt = Number.POSITIVE_INFINITY;
  readonly #ask: Ask;
  readonly #discard: (content: Content) => void;
  readonly #answered = deferred<Content>();
  #expected = 0;
  #isAnswered = false;

  constructor(length: number, ask: Ask, discard: (content: Content) => void) {
    this.length = length;
    this.#ask = ask;
    this.#discard = discard;
  }

  /** The first answer; rejects where all have failed. */
  get content(): Promise<Content> {
    return this.#answered.promise;
  }

  readonly ask: Ask = (lane) => {
    this.askedAt = performance.now();
    return this.#ask(lane);
  };

  expect(answer: Promise<Content>): void {
    this.#expected += 1;
    answer.then(
      (content) => {
        if (this.#isAnswered) this.#discard(content);
        this.#isAnswered = true;
        this.#answered.resolve(content);
      },
      (error) => {
        this.#expected -= 1;
        if (this.#expected === 0) this.#answered.reject(error);
      },
    );
  }
}
