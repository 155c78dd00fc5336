/** Connections to many servers, kept open for the next job, and never more than each server bears. */
import { connect } from '../connect/connect.js';
import { type Connection, partsOf } from '../connection.js';
import { isTransient } from '../errors/outlook.js';
import { AuthenticationError, ConnectionLostError, SftpError } from '../errors.js';
import { onAbort, withinTime } from '../shared/abort.js';
import { CALL_OPTIONS, type CallOptions, checkOptions } from '../shared/option-checks.js';
import { deferred, PendingPromises } from '../shared/promises.js';
import { pause } from '../shared/retry.js';
import { tellPool } from './events.js';
import { type ConnectionPoolOptions, type PoolSettings, poolSettings } from './pool-options.js';
import { now, type Pooled, PoolServer, type Waiter } from './pool-server.js';
import { parseServer, type ServerDescription } from './server-description.js';

/** A connection that belongs to one job until it is released: at the end of the block with `await using`. */
export interface Lease extends AsyncDisposable {
  readonly connection: Connection;
  /** Gives the connection back. Does nothing the second time. */
  release(): Promise<void>;
  /** Closes the connection, so that nobody else gets it. */
  discard(): Promise<void>;
}

/** Figures of a pool. */
export interface PoolMetrics {
  readonly leased: number;
  readonly idle: number;
  readonly opening: number;
  readonly waiting: number;
  /** Since the pool was made. */
  readonly opened: number;
  readonly failed: number;
  /** How many leases were granted. */
  readonly leases: number;
  readonly closed: number;
  /** By host and port. */
  readonly servers: Readonly<
    Record<
      string,
      Pick<PoolMetrics, 'leased' | 'idle' | 'opening' | 'waiting'> & { readonly pauseMs: number }
    >
  >;
}

/** One that was idle is asked before it is handed out, and has so long to answer. */
const PROBE_MS = 5_000;
const CLOSE_MS = 5_000;

/**
 * A pool of connections, for workers that handle jobs of many servers. A connection is used by one lease at a time, and
 * kept for the next one with the same user, host, port and secret. Leases of one server are granted in the order of asking.
 *
 * No more connections than `maxPerServer` are open to a host and port, idle ones included, and no more than
 * `connectsPerMinute` are tried. After a failure of the network the server is left alone for a while, longer each time. If
 * a server refuses a connection while others to it are open, leases wait for those. A connection that was lost is not handed
 * out: one that was idle is asked first, which costs a round trip.
 *
 * @example
 * await using pool = new ConnectionPool({
 *   resolve: ({ host, port, username, secret }) => ({ host, port, username, password: process.env[`PASSWORD_${secret}`] }),
 *   maxPerServer: 2,
 * });
 * await using lease = await pool.lease({ v: 1, host: 'sftp.example.org', username: 'me', secret: 'partner-a' });
 * await lease.connection.get('/out/data.csv', 'data.csv');
 */
export class ConnectionPool implements AsyncDisposable {
  readonly #settings: PoolSettings;
  readonly #servers = new Map<string, PoolServer>();
  readonly #abort = new AbortController();
  readonly #closing = new PendingPromises();
  readonly #counts = { opened: 0, failed: 0, leases: 0, closed: 0 };

  /** @throws TypeError | RangeError if an option is invalid */
  constructor(options: ConnectionPoolOptions) {
    this.#settings = poolSettings(options);
  }

  /**
   * Waits for a connection to a server.
   *
   * @throws SftpError (`POOL_CLOSED`); whatever `connect` throws, where it does not help to try again or `attempts` are used
   *   up; the reason of the signal
   */
  async lease(given: ServerDescription, options: CallOptions = {}): Promise<Lease> {
    checkOptions(options, CALL_OPTIONS, { of: 'lease' });
    const server = parseServer(given);
    const { signal } = options;
    signal?.throwIfAborted();
    this.#abort.signal.throwIfAborted();
    const entry = this.#serverOf(server);
    const waiter: Waiter = {
      ...{ server, key: keyOf(server), sinceMs: now(), failures: 0, isServed: false, isOver: false },
      ...deferred<Pooled>(),
    };
    entry.waiters.push(waiter);
    const leave = (reason: unknown) => {
      remove(entry.waiters, waiter);
      waiter.isOver = true;
      waiter.reject(reason);
      this.#tidy(entry);
    };
    const callOff = onAbort(signal, leave);
    try {
      this.#serve(entry);
      return this.#leaseOf(entry, await waiter.promise, waiter.sinceMs);
    } finally {
      callOff();
    }
  }

