/**
 * What a connection stands on: SSH, and a session over it. Where it is lost and may be made again, this is done
 * here, and nobody above has to know: the client that everything uses stays the same. Only open handles do not
 * outlive their session.
 */
import { untilAborted } from '../abort.js';
import { ConnectionLostError } from '../errors.js';
import { isLost, type RetryPolicy, tryRepeatedly } from '../retry.js';
import { Lanes } from '../session/lanes.js';
import type { Session } from '../session/session.js';
import { SftpClient } from '../session/sftp-client.js';
import type { SpeedOptions } from '../speed.js';
import type { SshConnection } from '../ssh/ssh-connection.js';

/** What connecting once gives. */
export interface Line {
  readonly ssh: SshConnection;
  readonly session: Session;
  /** Opens one more session over the same connection. */
  openSession(): Promise<Session>;
}

export interface LinkOptions {
  /** Connects once more, to the server with the same host key. */
  readonly dial?: ((signal: AbortSignal) => Promise<Line>) | undefined;
  /** Whether a call after a loss makes the connection again, and how; transfers may have a policy of their own. */
  readonly retry?: RetryPolicy | undefined;
  /** What transfers keep to, unless they say otherwise. */
  readonly speed?: SpeedOptions | undefined;
  /** Called once it is over for good. */
  readonly onClose?: (() => void) | undefined;
}

export class Link {
  /** The same for as long as the link lives. */
  readonly client: SftpClient;
  readonly lanes: Lanes;
  readonly retry: RetryPolicy | undefined;
  readonly speed: SpeedOptions;
  readonly #dial: LinkOptions['dial'];
  readonly #abort = new AbortController();
  #line: Line;
  #restoring: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #closeReason: ConnectionLostError | undefined;

  readonly #onClose: () => void;

  constructor(line: Line, { dial, retry, speed = {}, onClose = () => {} }: LinkOptions = {}) {
    this.#line = line;
    this.#dial = dial;
    this.retry = retry;
    this.speed = speed;
    this.#onClose = onClose;
    const restore = (signal?: AbortSignal) => this.restore(retry, signal);
    this.client = new SftpClient(line.session, retry === undefined ? undefined : restore);
    this.lanes = new Lanes(async () => new SftpClient(await this.#line.openSession()));
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

  /** Why it was closed, once it was. */
  get closeReason(): ConnectionLostError | undefined {
    return this.#closeReason;
  }

  /**
   * Makes the connection again where it was lost; does nothing while it lives, and when it is over for good.
   * Whoever asks meanwhile waits for the same attempt.
   *
   * @throws ConnectionError and what else connecting may reject with, after the last attempt.
   */
  async restore(policy: RetryPolicy | undefined, signal?: AbortSignal): Promise<void> {
    if (this.#closeReason !== undefined) throw this.#closeReason;
    if (this.#dial === undefined || policy === undefined || !isLost(this.session.endReason)) return;
    this.#restoring ??= this.#redial(this.#dial, policy).finally(() => {
      this.#restoring = undefined;
    });
    await untilAborted(this.#restoring, signal);
  }

  async #redial(dial: NonNullable<LinkOptions['dial']>, policy: RetryPolicy): Promise<void> {
    const { session, ssh } = this.#line;
    ssh.destroy(session.endReason ?? new ConnectionLostError('The connection was lost'));
    const { signal } = this.#abort;
    const line = await tryRepeatedly(() => dial(signal), { policy, signal, pausesFirst: true });
    if (signal.aborted) {
      line.ssh.destroy(signal.reason);
      throw signal.reason;
    }
    line.session.timeoutMs = session.timeoutMs;
    this.#line = line;
    this.client.adopt(line.session);
    this.lanes.reset();
  }

  /** Ends it for good. Never rejects, and may be called again. */
  close(): Promise<void> {
    this.#closeReason ??= new ConnectionLostError('The connection was closed by close()', { code: 'CLOSED' });
    this.#abort.abort(this.#closeReason);
    this.session.destroy(this.#closeReason);
    this.#closing ??= this.ssh.close().finally(this.#onClose);
    return this.#closing;
  }
}
