/** An established connection over ssh2: its channels, its end, and one reason for everybody who waits. */
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import { ConnectionLostError, SshError } from '../errors.js';
import { printable } from '../printable.js';
import type { SecurityOptions } from './algorithms.js';
import { Channel } from './channel.js';
import type {
  ChannelOptions,
  Negotiated,
  RemoteCommand,
  ServerKey,
  SshConnection,
} from './ssh-connection.js';
import {
  announceWindow,
  type ChannelRequest,
  discardChannel,
  isExchangingKeys,
  openSession,
  type RawChannel,
} from './ssh2-internals.js';

const CHANNEL_OPEN_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;

interface Facts {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly negotiated: Negotiated;
  readonly securityOptions: SecurityOptions;
  readonly remoteServerKey: ServerKey;
}

export class Ssh2Connection implements SshConnection {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly negotiated: Negotiated;
  readonly securityOptions: SecurityOptions;
  readonly remoteServerKey: ServerKey;
  readonly closed: Promise<Error | undefined>;
  readonly #client: Client;
  readonly #socket: Duplex;
  readonly #channels = new Set<Channel>();
  /** Those who wait for a channel to open. */
  readonly #waiting = new Set<(reason: Error) => void>();
  #reason: Error | undefined;
  #closing = false;

  constructor(client: Client, socket: Duplex, facts: Facts) {
    this.#client = client;
    this.#socket = socket;
    this.host = facts.host;
    this.port = facts.port;
    this.username = facts.username;
    this.negotiated = facts.negotiated;
    this.securityOptions = facts.securityOptions;
    this.remoteServerKey = facts.remoteServerKey;
    // Every channel may wait for the end of a key exchange.
    client.setMaxListeners(0);
    // Only the socket's own close is certain to come; ssh2's events are not.
    this.closed = new Promise((resolve) => {
      socket.once('close', () => {
        this.#rejectAll(this.#endReason());
        resolve(this.#reason);
      });
    });
  }

  async openSubsystem(name: string, options: ChannelOptions = {}): Promise<Duplex> {
    const label = `the subsystem ${printable(name)}`;
    return await this.#open(label, 'error', options, { type: 'subsystem', name });
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

  async openCommand(command: string, options: ChannelOptions = {}): Promise<Duplex> {
    const label = `the command ${printable(command, 100)}`;
    return await this.#open(label, 'error', options, { type: 'exec', command });
  }

  /** Has the server connect to another (RFC 4254, section 7.2); errors as {@link openSubsystem}. */
  async openTunnel(host: string, port: number, options: ChannelOptions = {}): Promise<Duplex> {
    const label = `a way on to ${host}:${port}`;
    return await this.#open(label, 'stream', options, { type: 'tunnel', host, port });
  }

  async close(): Promise<void> {
    if (!this.#closing && !this.#socket.destroyed) {
      this.#closing = true;
      this.#rejectAll(this.#endReason());
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
    if (!this.#closing) {
      this.#closing = true;
      this.#reason = reason;
    }
    this.#rejectAll(this.#endReason());
    this.#socket.destroy();
  }

  #endReason(): Error {
    if (this.#closing) {
      const closed = `the connection to ${this.host}:${this.port} was closed`;
      return this.#reason ?? new ConnectionLostError(closed, { code: 'CONNECTION_CLOSED' });
    }
    this.#closing = true;
    this.#reason = new ConnectionLostError(
      `the connection to ${this.host}:${this.port} was lost: the server ended it`,
    );
    return this.#reason;
  }

  #rejectAll(reason: Error): void {
    for (const reject of this.#waiting) {
      reject(reason);
    }
    for (const channel of this.#channels) {
      channel.destroy(reason);
    }
  }

  async #open(
    label: string,
    stderr: 'error' | 'stream',
    { signal }: ChannelOptions,
    request: ChannelRequest,
  ): Promise<Channel> {
    signal?.throwIfAborted();
    if (this.#closing || this.#socket.destroyed) {
      throw this.#endReason();
    }
    return await new Promise((resolve, reject) => {
      let settled = false;
      const settle = (): boolean => {
        const first = !settled;
        settled = true;
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(fail);
        return first;
      };
      const fail = (reason: unknown): void => {
        if (settle()) {
          reject(reason);
        }
      };
      const onAbort = (): void => fail(signal?.reason);
      const timer = setTimeout(() => {
        const text = `the server did not start ${label} within ${CHANNEL_OPEN_TIMEOUT_MS / 1000} seconds`;
        fail(new SshError('CHANNEL_TIMEOUT', text));
      }, CHANNEL_OPEN_TIMEOUT_MS);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(fail);
      const onOpen = (error: Error | undefined, opened?: RawChannel): void => {
        if (error || opened === undefined) {
          fail(refused(label, error ?? new Error('no reason was given')));
        } else if (settled) {
          // Its caller had given up before it opened.
          discardChannel(opened);
        } else {
          const channel = this.#wrap(opened, label, stderr);
          const refusal = channel.errored;
          if (refusal !== null) {
            fail(refusal);
          } else if (settle()) {
            resolve(channel);
          }
        }
      };
      try {
        openSession(this.#client, request, onOpen);
      } catch (error) {
        fail(refused(label, error as Error));
      }
    });
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
    this.#channels.add(channel);
    channel.once('close', () => this.#channels.delete(channel));
    return channel;
  }
}

function refused(label: string, cause: Error): SshError {
  const text = printable(cause.message.replace(/^\(SSH\) /, ''));
  const advice = label.startsWith('the subsystem') ? ': it may not offer it to this user' : '';
  return new SshError('CHANNEL_REFUSED', `the server refused ${label}${advice} (${text})`, { cause });
}
