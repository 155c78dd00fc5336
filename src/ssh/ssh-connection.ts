/**
 * What the layers above may ask of SSH, whichever transport gives it: byte streams to a subsystem,
 * commands, what was negotiated, and one way to end it all.
 */
import type { Duplex, Readable, Writable } from 'node:stream';
import type { Redaction } from '../shared/redaction.js';
import type { SecurityOptions } from './algorithms.js';

/** An authenticated connection to a server whose host key was verified. */
export interface SshConnection {
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly negotiated: Negotiated;
  /** What might have been negotiated: our own offer, in order of preference. */
  readonly securityOptions: SecurityOptions;
  readonly remoteServerKey: ServerKey;
  /**
   * Opens a channel and starts a subsystem on it. Rejects with `SshError` (`CHANNEL_REFUSED`) where the
   * server will not, with `ConnectionLostError` where the connection ends, or with the signal's reason.
   */
  openSubsystem(name: string, options?: StreamOptions): Promise<Duplex>;
  /** As {@link openSubsystem}, with a command that speaks the subsystem's protocol on its input and output. */
  openCommand(command: string, options?: StreamOptions): Promise<Duplex>;
  /** Opens a channel and starts a command on it; errors as {@link openSubsystem}. */
  startCommand(command: string, options?: ChannelOptions): Promise<RemoteCommand>;
  /** Resolves when the connection is over, with the reason, or with `undefined` after {@link close}. Never rejects. */
  readonly closed: Promise<Error | undefined>;
  /** Says goodbye, and destroys the socket after at most two seconds. Idempotent, never rejects. */
  close(): Promise<void>;
  /** Ends everything at once; the first reason wins. */
  destroy(reason: Error): void;
}

/** What is known about a connection from its beginning. */
export type ConnectionFacts = Pick<
  SshConnection,
  'host' | 'port' | 'username' | 'negotiated' | 'securityOptions' | 'remoteServerKey'
> & {
  /** What is struck out of what the server says. */
  readonly secrets?: Redaction | undefined;
  /** How long a channel may take to open; as long as connecting. */
  readonly connectTimeoutMs?: number | undefined;
};

export interface ChannelOptions {
  readonly signal?: AbortSignal | undefined;
  /** How long the server may take to open it, in ms. Default: as long as for connecting. */
  readonly timeoutMs?: number | undefined;
}

export interface StreamOptions extends ChannelOptions {
  /**
   * What is written on the stream before all else, where the server's window allows it together with the request
   * that starts what reads it: that saves a round trip.
   */
  readonly first?: Buffer | undefined;
}

/** How a command ended, as far as the server tells. */
export interface CommandExit {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** A command that runs on the server. */
export interface RemoteCommand {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Resolves when the command has ended and its output is complete; rejects when the connection is lost first. */
  readonly exit: Promise<CommandExit>;
  /** Ends the channel: the server is told to stop the command. */
  kill(): void;
}

/** The algorithms in use, `[client to server, server to client]` where they may differ. */
export interface Negotiated {
  readonly ciphers: readonly [string, string];
  readonly macs: readonly [string, string];
  readonly compression: readonly [string, string];
  readonly kex: string;
  readonly hostKeyAlgorithm: string;
}

/** The host key that the server proved to hold. */
export interface ServerKey {
  /** For instance `ssh-ed25519`. */
  readonly type: string;
  /** The public key as in RFC 4253, section 6.6. */
  readonly bytes: Uint8Array;
  /** `SHA256:…`, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
}
