/**
 * Sessions over further connections to the same server, for one transfer. TCP holds back a connection for every packet that
 * is lost; several connections are held back one by one.
 */
import type { SftpClient } from './sftp-client.js';

export interface Spread {
  /** Those that are open at present, without that of the first connection. */
  readonly clients: readonly SftpClient[];
  /** How many connections there are to be, the first among them. */
  readonly width: number;
}

/** From here on a file goes through all of them; a smaller one goes through the one that has the least to do. */
export const SPREAD_LENGTH = 1024 * 1024;
/** What a file costs however short it is: opening, closing and the like, in bytes that would take as long. */
const FILE_COST = 16 * 1024;

/** A session for one file; call `leave` when that is closed; more than once does no harm. */
export interface ChosenClient {
  readonly client: SftpClient;
  readonly leave: () => void;
}

/** Which of the connections a short file goes through. */
export class SpreadChoice {
  readonly #first: SftpClient;
  readonly #spread: Spread;
  readonly #loads = new Map<SftpClient, number>();

  constructor(first: SftpClient, spread: Spread) {
    this.#first = first;
    this.#spread = spread;
  }

  choose(size: number): ChosenClient {
    const client = size < SPREAD_LENGTH ? this.#leastBusy() : this.#first;
    let left = size + FILE_COST;
    this.#add(client, left);
    const leave = () => {
      this.#add(client, -left);
      left = 0;
    };
    return { client, leave };
  }

  #leastBusy(): SftpClient {
    let least = this.#first;
    for (const client of this.#spread.clients)
      if (!client.isOver && this.#loadOf(client) < this.#loadOf(least)) least = client;
    return least;
  }

  #loadOf(client: SftpClient): number {
    return this.#loads.get(client) ?? 0;
  }

  #add(client: SftpClient, bytes: number): void {
    const load = this.#loadOf(client) + bytes;
    if (load > 0) this.#loads.set(client, load);
    else this.#loads.delete(client);
  }
}
