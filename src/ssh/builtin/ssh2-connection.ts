/** An established connection over ssh2: its channels, its end, and one reason for everybody who waits. */
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import type { SshError } from '../../errors.js';
import { printable } from '../../shared/printable.js';
import { ConnectionEnd, channelRefused } from '../connection-end.js';
import { type ChannelRequest, EstablishedConnection, labelOf } from '../established-connection.js';
import type {
  ChannelOptions,
  ConnectionFacts,
  RemoteCommand,
  SshConnection,
  StreamOptions,
} from '../ssh-connection.js';
import { Channel } from './channel/channel.js';
import {
  announceWindow,
  discardChannel,
  isExchangingKeys,
  openSession,
  type RawChannel,
  type RawChannelRequest,
} from './ssh2-internals.js';

const CLOSE_TIMEOUT_MS = 2_000;

export class Ssh2Connection extends EstablishedConnection implements SshConnection {
  readonly closed: Promise<Error | undefined>;
  readonly #client: Client;
  readonly #socket: Duplex;
  readonly #end: ConnectionEnd<Channel>;

  constructor(client: Client, socket: Duplex, facts: ConnectionFacts) {
    super(facts);
    this.#client = client;
    this.#socket = socket;
    this.#end = new ConnectionEnd(facts, () => 'the server ended it');
    // Every channel may wait for the end of a key exchange.
    client.setMaxListeners(0);
    // Only the socket's own close is certain to come; ssh2's events are not.
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#end.rejectAll();
        resolve(this.#end.error);
      });
    });
  }

  protected override openStream(request: ChannelRequest, options: StreamOptions): Promise<Duplex> {
    return this.#open(labelOf(request), 'error', options, request);
  }

  async startCommand(command: string, options: ChannelOptions = {}): Promise<RemoteCommand> {
    const channel = await this.#open('the command', 'stream', options, { type: 'exec', command });
    return {
      stdin: channel,
      stdout: channel,
      stderr: channel.stderr,
      exit: channel.exit,
      kill: () => channel.kill(),
    };
  }

  /** Has the server connect to another (RFC 4254, section 7.2); errors as {@link EstablishedConnection.openSubsystem}. */
  async openTunnel(host: string, port: number, options: ChannelOptions = {}): Promise<Duplex> {
    const label = `a connection to ${host}:${port}`;
    return await this.#open(label, 'stream', options, { type: 'tunnel', host, port });
  }

  async close(): Promise<void> {
    if (!this.#end.hasBegun && !this.#socket.destroyed) {
      this.#end.close();
      const timer = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
      this.#socket.once('close', () => clearTimeout(timer));
      try {
        this.#client.end();
      } catch {
        this.#socket.destroy();
      }
    }
    await this.closed;
  }

  destroy(reason: Error): void {
    this.#end.destroy(reason);
    this.#socket.destroy();
  }

  async #open(
    label: string,
    stderr: 'error' | 'stream',
    { signal, timeoutMs, first }: StreamOptions,
    request: RawChannelRequest,
  ): Promise<Channel> {
    signal?.throwIfAborted();
    if (this.#socket.destroyed) throw this.#end.explain();
    const channel = await this.#end.open(label, { signal, timeoutMs }, ({ done, fail, isGivenUp }) => {
      const onOpen = (error: Error | undefined, opened?: RawChannel, unsent?: Buffer): void => {
        if (error || opened === undefined) {
          fail(refused(label, error ?? new Error('no reason was given')));
        } else if (isGivenUp()) {
          discardChannel(opened);
        } else {
          const channel = this.#wrap(opened, label, stderr);
          if (unsent !== undefined) channel.write(unsent);
          if (channel.errored === null) done(channel);
          else fail(channel.errored);
        }
      };
      try {
        openSession(this.#client, { ...request, first }, onOpen);
      } catch (error) {
        fail(refused(label, error as Error));
      }
    });
    // Its end may have come in the same moment, and who listens only now would not hear why.
    if (channel.errored !== null) throw channel.errored;
    return channel;
  }

  #wrap(raw: RawChannel, label: string, stderr: 'error' | 'stream'): Channel {
    const channel = new Channel(raw, {
      label,
      socket: this.#socket,
      announce: (bytes) => announceWindow(this.#client, raw, bytes),
      isHeldBack: () => isExchangingKeys(this.#client),
      onceReleased: (resume) => void this.#client.once('handshake', resume),
      stderr,
    });
    this.#end.add(channel);
    return channel;
  }
}

function refused(label: string, cause: Error): SshError {
  return channelRefused(label, printable(cause.message.replace(/^\(SSH\) /, '')), cause);
}
