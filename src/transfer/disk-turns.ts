/**
 * Reads or writes of one file, one system call after the other: what is asked for while one is under way and follows
 * on what was asked before goes into the next together. A call to another thread costs more than the copying of a
 * chunk, so fewer and larger ones leave more of the processor to the transfer.
 */

/** Carries out what was gathered, from an offset on, and tells of each how many bytes it came to. */
type Work<Request> = (requests: readonly Request[], offset: number) => Promise<readonly number[]>;

interface Waiting<Request> {
  readonly offset: number;
  readonly length: number;
  readonly request: Request;
  resolve(count: number): void;
  reject(reason: unknown): void;
}

/** More in one call brings nothing, and would have the first wait for the last. */
const MAX_BYTES = 2 * 1024 * 1024;
/** Kernels take 1,024 pieces in one call, and a chunk may come in many. */
const MAX_REQUESTS = 16;

export class DiskTurns<Request> {
  readonly #work: Work<Request>;
  readonly #waiting: Waiting<Request>[] = [];
  #isBusy = false;

  constructor(work: Work<Request>) {
    this.#work = work;
  }

  add(offset: number, length: number, request: Request): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ offset, length, request, resolve, reject });
      if (!this.#isBusy) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isBusy = true;
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        const [first] = batch;
        const counts = await this.#work(
          batch.map(({ request }) => request),
          first?.offset ?? 0,
        );
        batch.forEach(({ resolve }, index) => {
          resolve(counts[index] ?? 0);
        });
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#isBusy = false;
  }

  /** The first that waits, and those that follow on it without a gap. */
  #take(): readonly Waiting<Request>[] {
    let count = 0;
    let bytes = 0;
    let end = this.#waiting[0]?.offset;
    for (const { offset, length } of this.#waiting) {
      const isTooMuch = count > 0 && (bytes + length > MAX_BYTES || count === MAX_REQUESTS);
      if (offset !== end || isTooMuch) break;
      count += 1;
      bytes += length;
      end = offset + length;
    }
    return this.#waiting.splice(0, count);
  }
}
