/**
 * Further connections to the server of a connection, for transfers that are worth them, closed when nobody has used them for
 * a while. A server counts those that have not logged in yet (`MaxStartups` of sshd_config(5), 10 unless it is told
 * otherwise): four log in at once, and one after the other where one is refused.
 */
import { ConnectionLostError } from '../../errors.js';
import { SftpClient } from '../../session/sftp-client.js';
import type { Spread } from '../../session/spread.js';
import { onAbort, untilAborted } from '../../shared/abort.js';
import { mayReconnect, pause } from '../../shared/retry.js';
import { MAX_CONNECTIONS } from '../../transfer/engine/speed.js';
import type { EstablishedLine } from './line.js';

/** Somebody may begin another transfer. */
const IDLE_MS = 10_000;
/** How often in a row one may fail to open, or be lost, until there is no other in this transfer … */
const MAX_FAILURES = 3;
/** … and after which pause it is tried again; each is twice as long as the one before. */
const PAUSE_MS = 500;
/** How long a connection is measured before it is said to bring nothing, in milliseconds and in round trips. */
const MEASURED_MS = 1_000;
const MEASURED_ROUND_TRIPS = 10;
/** Also where the round trip is not known yet. */
const MAX_MEASURED_MS = 5_000;
/** The most that log in at once. */
const MAX_AT_ONCE = 4;
/** Another one is opened as long as each makes it so much faster. */
const WORTHWHILE = 1.25;

export interface FurtherConnectionsOptions {
  /** Connects once more, to the server with the same host key. */
  readonly dial: (signal: AbortSignal) => Promise<EstablishedLine>;
  /** Aborts when the connection is closed for good. */
  readonly closed: AbortSignal;
  /** What the sessions keep to. */
  readonly timeoutMs: () => number | null;
}

/** The connections of all transfers together. */
export class FurtherConnections {
  readonly #options: FurtherConnectionsOptions;
  #lines: { readonly line: EstablishedLine; readonly client: SftpClient }[] = [];
  readonly #opening = new Set<Promise<void>>();
  #users = 0;
  #idling: NodeJS.Timeout | undefined;

