/**
 * What waits to be sent on a channel. It takes all that comes in one tick and sends it at its end, so that small
 * writes share a packet; it holds back while the server's window is used up, while TCP does not accept more, and
 * while keys are exchanged, for then ssh2 would keep it all without a limit.
 */
import type { Duplex } from 'node:stream';
import type { RawChannel } from '../ssh2-internals.js';
import { PacketQueue } from './packet-queue.js';

/** Taken before the writer has to wait. */
const MAXIMUM_QUEUED = 1024 * 1024;
/** Handed to TCP and not yet accepted by it. */
const MAXIMUM_UNSENT = 1024 * 1024;

export type WriteCallback = (error?: Error | null) => void;

export interface SendQueueSettings {
  readonly socket: Duplex;
  /** Are keys being exchanged? */
  readonly isHeldBack: () => boolean;
  /** Calls once that is over. */
  readonly onceReleased: (resume: () => void) => void;
}

export class SendQueue {
  readonly #raw: RawChannel;
  readonly #settings: SendQueueSettings;
  readonly #queue: PacketQueue;
  #scheduled = false;
  #waits = false;
  #over = false;
  /** Of the writer that has to wait. */
  #held: WriteCallback | undefined;

  constructor(raw: RawChannel, settings: SendQueueSettings) {
    this.#raw = raw;
    this.#settings = settings;
    this.#queue = new PacketQueue(Math.max(raw.outgoing.packetSize, 1));
  }

  /** Takes bytes; `callback` comes when there is room for more. */
  push(chunks: readonly Buffer[], callback: WriteCallback): void {
    for (const chunk of chunks) {
      this.#queue.push(chunk);
    }
    if (!this.#scheduled) {
      this.#scheduled = true;
      process.nextTick(() => {
        this.#scheduled = false;
        this.#pump();
      });
    }
    if (this.#queue.bytes < MAXIMUM_QUEUED) {
      callback();
    } else {
      this.#held = callback;
    }
  }

  /** Calls back when all is handed over. */
  flush(callback: WriteCallback): void {
    if (this.#over) {
      callback();
      return;
    }
    this.#held = callback;
    this.#pump();
  }

  /** Drops what is left, and tells the writer that waits. */
  end(error?: Error): void {
    this.#over = true;
    this.#queue.clear();
    this.#settings.socket.off('drain', this.#resume);
    this.#release(error);
  }

  #pump(): void {
    const { socket } = this.#settings;
    if (this.#waits || this.#over || socket.destroyed) {
      return;
    }
    socket.cork();
    while (!this.#waits && this.#queue.bytes > 0) {
      this.#sendPiece();
    }
    socket.uncork();
    if (!this.#waits) {
      this.#release();
    }
  }

  #sendPiece(): void {
    const { socket, isHeldBack, onceReleased } = this.#settings;
    if (isHeldBack()) {
      this.#waits = true;
      onceReleased(this.#resume);
      return;
    }
    if (socket.writableLength > MAXIMUM_UNSENT) {
      this.#waits = true;
      socket.once('drain', this.#resume);
      return;
    }
    const piece = this.#queue.take();
    if (piece === undefined) {
      return;
    }
    if (piece.length <= this.#raw.outgoing.window) {
      this.#raw.write(piece);
    } else {
      this.#waits = true;
      this.#raw.write(piece, this.#resume);
    }
  }

  readonly #resume = (): void => {
    this.#waits = false;
    this.#pump();
  };

  #release(error?: Error): void {
    const callback = this.#held;
    this.#held = undefined;
    callback?.(error);
  }
}
