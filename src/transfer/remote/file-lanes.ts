/**
 * The sessions in which one file is open, each with a handle of its own: further channels of one connection, and further
 * connections. What one of them has not done when it ends is done by another.
 */
import type { RemoteHandle, SftpClient } from '../../session/sftp-client.js';
import { SPREAD_LENGTH, type Spread } from '../../session/spread.js';
import { untilAborted } from '../../shared/abort.js';
import { together } from '../engine/task-group.js';
import type { Cancellable } from '../file-system.js';
import { LaneRoom } from './lane-room.js';

/** A session that has the file open, and the bytes that are on the way through it. */
export interface FileLane {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  bytes: number;
  /** Of a connection beside others; left out: there may be as many bytes as somebody else allows. */
  readonly room: LaneRoom | undefined;
}

/** A request for which no session has room at present. */
interface WaitingRequest {
  readonly length: number;
  readonly resolve: (lane: FileLane | Promise<FileLane>) => void;
}

export interface FileLanesOptions {
  readonly client: SftpClient;
  readonly handle: RemoteHandle;
  /** The session without which there is no transfer. Default: `client`. */
  readonly main?: SftpClient | undefined;
  /** Where further connections come from, for a file that is worth them. */
  readonly spread?: Spread | undefined;
  /** Called after a moment in which one of them has had nothing to do. */
  readonly onIdle?: (() => void) | undefined;
  /** What is still under way when the file is closed, nobody needs: it is not waited for. */
  readonly leavesLate?: boolean | undefined;
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
  readonly #waiting: WaitingRequest[] = [];

  constructor(options: FileLanesOptions) {
    const { client, handle, main = client } = options;
    this.#options = options;
    this.#main = main;
    this.#lanes = [this.#laneOf(client, handle)];
    this.#joined.add(client);
  }

  #laneOf(client: SftpClient, handle: RemoteHandle): FileLane {
    const room = this.#options.spread && new LaneRoom(() => client.roundTripMs);
    return { client, handle, bytes: 0, room };
  }

  /** Whether all requests go through one session, in the order in which they are made. */
  get isAlone(): boolean {
    return this.#options.spread === undefined && this.#joining === undefined && this.#reopening === undefined;
  }

  /** Takes room in the session with the least on its way; a promise only where that has to be waited for. */
  #take(length: number): FileLane | Promise<FileLane> {
    this.#joinSpread();
    return (this.#waiting.length === 0 ? this.#takeNow(length) : undefined) ?? this.#waitFor(length);
  }

  #takeNow(length: number): FileLane | undefined {
    let least: FileLane | undefined;
    for (const lane of this.#lanes)
      if (!this.#isLost(lane) && hasRoom(lane, length) && (least === undefined || lane.bytes < least.bytes))
        least = lane;
    if (least !== undefined) least.bytes += length;
    return least;
  }

  async #waitFor(length: number): Promise<FileLane> {
    if (!this.#isOver) return new Promise((resolve) => this.#waiting.push({ length, resolve }));
    const lane = await this.#reopen();
    lane.bytes += length;
    return lane;
  }

  /** Those who have waited longest get what room there is now. */
  #serve(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const lane = this.#takeNow(next.length);
      if (lane === undefined && !this.#isOver) return;
      this.#waiting.shift();
      next.resolve(lane ?? this.#waitFor(next.length));
    }
  }

  /** Who has been answered may ask for more at once. */
  #noteIdle({ bytes }: FileLane): void {
    const { onIdle } = this.#options;
    if (onIdle !== undefined && bytes === 0) setImmediate(() => this.#isClosed || onIdle());
  }

  /** One that has nothing to do. */
  get idle(): FileLane | undefined {
    return this.#lanes.find((lane) => lane.bytes === 0 && !this.#isLost(lane));
  }

  get #isOver(): boolean {
    return this.#lanes.every((lane) => this.#isLost(lane));
  }

  /** One that can be asked what is for one session only. */
  primary(): FileLane | Promise<FileLane> {
    return this.#lanes.find((lane) => !this.#isLost(lane)) ?? this.#reopen();
  }

  /** Runs a request; where its session has ended and the transfer has not, once more in another one. */
  run<T>(length: number, request: (lane: FileLane) => Promise<T>): Promise<T> {
    return this.#run(() => this.#take(length), length, request);
  }

  /** As {@link run}, in a certain one as long as that works. */
  runIn<T>(lane: FileLane, length: number, request: (lane: FileLane) => Promise<T>): Promise<T> {
    const take = () => {
      if (this.#isLost(lane)) return this.#take(length);
      lane.bytes += length;
      return lane;
    };
    return this.#run(take, length, request);
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
      const startedAt = performance.now();
      try {
        const result = await request(lane);
        lane.room?.note(length, performance.now() - startedAt, lane.bytes);
        return result;
      } catch (error) {
        if (!this.#isLost(lane)) throw error;
        this.#lanes = this.#lanes.filter((other) => other !== lane);
      } finally {
        lane.bytes -= length;
        this.#serve();
        this.#noteIdle(lane);
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
    const { leavesLate = false } = this.#options;
    // A further session does nothing by now, so that an abort need not wait for it to open the file.
    const joining = this.#joining && untilAborted(this.#joining, options.signal).catch(() => {});
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
    const isLate = ({ bytes }: FileLane) => leavesLate && bytes > 0;
    const [late, others] = [this.#lanes.filter(isLate), this.#lanes.filter((lane) => !isLate(lane))];
    for (const lane of late) close(lane).catch(() => {});
    const closing: Promise<unknown>[] = others.map(close);
    if (joining !== undefined && !leavesLate) closing.push(joining);
    await (closing.length === 1 ? closing[0] : together(closing));
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
    else {
      const lane = this.#laneOf(client, handle);
      this.#lanes.push(lane);
      this.#serve();
      this.#noteIdle(lane);
    }
  }

  #reopen(): Promise<FileLane> {
    this.#reopening ??= this.#options.open(this.#main).then((handle) => {
      const lane = this.#laneOf(this.#main, handle);
      this.#lanes.push(lane);
      return lane;
    });
    return this.#reopening;
  }
}

/** One request there may always be, or there would never be any. */
function hasRoom({ bytes, room }: FileLane, length: number): boolean {
  return room === undefined || bytes === 0 || bytes + length <= room.limit;
}
