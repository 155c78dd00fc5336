/**
 * What a connection stands on: SSH, and a session over it. Reconnecting is done here, and nobody above has to know: the
 * client that everything uses stays the same. Only open handles do not outlive their session.
 */
import { ConnectionLostError } from '../../errors.js';
import { Lanes } from '../../session/lanes.js';
import { asLoss, type Session } from '../../session/session.js';
import { type SessionSource, SftpClient } from '../../session/sftp-client.js';
import { FirstOf, untilAborted } from '../../shared/abort.js';
import { type ComingAttempt, type RetryPolicy, tryRepeatedly } from '../../shared/retry.js';
import type { SshConnection } from '../../ssh/ssh-connection.js';
import type { SpeedOptions } from '../../transfer/engine/speed.js';
import { FurtherConnections } from './further-connections.js';
import type { EstablishedLine } from './line.js';

/** Writes a line into the log of the connection. */
export type WriteLog = (level: 'info' | 'warn' | 'error', line: string) => void;

/** What is about to be tried: see `onReconnecting`. */
export interface Reconnecting {
  /** How many attempts in a row this is; the first is 1. */
  readonly attempt: number;
  /** Milliseconds until it is made. */
  readonly delay: number;
  /** Why: the loss of the connection, or the failure of the attempt before. */
  readonly error: Error;
}

export interface LinkEvents {
  readonly onReconnecting?: ((coming: Reconnecting) => void) | undefined;
  readonly onReconnected?: (() => void) | undefined;
}

export interface LinkOptions extends LinkEvents {
  /** Connects once more, to the server with the same host key. */
  readonly dial?: ((signal: AbortSignal) => Promise<EstablishedLine>) | undefined;
  /** Connects once more, beside the first connection; left out: there is only that. */
  readonly dialFurther?: ((signal: AbortSignal) => Promise<EstablishedLine>) | undefined;
  /** Whether a call after a loss makes the connection again, and how; transfers may have a policy of their own. */
  readonly retry?: RetryPolicy | undefined;
  /** What transfers keep to, unless they say otherwise. */
  readonly speed?: SpeedOptions | undefined;
  readonly log?: WriteLog | undefined;
  /** Called once it is over for good. */
  readonly onClose?: (() => void) | undefined;
}

export class Link implements SessionSource {
  /** The same for as long as the link lives. */
  readonly client: SftpClient;
  readonly lanes: Lanes;
  /** {@link reconnect} with the policy of the connection. */
  readonly restore: SessionSource['restore'];
  /** Further connections, where there may be such. */
  readonly further: FurtherConnections | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly speed: SpeedOptions;
  readonly #dial: LinkOptions['dial'];
  readonly #abort = new AbortController();
  #line: EstablishedLine;
  #reconnecting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #closeReason: ConnectionLostError | undefined;

  readonly log: WriteLog;
  readonly #events: LinkEvents;
  readonly #onClose: () => void;