  get metrics(): PoolMetrics {
    const servers = [...this.#servers.values()].map((entry) => {
      const { opening, idle, leased, waiters, pauseMs } = entry;
      const figures = { leased: leased.size, idle: idle.length, opening, waiting: waiters.length };
      return [entry.name, { ...figures, pauseMs: Math.ceil(pauseMs) }] as const;
    });
    const sum = (name: 'leased' | 'idle' | 'opening' | 'waiting') =>
      servers.reduce((total, [, figures]) => total + figures[name], 0);
    return {
      ...{ leased: sum('leased'), idle: sum('idle'), opening: sum('opening'), waiting: sum('waiting') },
      ...this.#counts,
      servers: Object.fromEntries(servers),
    };
  }

  /**
   * Closes all connections. What uses one that is leased rejects with a ConnectionLostError (`LEASE_LOST`); leases that wait
   * reject with `POOL_CLOSED`.
   */
  async close(): Promise<void> {
    const reason = new SftpError('POOL_CLOSED', 'The connection pool was closed');
    this.#abort.abort(reason);
    for (const entry of this.#servers.values()) {
      clearTimeout(entry.timer);
      for (const waiter of entry.waiters.splice(0)) waiter.reject(reason);
      for (const pooled of [...entry.idle, ...entry.leased]) this.#end(entry, pooled, 'the pool was closed');
    }
    while (this.#closing.size > 0) await this.#closing.settled();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #serverOf(server: ServerDescription): PoolServer {
    const name = nameOf(server);
    const known = this.#servers.get(name) ?? new PoolServer(name, this.#settings);
    this.#servers.set(name, known);
    known.limit(server);
    return known;
  }

  get #total(): number {
    return [...this.#servers.values()].reduce((sum, { count }) => sum + count, 0);
  }

  /** Grants what can be granted, and opens what may be opened. */
  #serve(entry: PoolServer): void {
    clearTimeout(entry.timer);
    if (this.#abort.signal.aborted) return;
    for (const waiter of [...entry.waiters]) {
      const found = entry.idle.findLast(({ key }) => key === waiter.key);
      if (found !== undefined) {
        remove(entry.idle, found);
        remove(entry.waiters, waiter);
        entry.leased.add(found);
        void this.#handOut(entry, found, waiter);
      } else if (!waiter.isServed && !this.#open(entry, waiter)) break;
    }
    this.#schedule(entry);
  }

  /** Whether a connection is being opened for it now. */
  #open(entry: PoolServer, waiter: Waiter): boolean {
    const hasRoom = () => entry.hasRoom && this.#total < this.#settings.maxTotal;
    if (!hasRoom()) {
      // One of another user makes room, or the one of any server that was used longest ago.
      const victims = entry.hasRoom ? [...this.#servers.values()].flatMap(({ idle }) => idle) : entry.idle;
      const [oldest] = [...victims].sort((one, other) => one.idleSinceMs - other.idleSinceMs);
      if (oldest !== undefined) this.#end(this.#serverOf(oldest.server), oldest);
      return false;
    }
    if (!entry.mayConnectMore || entry.pauseMs > 0) return false;
    waiter.isServed = true;
    entry.opening += 1;
    void this.#connect(entry, waiter);
    return true;
  }

  async #connect(entry: PoolServer, waiter: Waiter): Promise<void> {
    const { server, key } = waiter;
    const startMs = now();
    const told = { server: entry.name, username: server.username };
    let pooled: Pooled | undefined;
    try {
      pooled = await this.#dial(entry, server, key);
      entry.noteSuccess();
      this.#counts.opened += 1;
      tellPool({ event: 'open', ...told, durationMs: Math.round(now() - startMs) });
    } catch (error) {
      this.#counts.failed += 1;
      const { code, message = String(error) } = (error ?? {}) as { code?: string; message?: string };
      tellPool({ event: 'fail', ...told, durationMs: Math.round(now() - startMs), code, message });
      this.#fail(entry, waiter, error);
    }
    entry.opening -= 1;
    waiter.isServed = false;
    if (pooled !== undefined) this.#add(entry, pooled);
    this.#serve(entry);
    if (pooled !== undefined) pooled.isProven = false;
    this.#tidy(entry);
    this.#serveOthers(entry);
  }

  async #dial(entry: PoolServer, server: ServerDescription, key: string): Promise<Pooled> {
    const { signal } = this.#abort;
    const { acquire, resolve } = this.#settings;
    const permit = await acquire?.(server, { signal });
    try {
      signal.throwIfAborted();
      const options = await resolve(server);
      // Both may have taken their time, and others have connected meanwhile.
      while (entry.pauseMs > 0) await pause(entry.pauseMs, signal);
      entry.noteConnect();
      const connection = await connect({ ...options, signal });
      return {
        connection,
        server,
        key,
        permit,
        directory: connection.getcwd(),
        idleSinceMs: now(),
        isProven: true,
      };
    } catch (error) {
      await release(permit);
      throw error;
    }
  }

  /** A person has to look at what no repetition mends; the network may be better a moment later. */
  #fail(entry: PoolServer, waiter: Waiter, error: unknown): void {
    entry.noteFailure();
    waiter.failures += 1;
    const othersAreOpen = entry.leased.size + entry.idle.length > 0;
    const isKnown = [...entry.leased, ...entry.idle].some(({ key }) => key === waiter.key);
    const mayBeFull =
      (othersAreOpen && isRefusal(error)) || (isKnown && error instanceof AuthenticationError);
    const mayRepeat = isTransient(error) || mayBeFull;
    const isOver = !mayRepeat || (waiter.failures >= this.#settings.attempts && !othersAreOpen);
    if (!isOver || !remove(entry.waiters, waiter)) return;
    waiter.reject(error);
  }

  #add(entry: PoolServer, pooled: Pooled): void {
    if (this.#abort.signal.aborted) {
      this.#end(entry, pooled);
      return;
    }
    entry.idle.push(pooled);
    const end = () => this.#end(entry, pooled);
    const takeAway = () => this.#end(entry, pooled, 'its permit was lost');
    onAbort(pooled.connection.ended, end);
    onAbort(pooled.permit?.lost, takeAway);
    if (pooled.connection.ended.aborted) end();
    if (pooled.permit?.lost?.aborted) takeAway();
  }

  async #handOut(entry: PoolServer, pooled: Pooled, waiter: Waiter): Promise<void> {
    const isGood = pooled.isProven || (await answers(pooled.connection));
    if (this.#abort.signal.aborted) return waiter.reject(this.#abort.signal.reason);
    if (isGood && entry.leased.has(pooled)) {
      if (waiter.isOver) await this.#takeBack(entry, pooled);
      else waiter.resolve(pooled);
      return;
    }
    this.#end(entry, pooled);
    if (!waiter.isOver) entry.waiters.unshift(waiter);
    this.#serve(entry);
  }

  #leaseOf(entry: PoolServer, pooled: Pooled, sinceMs: number): Lease {
    const startMs = now();
    this.#counts.leases += 1;
    const told = { server: entry.name, username: pooled.server.username };
    tellPool({ event: 'lease', ...told, durationMs: Math.round(startMs - sinceMs) });
    let isOver = false;
    const finish = async (isKept: boolean) => {
      if (isOver) return;
      isOver = true;
      tellPool({ event: 'release', ...told, durationMs: Math.round(now() - startMs) });
      if (isKept) await this.#takeBack(entry, pooled);
      else this.#end(entry, pooled);
      if (!isKept) await this.#closing.settled();
    };
    return {
      connection: pooled.connection,
      release: () => finish(true),
      discard: () => finish(false),
      [Symbol.asyncDispose]: () => finish(true),
    };
  }

  async #takeBack(entry: PoolServer, pooled: Pooled): Promise<void> {
    const { connection, directory } = pooled;
    // The next one must not find itself somewhere else.
    const isMoved = connection.getcwd() !== directory;
    const isBack = !isMoved || (directory !== null && (await isFulfilled(connection.chdir(directory))));
    if (!entry.leased.delete(pooled)) return;
    pooled.idleSinceMs = now();
    pooled.isProven = true;
    entry.idle.push(pooled);
    if (!isBack || connection.ended.aborted) this.#end(entry, pooled);
    this.#serve(entry);
    pooled.isProven = false;
    this.#serveOthers(entry);
  }

  /**
   * Takes it out for good, and closes it.
   *
   * @param why the holder of the lease has not asked for that
   */
  #end(entry: PoolServer, pooled: Pooled, why?: string): void {
    const isOurs = entry.leased.delete(pooled) || remove(entry.idle, pooled);
    if (!isOurs) return;
    entry.closing += 1;
    this.#counts.closed += 1;
    tellPool({ event: 'close', server: entry.name, username: pooled.server.username });
    const close = async () => {
      await withinTime(partsOf(pooled.connection).link.close(endReason(pooled.connection, why)), CLOSE_MS);
      await release(pooled.permit);
      entry.closing -= 1;
      this.#serve(entry);
      this.#tidy(entry);
      this.#serveOthers(entry);
    };
    void this.#closing.add(close());
  }

  /** Under the limit of all, room here is room for others. */
  #serveOthers(entry: PoolServer): void {
    for (const other of [...this.#servers.values()]) {
      if (other !== entry && other.waiters.some(({ isServed }) => !isServed)) this.#serve(other);
    }
  }

  /** Looks again when a pause is over, and when a connection has been idle for too long. */
  #schedule(entry: PoolServer): void {
    clearTimeout(entry.timer);
    const { idleTimeout } = this.#settings;
    const [oldest] = entry.idle;
    const times: number[] = [];
    if (entry.waiters.some(({ isServed }) => !isServed) && entry.pauseMs > 0) times.push(entry.pauseMs);
    if (oldest !== undefined) times.push(Math.max(0, oldest.idleSinceMs + idleTimeout - now()));
    if (times.length === 0) return;
    entry.timer = setTimeout(() => this.#wake(entry), Math.min(...times, 2 ** 31 - 1) + 1);
    // What only closes idle connections keeps no program running.
    if (entry.waiters.length === 0) entry.timer.unref();
  }

  #wake(entry: PoolServer): void {
    const { idleTimeout } = this.#settings;
    for (const pooled of [...entry.idle]) {
      if (now() - pooled.idleSinceMs >= idleTimeout) this.#end(entry, pooled);
    }
    this.#serve(entry);
  }

  /** How often it was connected to is remembered for as long as it counts. */
  #tidy(entry: PoolServer): void {
    if (!entry.isUnused || entry.hasHistory || this.#servers.get(entry.name) !== entry) return;
    clearTimeout(entry.timer);
    this.#servers.delete(entry.name);
  }
}

