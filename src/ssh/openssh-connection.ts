/**
 * An established connection that a process of ssh holds: the first channel is that process's own, further ones are
 * processes that share its connection (ControlMaster). When this program dies, the first channel's input ends, and
 * with it everything.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { type Duplex, Readable } from 'node:stream';
import { ConnectionLostError, SshError } from '../errors.js';
import { printable } from '../printable.js';
import type { SecurityOptions } from './algorithms.js';
import type { ChannelRequest } from './openssh-arguments.js';
import { OpensshChannel } from './openssh-channel.js';
import type { ChannelAnswer, OpensshLog } from './openssh-log.js';
import { killSsh } from './openssh-process.js';
import type {
  ChannelOptions,
  Negotiated,
  RemoteCommand,
  ServerKey,
  SshConnection,
} from './ssh-connection.js';

const CHANNEL_OPEN_TIMEOUT_MS = 10_000;
/** For the log of the process that holds the connection to arrive. */
const ANSWER_WITHIN_MS = 200;
/** For ssh to end by itself, then after being told to, before it is killed. */
const CLOSE_STEPS_MS = [500, 1_000] as const;

export interface OpensshFacts {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly negotiated: Negotiated;
  readonly securityOptions: SecurityOptions;
  readonly remoteServerKey: ServerKey;
}

export interface OpensshProcesses {
  /** The process that holds the connection, and its own channel. */
  readonly main: ChildProcessWithoutNullStreams;
  readonly log: OpensshLog;
  /** What runs on that channel. */
  readonly request: ChannelRequest;
  /** Starts a further channel. */
  readonly start: (request: ChannelRequest) => ChildProcessWithoutNullStreams;
  /** Do further channels share the connection, so that the log of the main process tells about them? */
  readonly shared: boolean;
  /** Called once, after the last process has ended. */
  readonly cleanUp: () => Promise<void>;
}

type Waiting = (outcome: ChannelAnswer | Error) => void;

export class OpensshConnection implements SshConnection {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly negotiated: Negotiated;
  readonly securityOptions: SecurityOptions;
  readonly remoteServerKey: ServerKey;
  readonly closed: Promise<Error | undefined>;
  readonly #processes: OpensshProcesses;
  readonly #channels = new Set<OpensshChannel>();
  readonly #children = new Set<ChildProcessWithoutNullStreams>();
  /** The channel of the main process, until somebody asks for what runs on it. */
  #first: OpensshChannel | undefined;
  /** Channels are opened one after the other, so that it is plain which one an answer in the log is about. */
  #queue: Promise<unknown> = Promise.resolve();
  #waiting: Waiting | undefined;
  #reason: Error | undefined;
  #closing = false;
  #over = false;

  constructor(processes: OpensshProcesses, facts: OpensshFacts) {
    this.#processes = processes;
    this.host = facts.host;
    this.port = facts.port;
    this.username = facts.username;
    this.negotiated = facts.negotiated;
    this.remoteServerKey = facts.remoteServerKey;
    this.securityOptions = facts.securityOptions;
    const { main, log } = processes;
    this.#first = this.#wrap(main, label(processes.request), true, () => log.complaints);
    this.closed = new Promise((resolve) => {
      // What it started may hold on to its output, so that `close` would not come.
      main.once('exit', () => {
        this.#over = true;
        this.#rejectAll(this.#endReason());
        void this.#finish().then(() => resolve(this.#reason));
      });
    });
  }

  /** What the log of the main process tells about the channel that is being opened. */
  onAnswer(answer: ChannelAnswer): void {
    this.#waiting?.(answer);
  }

  async openSubsystem(name: string, options: ChannelOptions = {}): Promise<Duplex> {
    return await this.#openStream({ type: 'subsystem', name }, options);
  }

  async openCommand(command: string, options: ChannelOptions = {}): Promise<Duplex> {
    return await this.#openStream({ type: 'exec', command }, options);
  }

  async #openStream(request: ChannelRequest, options: ChannelOptions): Promise<Duplex> {
    const first = this.#first;
    if (first !== undefined && isSame(request, this.#processes.request)) {
      options.signal?.throwIfAborted();
      this.#throwIfOver();
      this.#first = undefined;
      return first;
    }
    return await this.#open(request, true, options);
  }

  async startCommand(command: string, options: ChannelOptions = {}): Promise<RemoteCommand> {
    const channel = await this.#open({ type: 'exec', command }, false, options);
    const exit = channel.exit.then((ended) => {
      if (this.#over || this.#reason !== undefined) throw this.#endReason();
      return ended;
    });
    exit.catch(() => {});
    const stderr = channel.stderr ?? Readable.from([]);
    return { stdin: channel, stdout: channel, stderr, exit, kill: () => channel.kill() };
  }

  async close(): Promise<void> {
    if (!this.#closing && !this.#over) {
      this.#closing = true;
      this.#rejectAll(this.#endReason());
      this.#processes.main.stdin.end();
      this.#endSoon();
    }
    await this.closed;
  }

  destroy(reason: Error): void {
    if (!this.#closing) {
      this.#closing = true;
      this.#reason = reason;
    }
    this.#rejectAll(this.#endReason());
    this.#kill('SIGKILL');
  }

  /** Asks, then tells, then forces, within two seconds in all. */
  #endSoon(): void {
    const [askMs, tellMs] = CLOSE_STEPS_MS;
    const timers = [
      setTimeout(() => this.#kill('SIGTERM'), askMs),
      setTimeout(() => this.#kill('SIGKILL'), askMs + tellMs),
    ];
    this.#processes.main.once('exit', () => {
      for (const timer of timers) clearTimeout(timer);
    });
  }