  constructor(options: FurtherConnectionsOptions) {
    this.#options = options;
    onAbort(options.closed, () => this.#closeAll(options.closed.reason));
  }

  /** Those that work. */
  get clients(): readonly SftpClient[] {
    return this.#lines.map(({ client }) => client);
  }

  get count(): number {
    return this.#lines.length;
  }

  /** Until the result is called, and a while longer, none is closed. */
  use(): () => void {
    clearTimeout(this.#idling);
    this.#users += 1;
    let isInUse = true;
    return () => {
      if (!isInUse) return;
      isInUse = false;
      this.#users -= 1;
      if (this.#users === 0) this.#closeWhenIdle();
    };
  }

  /** How many are open or being opened. */
  get expected(): number {
    return this.#lines.length + this.#opening.size;
  }

  /** Opens one more, or waits for one where so many are being opened. Rejects where that fails. */
  open(atOnce = 1): Promise<void> {
    if (this.#opening.size >= atOnce) return Promise.race(this.#opening);
    const opening = this.#openOne().finally(() => this.#opening.delete(opening));
    this.#opening.add(opening);
    return opening;
  }

  async #openOne(): Promise<void> {
    const { dial, closed, timeoutMs } = this.#options;
    closed.throwIfAborted();
    const line = await dial(closed);
    if (closed.aborted) {
      line.ssh.destroy(closed.reason);
      throw closed.reason;
    }
    line.session.timeoutMs = timeoutMs();
    const one = { line, client: new SftpClient(line) };
    this.#lines.push(one);
    const { ended } = line.session;
    onAbort(ended, () => {
      this.#lines = this.#lines.filter((other) => other !== one);
      // Of what has no session any more nobody makes use.
      line.ssh.destroy(ended.reason);
    });
    // The last transfer may have ended meanwhile.
    if (this.#users === 0) this.#closeWhenIdle();
  }

  #closeWhenIdle(): void {
    clearTimeout(this.#idling);
    this.#idling = setTimeout(() => {
      for (const { line } of this.#lines.splice(0)) void line.ssh.close();
    }, IDLE_MS);
    this.#idling.unref();
  }

  #closeAll(reason: Error): void {
    clearTimeout(this.#idling);
    for (const { line } of this.#lines.splice(0)) {
      line.session.destroy(reason);
      void line.ssh.close();
    }
  }
}

export interface CallSpreadOptions {
  readonly connections: FurtherConnections;
  /** How many there are to be, the first among them. */
  readonly wanted: number | 'auto';
  readonly roundTripMs: () => number;
}

/** The share of one transfer in the further connections. */
export class CallSpread implements Spread {
  readonly #options: CallSpreadOptions;
  readonly width: number;
  /** How many of them it makes use of. */
  #most: number;

  constructor(options: CallSpreadOptions) {
    const { wanted } = options;
    this.#options = options;
    this.width = wanted === 'auto' ? MAX_CONNECTIONS : wanted;
    this.#most = this.width - 1;
  }

  get clients(): readonly SftpClient[] {
    return this.#options.connections.clients.slice(0, this.#most);
  }

  /**
   * Opens them while `work` is running; the work begins at once, with those that there are.
   *
   * @param moved how many bytes have come through so far, over all connections
   */
  async during<T>(
    { signal, moved }: { readonly signal?: AbortSignal | undefined; readonly moved: () => number },
    work: () => Promise<T>,
  ): Promise<T> {
    const leave = this.#options.connections.use();
    const ended = new AbortController();
    const callOff = onAbort(signal, () => ended.abort());
    const opening = this.#open(ended.signal, moved).catch(() => {});
    try {
      return await work();
    } finally {
      callOff();
      ended.abort();
      await opening;
      leave();
    }
  }

  #open(signal: AbortSignal, moved: () => number): Promise<void> {
    return this.#options.wanted === 'auto' ? this.#openWorthwhile(signal, moved) : this.#openAll(signal);
  }

  /** Also in place of those that are lost. */
  async #openAll(signal: AbortSignal): Promise<void> {
    const { connections } = this.#options;
    const opening = new Set<Promise<void>>();
    let atOnce = MAX_AT_ONCE;
    let failures = 0;
    let refusals = 0;
    const open = async () => {
      const before = refusals;
      const isOpen = await this.#openOne(signal, atOnce);
      if (isOpen) failures = 0;
      // Of those that log in at the same time, one tells for all.
      if (before !== refusals) return;
      // One more with each that is let in.
      atOnce = isOpen ? Math.min(MAX_AT_ONCE, atOnce + 1) : 1;
      if (isOpen) return;
      failures += 1;
      refusals += 1;
    };
    while (failures < MAX_FAILURES) {
      const missing = this.#most - connections.expected;
      if (missing > 0 && opening.size < atOnce) {
        const one = open().finally(() => opening.delete(one));
        opening.add(one);
      } else if (opening.size === 0) await pause(PAUSE_MS, signal);
      else {
        const before = refusals;
        await Promise.race(opening);
        if (refusals > before) await pause(PAUSE_MS * 2 ** failures, signal);
      }
    }
  }

  /** One after the other, as long as the last one has made it faster. */
  async #openWorthwhile(signal: AbortSignal, moved: () => number): Promise<void> {
    const { connections } = this.#options;
    this.#most = 0;
    for (let before = await this.#rate(signal, moved); this.#most < this.width - 1; ) {
      this.#most += 1;
      if (connections.count < this.#most && !(await this.#openOne(signal))) return;
      // TCP has to find out first how much it can send.
      await this.#rate(signal, moved);
      const rate = await this.#rate(signal, moved);
      if (rate < WORTHWHILE * before) {
        this.#most -= 1;
        return;
      }
      before = rate;
    }
  }

  /** Bytes per millisecond in the next while. */
  async #rate(signal: AbortSignal, moved: () => number): Promise<number> {
    const { roundTripMs } = this.#options;
    const [bytes, startedAt] = [moved(), performance.now()];
    const wantedMs = Math.max(MEASURED_MS, MEASURED_ROUND_TRIPS * roundTripMs());
    await pause(Math.min(wantedMs, MAX_MEASURED_MS), signal);
    return (moved() - bytes) / (performance.now() - startedAt);
  }

  /** False where there is none, and will be none soon. */
  async #openOne(signal: AbortSignal, atOnce = 1): Promise<boolean> {
    try {
      await untilAborted(this.#options.connections.open(atOnce), signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      // Who has been told no, or was shown another host key, does not ask again.
      if (!mayReconnect(error) && !(error instanceof ConnectionLostError)) throw error;
      return false;
    }
  }
}
