/** What a pool knows of one host and port: its connections, who waits for one, and when the next may be opened. */
import type { Connection } from '../connection.js';
import type { Deferred } from '../shared/promises.js';
import type { Permit, PoolSettings } from './pool-options.js';
import type { ServerDescription } from './server-description.js';

const MINUTE_MS = 60_000;
/** So long a server is believed that has refused a connection while others to it were open. */
const LEARNT_MS = 5 * MINUTE_MS;

/** One connection of a pool. */
export interface Pooled {
  readonly connection: Connection;
  readonly server: ServerDescription;
  /** Same user, host, port and secret. */
  readonly key: string;
  readonly permit: Permit | undefined;
  /** The current directory at the beginning. */
  readonly directory: string | null;
  idleSinceMs: number;
  /** It was in use a moment ago. */
  isProven: boolean;
}

/** Somebody who waits for a lease. */
export interface Waiter extends Deferred<Pooled> {
  readonly server: ServerDescription;
  readonly key: string;
  readonly sinceMs: number;
  failures: number;
  /** A connection is being opened on his behalf. */
  isServed: boolean;
  /** He does not want one any more. */
  isOver: boolean;
}

export class PoolServer {
  readonly name: string;
  readonly leased = new Set<Pooled>();
  /** The one that was used last is last. */
  readonly idle: Pooled[] = [];
  readonly waiters: Waiter[] = [];
  opening = 0;
  closing = 0;
  timer: NodeJS.Timeout | undefined;
  readonly #settings: PoolSettings;
  readonly #connectsMs: number[] = [];
  #failures = 0;
  #pauseUntilMs = 0;
  #learnt: { readonly max: number; readonly untilMs: number } | undefined;
  #max: number;
  #perMinute: number;

  constructor(name: string, settings: PoolSettings) {
    this.name = name;
    this.#settings = settings;
    this.#max = settings.maxPerServer;
    this.#perMinute = settings.connectsPerMinute;
  }

  /** Connections that the server sees. */
  get count(): number {
    return this.leased.size + this.idle.length + this.opening + this.closing;
  }

  get isUnused(): boolean {
    return this.count === 0 && this.waiters.length === 0;
  }

  /** It was connected to in the last minute, or is left alone for a while. */
  get hasHistory(): boolean {
    const nowMs = now();
    return (
      (this.#connectsMs.at(-1) ?? Number.NEGATIVE_INFINITY) > nowMs - MINUTE_MS || this.#pauseUntilMs > nowMs
    );
  }

  /** A description may be stricter than the pool. */
  limit({ maxConnections, connectsPerMinute }: ServerDescription): void {
    this.#max = Math.min(this.#max, maxConnections ?? this.#max);
    this.#perMinute = Math.min(this.#perMinute, connectsPerMinute ?? this.#perMinute);
  }

  get hasRoom(): boolean {
    const learnt = this.#learnt !== undefined && this.#learnt.untilMs > now() ? this.#learnt.max : this.#max;
    return this.count < Math.min(this.#max, learnt);
  }

  get mayConnectMore(): boolean {
    return this.opening < this.#settings.maxConnecting;
  }

  /** Milliseconds until the next connection may be opened; 0: now. */
  get pauseMs(): number {
    const nowMs = now();
    while ((this.#connectsMs[0] ?? nowMs) <= nowMs - MINUTE_MS) this.#connectsMs.shift();
    const oldest = this.#connectsMs[this.#connectsMs.length - this.#perMinute];
    const untilMs = Math.max(this.#pauseUntilMs, oldest === undefined ? 0 : oldest + MINUTE_MS + 1);
    return Math.max(0, untilMs - nowMs);
  }

  noteConnect(): void {
    this.#connectsMs.push(now());
  }

  noteSuccess(): void {
    this.#failures = 0;
    this.#pauseUntilMs = 0;
  }

  /** The next connection waits; where others are open, the server may not allow more. */
  noteFailure(): void {
    const { backoff, maxBackoff } = this.#settings;
    this.#failures += 1;
    const pauseMs = Math.min(maxBackoff, backoff * 2 ** (this.#failures - 1));
    this.#pauseUntilMs = now() + pauseMs * (0.75 + 0.5 * Math.random());
    const open = this.leased.size + this.idle.length;
    if (open > 0) this.#learnt = { max: open, untilMs: now() + LEARNT_MS };
  }
}

export function now(): number {
  return performance.now();
}
