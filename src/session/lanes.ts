/**
 * Further SFTP sessions over the same authenticated connection. An SSH channel carries one window per round
 * trip, whatever is asked of it; several channels carry as many. They are opened when somebody needs them, kept
 * for the next, and a server that refuses one is not asked again.
 */
import type { SftpClient } from './sftp-client.js';

export class Lanes {
  readonly #open: () => Promise<SftpClient>;
  #opened: Promise<SftpClient | undefined>[] = [];
  /** Those that are open. */
  readonly #clients = new WeakMap<Promise<SftpClient | undefined>, SftpClient>();
  /** How many the server allows beside the first one, as far as it has shown that. */
  #allowed = Number.POSITIVE_INFINITY;

  /** @param open opens one more session */
  constructor(open: () => Promise<SftpClient>) {
    this.#open = open;
  }

  /** The connection is another one: what was opened over the last one is over. */
  reset(): void {
    this.#opened = [];
    this.#allowed = Number.POSITIVE_INFINITY;
  }

  /**
   * Up to `count` sessions beside the first one, each as soon as it is open. A server that allows no more
   * simply yields fewer; nothing rejects. What has ended by itself is opened again.
   */
  take(count: number): readonly Promise<SftpClient | undefined>[] {
    this.#opened = this.#opened.filter((opening) => !this.#clients.get(opening)?.isOver);
    const wanted = Math.min(count, this.#allowed);
    while (this.#opened.length < wanted) this.#openOne();
    return this.#opened.slice(0, wanted);
  }

  #openOne(): void {
    const noteClient = (client: SftpClient) => {
      this.#clients.set(opening, client);
      return client;
    };
    const opening: Promise<SftpClient | undefined> = this.#open().then(noteClient, () => {
      // Not allowed, or the connection is ending: the caller goes on with the lanes there are.
      if (this.#opened.includes(opening)) {
        this.#opened = this.#opened.filter((one) => one !== opening);
        this.#allowed = this.#opened.length;
      }
      return undefined;
    });
    this.#opened.push(opening);
  }
}