  #kill(signal: 'SIGTERM' | 'SIGKILL'): void {
    for (const child of [this.#processes.main, ...this.#children]) killSsh(child, signal);
  }

  /** Whatever still runs has lost its connection. */
  async #finish(): Promise<void> {
    const left = [...this.#children];
    for (const child of left) killSsh(child, 'SIGKILL');
    await Promise.all(left.map((child) => new Promise((resolve) => child.once('exit', resolve))));
    await this.#processes.cleanUp();
  }

  #throwIfOver(): void {
    if (this.#closing || this.#over) throw this.#endReason();
  }

  #endReason(): Error {
    if (this.#reason !== undefined) return this.#reason;
    const where = `the connection to ${this.host}:${this.port}`;
    if (this.#closing) return new ConnectionLostError(`${where} was closed`, { code: 'CONNECTION_CLOSED' });
    const words = printable(this.#processes.log.complaints.slice(-3).join('; '), 300);
    this.#reason = new ConnectionLostError(`${where} was lost: ${words || 'the server ended it'}`);
    return this.#reason;
  }

  #rejectAll(reason: Error): void {
    this.#waiting?.(reason);
    for (const channel of this.#channels) channel.destroy(reason);
  }

  #wrap(
    child: ChildProcessWithoutNullStreams,
    name: string,
    endIsError: boolean,
    complaints?: () => readonly string[],
  ): OpensshChannel {
    const channel = new OpensshChannel(child, {
      label: name,
      endIsError,
      ...(complaints !== undefined && { complaints }),
      explainEnd: () => (this.#closing || this.#over ? this.#endReason() : undefined),
    });
    this.#channels.add(channel);
    channel.once('close', () => this.#channels.delete(channel));
    return channel;
  }

  async #open(
    request: ChannelRequest,
    endIsError: boolean,
    { signal }: ChannelOptions,
  ): Promise<OpensshChannel> {
    signal?.throwIfAborted();
    const turn = this.#queue.then(() => this.#openNow(request, endIsError, signal));
    this.#queue = turn.catch(() => {});
    return await turn;
  }

  async #openNow(
    request: ChannelRequest,
    endIsError: boolean,
    signal: AbortSignal | undefined,
  ): Promise<OpensshChannel> {
    signal?.throwIfAborted();
    this.#throwIfOver();
    const child = this.#processes.start(request);
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    const channel = this.#wrap(child, label(request), endIsError);
    try {
      await this.#untilOpen(child, request, signal, () => channel.words);
      return channel;
    } catch (error) {
      killSsh(child, 'SIGKILL');
      channel.destroy();
      throw error;
    }
  }

  /** Without a shared connection there is no log to wait for: then the channel is as good as open. */
  async #untilOpen(
    child: ChildProcessWithoutNullStreams,
    request: ChannelRequest,
    signal: AbortSignal | undefined,
    said: () => string,
  ): Promise<void> {
    const name = label(request);
    const refusal = (): SshError => {
      const words = printable(said().trim(), 300);
      return new SshError(
        'CHANNEL_REFUSED',
        `the server refused ${name}${words === '' ? '' : ` (${words})`}`,
      );
    };
    await new Promise<void>((resolve, reject) => {
      let settled = false;
      const settle = (outcome: ChannelAnswer | Error): void => {
        // What comes later is about a channel that is open, and another may be waiting by now.
        if (settled) return;
        settled = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting = undefined;
        if (outcome === 'accepted') resolve();
        else if (outcome === 'refused') setTimeout(() => reject(refusal()), ANSWER_WITHIN_MS);
        else reject(outcome);
      };
      const onAbort = (): void => settle(signal?.reason);
      const timer = setTimeout(() => {
        const text = `the server did not start ${name} within ${CHANNEL_OPEN_TIMEOUT_MS / 1000} seconds`;
        settle(new SshError('CHANNEL_TIMEOUT', text));
      }, CHANNEL_OPEN_TIMEOUT_MS);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting = settle;
      child.once('error', (error) => settle(error));
      // A short command may be over before the log tells that it was accepted, and 255 may be its own status.
      child.once('exit', (code) => {
        if (code !== 255) settle('accepted');
        else setTimeout(() => settle(this.#over ? this.#endReason() : refusal()), ANSWER_WITHIN_MS);
      });
      if (!this.#processes.shared) child.once('spawn', () => settle('accepted'));
    });
  }
}

function label(request: ChannelRequest): string {
  return request.type === 'subsystem'
    ? `the subsystem ${printable(request.name)}`
    : `the command ${printable(request.command, 100)}`;
}

function isSame(one: ChannelRequest, other: ChannelRequest): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
