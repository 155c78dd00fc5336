/**
 * An established connection that a process of ssh holds: the first channel is that process's own, further ones are
 * processes that share its connection (ControlMaster). When this program dies, the first channel's input ends, and
 * with it everything.
 */

import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { type Duplex, Readable } from 'node:stream';
import { printable } from '../../shared/printable.js';
import { SerialQueue } from '../../shared/promises.js';
import { ConnectionEnd, channelRefused } from '../connection-end.js';
import { type ChannelRequest, EstablishedConnection, labelOf } from '../established-connection.js';
import type {
  ChannelOptions,
  ConnectionFacts,
  RemoteCommand,
  SshConnection,
  StreamOptions,
} from '../ssh-connection.js';
import type { ChannelAnswer, OpensshLog } from './failures/openssh-log.js';
import { OpensshChannel } from './openssh-channel.js';
import { killSsh } from './openssh-process.js';

/** For the log of the process that holds the connection to arrive. */
const ANSWER_WITHIN_MS = 200;
/**
 * For ssh to end by itself, then after being told to, before it is killed. It waits for the server to close the channel,
 * which some servers never do.
 */
const CLOSE_STEPS_MS = [100, 1_000] as const;

export interface OpensshProcesses {
  /** The process that holds the connection, and its own channel. */
  readonly main: ChildProcessWithoutNullStreams;
  readonly log: OpensshLog;
  /** Reads what the main process has written so far. */
  readonly readLog: () => void;
  /** What runs on that channel. */
  readonly request: ChannelRequest;
  /** Starts a further channel. */
  readonly start: (request: ChannelRequest) => ChildProcessWithoutNullStreams;
  /** Do further channels share the connection, so that the log of the main process tells about them? */
  readonly shared: boolean;
  /** Called once, after the last process has ended. */
  readonly cleanUp: () => Promise<void>;
}

export class OpensshConnection extends EstablishedConnection implements SshConnection {
  readonly closed: Promise<Error | undefined>;
  readonly #processes: OpensshProcesses;
  readonly #end: ConnectionEnd<OpensshChannel>;
  readonly #children = new Set<ChildProcessWithoutNullStreams>();
  /** The channel of the main process, until somebody asks for what runs on it. */
  #first: OpensshChannel | undefined;
  /** Channels are opened one after the other, so that it is plain which one an answer in the log is about. */
  readonly #openings = new SerialQueue();
  #onAnswer: (answer: ChannelAnswer) => void = () => {};

  constructor(processes: OpensshProcesses, facts: ConnectionFacts) {
    super(facts);
    this.#processes = processes;
    const { main, log } = processes;
    this.#end = new ConnectionEnd(facts, () => {
      return printable(log.complaints.slice(-3).join('; '), 300) || 'the server ended it';
    });
    this.#first = this.#wrap(main, labelOf(processes.request), true);
    this.closed = new Promise((resolve) => {
      // What it started may hold on to its output, so that `close` would not come.
      main.once('exit', () => {
        processes.readLog();
        this.#end.rejectAll();
        void this.#finish().then(() => resolve(this.#end.error));
      });
    });
  }

  /** What the log of the main process tells about the channel that is being opened. */
  onAnswer(answer: ChannelAnswer): void {
    this.#onAnswer(answer);
  }

  protected override async openStream(
    request: ChannelRequest,
    { first, ...options }: StreamOptions,
  ): Promise<Duplex> {
    const stream = await this.#channelFor(request, options);
    if (first !== undefined) stream.write(first);
    return stream;
  }

  async #channelFor(request: ChannelRequest, options: ChannelOptions): Promise<Duplex> {
    const first = this.#first;
    if (first !== undefined && isSame(request, this.#processes.request)) {
      options.signal?.throwIfAborted();
      if (this.#end.hasBegun) throw this.#end.explain();
      this.#first = undefined;
      return first;
    }
    return await this.#open(request, true, options);
  }

  async startCommand(command: string, options: ChannelOptions = {}): Promise<RemoteCommand> {
    const channel = await this.#open({ type: 'exec', command }, false, options);
    const exit = channel.exit.then((ended) => {
      if (this.#end.error !== undefined) throw this.#end.error;
      return ended;
    });
    exit.catch(() => {});
    const stderr = channel.stderr ?? Readable.from([]);
    return { stdin: channel, stdout: channel, stderr, exit, kill: () => channel.kill() };
  }

  async close(): Promise<void> {
    if (!this.#end.hasBegun) {
      this.#end.close();
      this.#processes.main.stdin.end();
      this.#endSoon();
    }
    await this.closed;
  }

  destroy(reason: Error): void {
    this.#end.destroy(reason);
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

  #wrap(child: ChildProcessWithoutNullStreams, name: string, endIsError: boolean): OpensshChannel {
    const channel = new OpensshChannel(child, {
      label: name,
      endIsError,
      explainEnd: () => (this.#end.hasBegun ? this.#end.explain() : undefined),
    });
    this.#end.add(channel);
    return channel;
  }

  async #open(
    request: ChannelRequest,
    endIsError: boolean,
    { signal }: ChannelOptions,
  ): Promise<OpensshChannel> {
    signal?.throwIfAborted();
    return await this.#openings.run(() => this.#openNow(request, endIsError, signal));
  }

  async #openNow(
    request: ChannelRequest,
    endIsError: boolean,
    signal: AbortSignal | undefined,
  ): Promise<OpensshChannel> {
    const name = labelOf(request);
    let started: OpensshChannel | undefined;
    try {
      return await this.#end.open(name, { signal }, ({ done, fail }) => {
        const child = this.#processes.start(request);
        this.#children.add(child);
        child.once('exit', () => this.#children.delete(child));
        const channel = this.#wrap(child, name, endIsError);
        started = channel;
        const refuse = (): void => fail(channelRefused(name, printable(channel.words.trim(), 300)));
        // The words come on another pipe than the answer.
        const refuseSoon = (): void => void setTimeout(refuse, ANSWER_WITHIN_MS);
        this.#onAnswer = (answer) => (answer === 'accepted' ? done(channel) : refuseSoon());
        child.once('error', fail);
        // A short command may be over before the log tells that it was accepted, and 255 may be its own status.
        child.once('exit', (code) => (code === 255 ? refuseSoon() : done(channel)));
        // Without a shared connection there is no log to wait for: then the channel is as good as open.
        if (!this.#processes.shared) child.once('spawn', () => done(channel));
      });
    } catch (error) {
      started?.kill('SIGKILL');
      started?.destroy();
      throw error;
    } finally {
      this.#onAnswer = () => {};
    }
  }
}

function isSame(one: ChannelRequest, other: ChannelRequest): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
