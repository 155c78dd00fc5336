/**
 * The parts of ssh2 that its types leave out and that the guards need: which window a channel was given,
 * what packets the server accepts, and how to announce a window of our own. One place to look at when ssh2
 * changes; a test says so if one of them goes away.
 */
import type { Readable } from 'node:stream';
import type { Client, ClientChannel } from 'ssh2';

/** A channel, seen from the inside. */
export interface RawChannel extends Omit<ClientChannel, 'stderr'> {
  /** What we allowed the server to send. ssh2 counts it down and silently drops data at exactly 0. */
  readonly incoming: { window: number };
  /** What the server allows us to send. */
  readonly outgoing: { readonly id: number; window: number; packetSize: number; state: string };
  readonly stderr: Readable;
}

interface RawClient {
  readonly _protocol: { channelWindowAdjust(channel: number, bytes: number): void };
}

/** What ssh2 announces when it opens a channel. */
export const INITIAL_WINDOW = 2 * 1024 * 1024;

export function rawChannel(channel: ClientChannel): RawChannel {
  return channel as unknown as RawChannel;
}

/** Allows the server to send more (RFC 4254, section 5.2). */
export function announceWindow(client: Client, channel: RawChannel, bytes: number): void {
  (client as unknown as RawClient)._protocol.channelWindowAdjust(channel.outgoing.id, bytes);
}
