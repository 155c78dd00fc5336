/** Accepts what is written before the server has confirmed it, as far as a few round trips need. */
import { Buffer } from 'node:buffer';

const MAX_UNCONFIRMED = 2 * 1024 * 1024;

export class PendingWrites {
  readonly #running = new Set<Promise<void>>();
  #unconfirmed = 0;
  #failure: unknown;
  #hasFailed = false;

  /** Resolves with the number of bytes as soon as more may come. The bytes are copied: they may be used again then. */
  async write(
    pieces: readonly Buffer[],
    send: (copies: readonly Buffer[]) => Promise<unknown>,
  ): Promise<number> {
    this.#throwFailure();
    const copy = Buffer.concat(pieces);
    this.#unconfirmed += copy.length;
    const running: Promise<void> = send([copy]).then(
      () => this.#settle(running, copy.length),
      (error: unknown) => {
        if (!this.#hasFailed) this.#failure = error;
        this.#hasFailed = true;
        this.#settle(running, copy.length);
      },
    );
    this.#running.add(running);
    while (this.#unconfirmed > MAX_UNCONFIRMED && this.#running.size > 0) await Promise.race(this.#running);
    this.#throwFailure();
    return copy.length;
  }

  /** @throws the first failure, when nothing is under way any more */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
    this.#throwFailure();
  }

  #settle(running: Promise<void>, length: number): void {
    this.#running.delete(running);
    this.#unconfirmed -= length;
  }

  #throwFailure(): void {
    if (this.#hasFailed) throw this.#failure;
  }
}
