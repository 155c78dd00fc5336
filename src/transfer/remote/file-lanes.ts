/**
 * The sessions in which one file is open, each with a handle of its own: further channels of one connection, and further
 * connections. What one of them has not done when it ends is done by another.
 */
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { SPREAD_LENGTH, type Spread } from '../../session/spread.js';
import { untilAborted } from '../../shared/abort.js';
import { together } from '../engine/task-group.js';
import type { Cancellable } from '../file-system.js';

/** A session that has the file open, and the bytes that are on the way through it. */
export interface FileLane {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  bytes: number;
}

export interface FileLanesOptions {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  /** The session without which there is no transfer. Default: `client`. */
  readonly main?: SftpClient | undefined;
  /** Where further connections come from, for a file that is worth them. */
  readonly spread?: Spread | undefined;
  /** Opens the same file in another session. */
  readonly open: (client: SftpClient) => Promise<RemoteHandle>;
}

/** Those of a call, where a file of such a length, or of one that nobody knows, is to go through all of them. */
export function spreadFor(spread: Spread | undefined, size = SPREAD_LENGTH): Spread | undefined {
  return size >= SPREAD_LENGTH ? spread : undefined;
}

export class FileLanes {
  readonly #options: FileLanesOptions;
  readonly #main: SftpClient;
  #lanes: FileLane[];
  readonly #joined = new WeakSet<SftpClient>();
  #joining: Promise<unknown> | undefined;
  #reopening: Promise<FileLane> | undefined;
  #isClosed = false;

  constructor(options: FileLanesOptions) {
    const { client, handle, main = client } = options;
    this.#options = options;
    this.#main = main;
    this.#lanes = [{ client, handle, bytes: 0 }];
    this.#joined.add(client);
  }

  /** Whether no other session has ever been asked to open the file. */
  get isAlone(): boolean {
    return this.#joining === undefined && this.#reopening === undefined;
  }

  /** The one with the least on its way; a promise only where the file has to be opened once more. */
  leastBusy(): FileLane | Promise<FileLane> {
    this.#joinSpread();
    let least: FileLane | undefined;
    for (const lane of this.#lanes)
      if (!this.#isLost(lane) && (least === undefined || lane.bytes < least.bytes)) least = lane;
    return least ?? this.#reopen();
  }

  /** One that can be asked what is for one session only. */
  primary(): FileLane | Promise<FileLane> {
    return this.#lanes.find((lane) => !this.#isLost(lane)) ?? this.#reopen();
  }

  /** Runs a request; where its session has ended and the transfer has not, once more in another one. */
  run<T>(length: number, request: (lane: FileLane) => Promise<T>): Promise<T> {
    return this.#run(() => this.leastBusy(), length, request);
  }

  /** As {@link run}, for what is for one session only. */
  runOnce<T>(request: (lane: FileLane) => Promise<T>): Promise<T> {
    return this.#run(() => this.primary(), 0, request);
  }

  async #run<T>(
    pick: () => FileLane | Promise<FileLane>,
    length: number,
    request: (lane: FileLane) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      const picked = pick();
      const lane = picked instanceof Promise ? await picked : picked;
      lane.bytes += length;
      try {
        return await request(lane);
      } catch (error) {
        if (!this.#isLost(lane)) throw error;
        this.#lanes = this.#lanes.filter((other) => other !== lane);
      } finally {
        lane.bytes -= length;
      }
    }
  }

  /** Another session opens the file too; where that fails, the others carry its share. */
  join(opening: Promise<SftpClient | undefined>): void {
    this.#joining = Promise.all([this.#joining, this.#join(opening)]);
  }

  /** Closes it in each session; what was written through one that has ended was confirmed or written again. */
  async close(options: Cancellable, closeIn: (lane: FileLane) => Promise<void>): Promise<void> {
    this.#isClosed = true;
    // A further session does nothing by now, so that an abort need not wait for it to open the file.
    const joining = untilAborted(this.#joining ?? Promise.resolve(), options.signal).catch(() => {});
    const close = async (lane: FileLane) => {
      try {
        await closeIn(lane);
      } catch (error) {
        if (!this.#isLost(lane)) throw error;
        if (this.#lanes.some((other) => other !== lane && !this.#isLost(other))) return;
        // What was under way in it is done again first: its failure is being noticed at this moment.
        await new Promise((resolve) => setImmediate(resolve));
        await this.#reopen().then(closeIn);
      }
    };
    await together([...this.#lanes.map(close), joining]);
  }

  #isLost({ client }: FileLane): boolean {
    return client !== this.#main && client.isOver;
  }

  #joinSpread(): void {
    const { spread } = this.#options;
    if (spread === undefined || this.#isClosed) return;
    for (const client of spread.clients) {
      if (this.#joined.has(client) || client.isOver) continue;
      this.#joined.add(client);
      this.join(Promise.resolve(client));
    }
  }

  async #join(opening: Promise<SftpClient | undefined>): Promise<void> {
    const client = await opening;
    if (client === undefined || this.#isClosed) return;
    const handle = await this.#options.open(client).catch(() => undefined);
    if (handle === undefined) return;
    if (this.#isClosed) await client.close(handle).catch(() => {});
    else this.#lanes.push({ client, handle, bytes: 0 });
  }

  #reopen(): Promise<FileLane> {
    this.#reopening ??= this.#options.open(this.#main).then((handle) => {
      const lane = { client: this.#main, handle, bytes: 0 };
      this.#lanes.push(lane);
      return lane;
    });
    return this.#reopening;
  }
}