/** What may mean that the server allows no further connection or session. */
function isRefusal(error: unknown): boolean {
  return (
    error instanceof SftpError &&
    ['CHANNEL_REFUSED', 'CHANNEL_CLOSED', 'ECONNRESET', 'NOT_SSH', 'SSH_FAILED'].includes(error.code)
  );
}

/** What later calls over a connection reject with; `undefined`: that it was closed. */
function endReason({ ended }: Connection, why: string | undefined): ConnectionLostError | undefined {
  // A connection that was lost stays so for those who work with it.
  if (ended.reason instanceof ConnectionLostError) return ended.reason;
  if (why === undefined) return undefined;
  return new ConnectionLostError(`The pool closed the connection: ${why}`, { code: 'LEASE_LOST' });
}

async function answers(connection: Connection): Promise<boolean> {
  const asking = isFulfilled(connection.sftpClient.realpath('.'));
  return (await withinTime(asking, PROBE_MS)) === true;
}

function isFulfilled(promise: Promise<unknown>): Promise<boolean> {
  return promise.then(
    () => true,
    () => false,
  );
}

async function release(permit: { release(): void | Promise<void> } | undefined): Promise<void> {
  // The program that holds the limit finds out by itself.
  await Promise.resolve(permit?.release()).catch(() => {});
}

function nameOf({ host, port = 22 }: ServerDescription): string {
  return `${host.toLowerCase()}:${port}`;
}

function keyOf(server: ServerDescription): string {
  const { username, secret, fingerprint } = server;
  return JSON.stringify([username, nameOf(server), secret, fingerprint]);
}

function remove<T>(list: T[], item: T): boolean {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}