  constructor(line: EstablishedLine, options: LinkOptions = {}) {
    const { dial, dialFurther, retry, speed = {}, log = () => {}, onClose = () => {} } = options;
    this.log = log;
    this.#events = options;
    this.#line = line;
    this.#dial = dial;
    this.retry = retry;
    this.speed = speed;
    this.#onClose = onClose;
    this.restore = retry && ((signal) => this.reconnect(retry, signal));
    this.client = new SftpClient(this);
    this.lanes = new Lanes(async () => new SftpClient({ session: await this.#line.openSession() }));
    this.further =
      dialFurther &&
      new FurtherConnections({
        dial: dialFurther,
        closed: this.closed,
        timeoutMs: () => this.session.timeoutMs,
      });
  }

  get ssh(): SshConnection {
    return this.#line.ssh;
  }

  get session(): Session {
    return this.#line.session;
  }

  /** Aborts when it is closed, with the reason. */
  get closed(): AbortSignal {
    return this.#abort.signal;
  }

  /** Aborts when no call will be answered any more: with the session, unless another one may follow. */
  get over(): AbortSignal {
    return this.retry === undefined ? this.session.ended : this.closed;
  }

  /**
   * Runs what may wait for something else than the server, as the caller's source: `signal` aborts with `given`, and
   * with the reason of the session's end.
   */
  async during<T>(given: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    await this.reconnect(this.retry, given);
    using first = new FirstOf(given, this.session.ended);
    return await work(first.signal);
  }

  /** As {@link during}, for work that goes on after a reconnect by itself: with `retry` only the end of all ends it. */
  async lasting<T>(given: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.retry === undefined) return this.during(given, work);
    await this.reconnect(this.retry, given);
    using first = new FirstOf(given, this.closed);
    return await work(first.signal);
  }

  /** Whether a call would be answered without a reconnect. */
  get isConnected(): boolean {
    return this.#closeReason === undefined && this.session.endReason === undefined;
  }

  /** Why it was closed, once it was. */
  get closeReason(): ConnectionLostError | undefined {
    return this.#closeReason;
  }

  /**
   * Opens a new session where the last one has ended, over the same connection if that still works and over a new one
   * otherwise; does nothing while the session lives. Callers during an attempt wait for that attempt.
   *
   * @throws ConnectionError and what else connecting may reject with, after the last attempt.
   */
  async reconnect(policy: RetryPolicy | undefined, signal?: AbortSignal): Promise<void> {
    if (this.#closeReason !== undefined) throw this.#closeReason;
    if (this.#dial === undefined || policy === undefined || this.session.endReason === undefined) return;
    this.#reconnecting ??= this.#redial(this.#dial, policy).finally(() => {
      this.#reconnecting = undefined;
    });
    await untilAborted(this.#reconnecting, signal);
  }

  async #redial(dial: NonNullable<LinkOptions['dial']>, policy: RetryPolicy): Promise<void> {
    const old = this.#line;
    const { signal } = this.#abort;
    const attempt = async () => {
      const again = await openAgain(old, signal);
      // There was an SFTP server: one that ends at once now may be there again later.
      return again ?? dial(signal).catch((error) => Promise.reject(asLoss(error)));
    };
    const lost = asError(old.session.endReason);
    const onRetry = (coming: ComingAttempt) => {
      const { delay } = coming;
      const error = asError(coming.error);
      this.log(
        'warn',
        `reconnecting in ${delay} ms, attempt ${coming.attempt} of ${policy.attempts}: ${error.message}`,
      );
      this.#tell(() => this.#events.onReconnecting?.({ ...coming, error }));
    };
    const line = await tryRepeatedly(attempt, { policy, signal, lost, onRetry }).catch((error) => {
      if (!signal.aborted) this.log('error', `reconnecting failed: ${asError(error).message}`);
      throw error;
    });
    if (signal.aborted) {
      line.ssh.destroy(signal.reason);
      throw signal.reason;
    }
    line.session.timeoutMs = old.session.timeoutMs;
    this.#line = line;
    if (line.ssh !== old.ssh) this.lanes.reset();
    this.log('info', 'reconnected');
    this.#tell(() => this.#events.onReconnected?.());
  }

  /** What a listener throws is no failure of the connection. */
  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.log('warn', `a listener for reconnecting has thrown: ${asError(error).message}`);
    }
  }

  /** Ends it for good. Never rejects, and may be called again; the first reason holds. */
  close(
    reason = new ConnectionLostError('The connection was closed by close()', { code: 'CLOSED' }),
  ): Promise<void> {
    this.#closeReason ??= reason;
    this.#abort.abort(this.#closeReason);
    this.session.destroy(this.#closeReason);
    this.#closing ??= this.ssh.close().finally(this.#onClose);
    return this.#closing;
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error
    ? reason
    : new ConnectionLostError('The connection was lost', { cause: reason });
}

/** A new session over the same connection; `undefined` where that does not work, and the connection is ended. */
async function openAgain(line: EstablishedLine, signal: AbortSignal): Promise<EstablishedLine | undefined> {
  const reason = line.session.endReason ?? new ConnectionLostError('The connection was lost');
  // A server that was silent for too long is silent on every channel.
  const mayWork = !(reason instanceof ConnectionLostError && reason.code === 'ETIMEDOUT');
  const session = mayWork ? await line.openSession(signal).catch(() => undefined) : undefined;
  if (session === undefined) line.ssh.destroy(reason);
  return session && { ...line, session };
}
