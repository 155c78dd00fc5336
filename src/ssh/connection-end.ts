/**
 * The end of a connection, whichever way it comes: one reason, the first, for all channels and for everybody who waits
 * for one to open.
 */
import type { Duplex } from 'node:stream';
import { ConnectionLostError, SshError } from '../errors.js';
import type { Redaction } from '../shared/redaction.js';
import { timerDelay } from '../shared/timer-delay.js';
import type { ChannelOptions, ConnectionFacts } from './ssh-connection.js';

/** Where the connection says nothing else. */
const CHANNEL_OPEN_TIMEOUT_MS = 20_000;

/** Given to who opens a channel: the first call counts. */
export interface ChannelOpening<C> {
  done(channel: C): void;
  fail(reason: unknown): void;
  /** Has its caller given up? */
  isGivenUp(): boolean;
}

type EndFacts = Pick<ConnectionFacts, 'host' | 'port' | 'secrets' | 'connectTimeoutMs'>;

export class ConnectionEnd<C extends Duplex> {
  readonly #where: string;
  readonly #lastWords: () => string;
  readonly #secrets: Redaction | undefined;
  readonly #timeoutMs: number;
  readonly #channels = new Set<C>();
  /** Those who wait for a channel to open. */
  readonly #waiting = new Set<(reason: Error) => void>();
  #hasBegun = false;
  #reason: Error | undefined;

  /** `lastWords` is asked for once, when the connection ends by itself. */
  constructor(
    { host, port, secrets, connectTimeoutMs = CHANNEL_OPEN_TIMEOUT_MS }: EndFacts,
    lastWords: () => string,
  ) {
    this.#secrets = secrets;
    this.#timeoutMs = connectTimeoutMs;
    this.#where = `the connection to ${host}:${port}`;
    this.#lastWords = lastWords;
  }

  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** `undefined` where it was wished for. */
  get error(): Error | undefined {
    return this.#reason;
  }

  /** The error that later calls get. */
  explain(): Error {
    if (this.#reason !== undefined) return this.#reason;
    if (this.#hasBegun) {
      return new ConnectionLostError(`${this.#where} was closed`, { code: 'CONNECTION_CLOSED' });
    }
    this.#hasBegun = true;
    const words = this.#lastWords();
    this.#reason = new ConnectionLostError(
      `${this.#where} was lost: ${this.#secrets?.apply(words) ?? words}`,
    );
    return this.#reason;
  }

  /** As it was wished for. */
  close(): void {
    this.#hasBegun = true;
    this.rejectAll();
  }

  /** With a reason of our own, unless there is one. */
  destroy(reason: Error): void {
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      this.#reason = reason;
    }
    this.rejectAll();
  }

  rejectAll(): void {
    const reason = this.explain();
    for (const reject of this.#waiting) reject(reason);
    for (const channel of this.#channels) channel.destroy(reason);
  }

  /** Lets a channel end with the connection. */
  add(channel: C): void {
    this.#channels.add(channel);
    channel.once('close', () => this.#channels.delete(channel));
  }

  /** Waits for a channel that `begin` opens: as long as for the connection, unless the signal or the end comes first. */
  async open(
    label: string,
    { signal, timeoutMs = this.#timeoutMs }: ChannelOptions,
    begin: (opening: ChannelOpening<C>) => void,
  ): Promise<C> {
    signal?.throwIfAborted();
    if (this.#hasBegun) throw this.explain();
    return await new Promise((resolve, reject) => {
      let settled = false;
      const settle = (): boolean => {
        const isFirst = !settled;
        settled = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(fail);
        return isFirst;
      };
      const fail = (reason: unknown): void => {
        if (settle()) reject(this.#secrets?.applyTo(reason) ?? reason);
      };
      const done = (channel: C): void => {
        if (settle()) resolve(channel);
      };
      const onAbort = (): void => fail(signal?.reason);
      const timer = setTimeout(() => {
        const text = `The server did not start ${label} within ${Math.ceil(timeoutMs) / 1000} seconds: allow more time with connectTimeout`;
        fail(new SshError('CHANNEL_TIMEOUT', text));
      }, timerDelay(timeoutMs));
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(fail);
      try {
        begin({ done, fail, isGivenUp: () => settled });
      } catch (error) {
        fail(error);
      }
    });
  }
}

/** Why a channel is not there; `words` are the server's. */
export function channelRefused(label: string, words: string, cause?: Error): SshError {
  const advice = label.startsWith('the subsystem') ? '; it may not offer it to this user' : '';
  const said = words === '' ? '' : ` (${words})`;
  return new SshError('CHANNEL_REFUSED', `The server refused ${label}${advice}${said}`, { cause });
}
