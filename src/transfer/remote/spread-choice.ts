/**
 * Which of several connections a short file goes through. A tree has hundreds of them under way at once: all would go
 * through the first connection before the others are open.
 */
import type { SftpClient } from '../../session/sftp-client.js';
import { SPREAD_LENGTH, type Spread } from '../../session/spread.js';
import { WaitingQueue } from '../engine/waiting-queue.js';

/** What a file costs however short it is: opening, closing and the like, in bytes that would take as long. */
const FILE_COST = 16 * 1024;

/** A session for one file; call `leave` when that is closed; more than once does no harm. */
export interface ChosenClient {
  readonly client: SftpClient;
  readonly leave: () => void;
}

/** So many short files go through one connection at a time: the others wait for one that has room, or is being opened. */
const MAX_FILES = 64;

/** What a connection has to do. */
interface Load {
  bytes: number;
  files: number;
}

/** Which of the connections a short file goes through. */
export class SpreadChoice {
  readonly #first: SftpClient;
  readonly #spread: Spread;
  readonly #loads = new WeakMap<SftpClient, Load>();
  readonly #waiting = new WaitingQueue(() => this.#serve());

  constructor(first: SftpClient, spread: Spread) {
    this.#first = first;
    this.#spread = spread;
  }

  /** Rejects with the signal's reason only. */
  async choose(size: number, signal: AbortSignal | undefined): Promise<ChosenClient> {
    if (size >= SPREAD_LENGTH) return this.#take(this.#first, size);
    let client = this.#leastBusy();
    for (; client === undefined; client = this.#leastBusy()) await this.#waiting.wait(1, signal);
    return this.#take(client, size);
  }

  #take(client: SftpClient, size: number): ChosenClient {
    const load = this.#loadOf(client);
    const bytes = size + FILE_COST;
    load.bytes += bytes;
    load.files += 1;
    let isTaken = true;
    const leave = () => {
      if (!isTaken) return;
      isTaken = false;
      load.bytes -= bytes;
      load.files -= 1;
      this.#serve();
    };
    return { client, leave };
  }

  get #clients(): readonly SftpClient[] {
    return [this.#first, ...this.#spread.clients.filter(({ isOver }) => !isOver)];
  }

  /** One that has room, with the least to do. */
  #leastBusy(): SftpClient | undefined {
    let least: SftpClient | undefined;
    for (const client of this.#clients) {
      const { files, bytes } = this.#loadOf(client);
      if (files < MAX_FILES && (least === undefined || bytes < this.#loadOf(least).bytes)) least = client;
    }
    return least;
  }

  get #room(): number {
    return this.#clients.reduce(
      (room, client) => room + Math.max(0, MAX_FILES - this.#loadOf(client).files),
      0,
    );
  }

  #loadOf(client: SftpClient): Load {
    const known = this.#loads.get(client);
    if (known !== undefined) return known;
    const load = { bytes: 0, files: 0 };
    this.#loads.set(client, load);
    return load;
  }

  /** A further connection may have been opened meanwhile, with room for many. */
  #serve(): void {
    for (let room = this.#room; room > 0 && this.#waiting.wanted !== undefined; room -= 1) {
      this.#waiting.grant();
    }
  }
}
