/**
 * Further SFTP sessions over the same authenticated connection. An SSH channel carries one window per round
 * trip, whatever is asked of it; several channels carry as many. They are opened when somebody needs them, kept
 * for the next, and a server that refuses one is not asked again.
 */
import type { SftpClient } from './sftp-client.js';

/** OpenSSH allows ten sessions on a connection; some are left for commands. */
const MAX_LANES = 8;

export class Lanes {
  readonly #open: () => Promise<SftpClient>;
  #opened: Promise<SftpClient | undefined>[] = [];
  readonly #most: number;
  #max: number;

  /**
   * @param open opens one more session
   * @param max how many there may be, the first session among them
   */
  constructor(open: () => Promise<SftpClient>, max: number = MAX_LANES) {
    this.#open = open;
    this.#most = max;
    this.#max = max;
  }

  /** The connection is another one: what was opened over the last is over. */
  reset(): void {
    this.#opened = [];
    this.#max = this.#most;
  }

  /**
   * Up to `count` sessions beside the first one, each as soon as it is open. A server that allows no more
   * simply yields fewer; nothing rejects.
   */
  take(count: number): readonly Promise<SftpClient | undefined>[] {
    const wanted = Math.min(count, this.#max - 1);
    while (this.#opened.length < wanted) this.#opened.push(this.#openOne());
    return this.#opened.slice(0, wanted);
  }

  async #openOne(): Promise<SftpClient | undefined> {
    try {
      return await this.#open();
    } catch {
      // Not allowed, or the connection is ending: whoever asked goes on with what there is.
      this.#max = 1;
      return undefined;
    }
  }
}
