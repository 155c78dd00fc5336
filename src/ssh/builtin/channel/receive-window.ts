/** What a server may send on a channel before we have read it (RFC 4254, section 5.2), counted and enforced. */
import { INITIAL_WINDOW } from '../ssh2-internals.js';

/**
 * What the server may send before we have read it. A channel carries no more in one round trip, and this fills
 * a line of 50 ms at 600 MB/s; how much is on the way is decided by what is asked for.
 */
export const RECEIVE_WINDOW = 32 * 1024 * 1024;
/** Announced anew in steps of this: each is a packet of its own, and wakes the server. */
const WINDOW_STEP = 2 * 1024 * 1024;

export class ReceiveWindow {
  /** What the server may still send. */
  #left = INITIAL_WINDOW;
  /** A reader that is behind keeps the window from growing. */
  readonly #full = new Set<'stdout' | 'stderr'>();
  readonly #announce: (bytes: number) => void;
  readonly #isOpen: () => boolean;

  /** `announce` tells the server; it is not called once `isOpen` says no. */
  constructor(announce: (bytes: number) => void, isOpen: () => boolean) {
    this.#announce = announce;
    this.#isOpen = isOpen;
  }

  /** Counts what came; `false`: as much again beyond what was allowed. */
  count(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= -RECEIVE_WINDOW;
  }

  /** `hasRoom`: would the reader take more? */
  setRoom(reader: 'stdout' | 'stderr', hasRoom: boolean): void {
    if (hasRoom) this.#full.delete(reader);
    else this.#full.add(reader);
  }

  /** Allows the server to send more, if it is worth a packet; `unread` bytes lie here already. */
  grow(unread: number): void {
    const bytes = RECEIVE_WINDOW - this.#left - unread;
    if (bytes < WINDOW_STEP || this.#full.size > 0 || !this.#isOpen()) {
      return;
    }
    this.#left += bytes;
    this.#announce(bytes);
  }
}
