/**
 * Which session of a connection a file is written through. One channel carries no more than its window in a round trip:
 * a file that is large enough goes through several of them by itself (see {@link RemoteTarget}), and files in between
 * are spread over them, each through one.
 */

import type { Lanes } from '../../session/lanes.js';
import type { SftpClient } from '../../session/sftp-client.js';
import { untilAborted, withinTime } from '../../shared/abort.js';
import { Window } from '../engine/window.js';
import type { Cancellable } from '../file-system.js';

/** From here on the round trips are what takes the time. */
export const LONG_ROUND_TRIP_MS = 10;

/** How many channels a line is worth. */
export interface Width {
  readonly maxChannels: number;
  /** What there must be for each lane more: opening one takes round trips, and a process on the server. */
  readonly bytesPerLane: number;
  /** So many bytes of one file are worth it, and not those of several, nor those of which nobody knows yet. */
  readonly isForOneFile: boolean;
}

/** OpenSSH allows ten sessions on a connection; some are left for commands. */
const LONG_LINE: Width = { maxChannels: 8, bytesPerLane: 8 * 1024 * 1024, isForOneFile: false };
const SHORT_LINE: Width = { maxChannels: 3, bytesPerLane: 64 * 1024 * 1024, isForOneFile: true };

export function widthOf({ roundTripMs }: SftpClient): Width {
  return roundTripMs < LONG_ROUND_TRIP_MS ? SHORT_LINE : LONG_LINE;
}

/** Longer than any line takes to open a session; a server that does not answer is not waited for. */
const MAX_WAIT_MS = 2_000;

/**
 * The most bytes of several files on their way through one channel while there are others. What comes through a channel
 * is asked for anew at once, so that the window would end in few channels, one after the other. OpenSSH's window is 2 MiB;
 * the rest is for the way back.
 */
const ROOM_BYTES = 3 * 1024 * 1024;

/** A session for one file; call `leave` when that is closed; more than once does no harm. */
export interface ChosenLane {
  readonly client: SftpClient;
  readonly leave: () => void;
  readonly room?: Window | undefined;
}

export class LaneChoice {
  readonly #client: SftpClient;
  readonly #lanes: Lanes | undefined;
  /** How long the files under way are together: through the first session, and through each of the further ones. */
  readonly #bytes: number[] = [];
  readonly #rooms: Window[] = [];
  readonly #uncounted: ChosenLane;

  constructor(client: SftpClient, lanes: Lanes | undefined) {
    this.#client = client;
    this.#lanes = lanes;
    this.#uncounted = { client, leave: () => {} };
  }

  /**
   * The first session whose files are not yet worth another beside it, or the one with the least to do. Rejects with
   * the signal's reason only.
   */
  choose(
    size: number,
    { channels, signal }: Cancellable & { readonly channels?: number | undefined } = {},
  ): ChosenLane | Promise<ChosenLane> {
    // What fits into one request is done before another session would be open.
    if (this.#lanes === undefined || size <= this.#client.limits.maxWriteLength) return this.#uncounted;
    const index = this.#indexFor(size, channels);
    this.#add(index, size);
    let left = size;
    const leave = () => {
      this.#add(index, -left);
      left = 0;
    };
    const room = this.#roomOf(index);
    if (index === 0) return { client: this.#client, leave, room };
    const opening = this.#opened(this.#lanes.take(index)[index - 1]);
    return untilAborted(opening, signal).then(
      (client) => ({ client, leave, room }),
      (error) => {
        leave();
        throw error;
      },
    );
  }

  /** A large file begins with the first session, and opens others by itself. */
  #indexFor(size: number, channels: number | undefined): number {
    const { maxChannels, bytesPerLane, isForOneFile } = widthOf(this.#client);
    if (isForOneFile || size > bytesPerLane) return 0;
    // One more than there were so far is enough to look at.
    const length = Math.min(channels ?? maxChannels, this.#bytes.length + 1);
    const bytes = Array.from({ length }, (_, index) => this.#bytes[index] ?? 0);
    const free = bytes.findIndex((count) => count < bytesPerLane);
    return free >= 0 ? free : bytes.indexOf(Math.min(...bytes));
  }

  #roomOf(index: number): Window | undefined {
    if (this.#bytes.length === 1) return undefined;
    this.#rooms[index] ??= new Window({ max: ROOM_BYTES });
    return this.#rooms[index];
  }

  async #opened(opening: Promise<SftpClient | undefined> | undefined): Promise<SftpClient> {
    const client = await withinTime(opening, MAX_WAIT_MS);
    return client === undefined || client.isOver ? this.#client : client;
  }

  #add(index: number, bytes: number): void {
    this.#bytes[index] = (this.#bytes[index] ?? 0) + bytes;
  }
}
