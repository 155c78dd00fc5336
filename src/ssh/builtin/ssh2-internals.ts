/**
 * The parts of ssh2 that its types leave out and that the guards need. One place to look at when ssh2 changes;
 * a test says so if one of them goes away or behaves differently.
 */
import { Readable } from 'node:stream';
import type { Client, ClientChannel, ParsedKey } from 'ssh2';
import { type LentBuffer, retain } from '../../shared/lent-memory.js';
import type { ChannelRequest } from '../established-connection.js';
import type { AllocatePacket } from './packet-memory.js';

/** A channel, seen from the inside. */
export interface RawChannel extends Omit<ClientChannel, 'stderr' | 'subtype'> {
  /** What we allowed the server to send. ssh2 counts it down and silently drops data at exactly 0. */
  readonly incoming: { window: number };
  /** What the server allows us to send. */
  readonly outgoing: { readonly id: number; window: number; packetSize: number; state: string };
  readonly stderr: Readable;
  /** `subsystem` or `exec`, once that was granted. */
  subtype: string | undefined;
  /** Called with `false` when a request is granted, with `true` or an error when not. */
  readonly _callbacks: ((failed: boolean | Error) => void)[];
}

interface Handlers {
  USERAUTH_FAILURE: (protocol: unknown, methods: readonly string[], partial: boolean) => void;
  SERVICE_ACCEPT?: (protocol: unknown, service: string) => void;
  GLOBAL_REQUEST?: (protocol: unknown, name: string, wantsReply: boolean, data: unknown) => void;
}

type Sign = (data: Buffer, done: (signature: Buffer) => void) => void;

/** `unsent` is what was to be written first and could not yet be. */
type OpenCallback = (error: Error | undefined, channel?: RawChannel, unsent?: Buffer) => void;

interface RawClient {
  readonly _protocol: {
    /** Our KEXINIT, while a key exchange is under way; ssh2 then keeps what is sent, without a limit. */
    readonly _kexinit: Buffer | undefined;
    /** A packet that has come without its end; most of them are copied, those that lack only their tag are not. */
    readonly _decipher: { _packet: Uint8Array | null } | undefined;
    /** Another one after each key exchange. */
    readonly _cipher: { allocPacket: AllocatePacket; encrypt(packet: Buffer): void };
    /** Takes what has come. */
    parse(chunk: Buffer, from: number, to: number): void;
    /** Bits: how servers differ. */
    _compatFlags: number;
    session(channel: number, window: number, packetSize: number): void;
    subsystem(channel: number, name: string, wantReply: boolean): void;
    exec(channel: number, command: string, wantReply: boolean): void;
    channelWindowAdjust(channel: number, bytes: number): void;
    /** What is done with each kind of message that comes. */
    readonly _handlers: Handlers;
    readonly _packetRW:
      | { readonly write: { allocStart: number; alloc: AllocatePacket; finalize(packet: Buffer): Buffer } }
      | undefined;
    /** Without `sign` it asks whether the key would do. */
    authPK?: (username: string, key: ParsedKey, algorithm?: string, sign?: Sign) => void;
    /** The methods that were asked for and not answered; they tell what a message of the login means. */
    readonly _authsQueue: string[];
    authPassword(username: string, password: string, newPassword: string): void;
  };
  readonly _chanMgr: { add(waiting: OpenCallback & { readonly type: 'session' }): number };
}

/** What is to run on a channel. */
export type RawChannelRequest =
  | ChannelRequest
  | { readonly type: 'tunnel'; readonly host: string; readonly port: number };

/** What a channel is for, and what is written on it before all else. */
type Opening = RawChannelRequest & { readonly first?: Buffer | undefined };

/** What ssh2 believes that it announces when it opens a channel. */
export const INITIAL_WINDOW = 2 * 1024 * 1024;
/** What ssh2 announces as the largest packet. */
const PACKET_SIZE = 32 * 1024;

/**
 * Opens a channel and starts something on it (RFC 4254, sections 6.1 and 6.5). ssh2's own `subsys` and `exec`
 * leave a channel open whose request was refused; here it is closed. The callback may come after the caller has
 * lost interest, and not at all when the connection ends.
 */
export function openSession(client: Client, request: Opening, callback: OpenCallback): void {
  if (request.type === 'tunnel') {
    openTunnel(client, request, callback);
    return;
  }
  const { _chanMgr, _protocol } = inside(client);
  const onOpen = (error: Error | undefined, channel?: RawChannel): void => {
    if (error || channel === undefined) callback(error ?? new Error('no channel'));
    else startOn(client, channel, request, callback);
  };
  const id = _chanMgr.add(Object.assign(onOpen, { type: 'session' as const }));
  if (id < 0) callback(new Error('too many channels are open'));
  else _protocol.session(id, INITIAL_WINDOW, PACKET_SIZE);
}

/** RFC 4254, section 7.2. ssh2 gives such a channel no stderr, which a channel of ours expects. */
function openTunnel(
  client: Client,
  { host, port }: { host: string; port: number },
  callback: OpenCallback,
): void {
  client.forwardOut('127.0.0.1', 0, host, port, (error, opened) => {
    if (error || opened === undefined) {
      callback(error ?? new Error('no channel'));
      return;
    }
    const stderr = opened.stderr ?? new Readable({ read() {} });
    callback(undefined, Object.assign(opened, { stderr }) as unknown as RawChannel);
  });
}

type Startable = Exclude<Opening, { readonly type: 'tunnel' }>;

function startOn(client: Client, channel: RawChannel, request: Startable, callback: OpenCallback): void {
  const { _protocol } = inside(client);
  const { id, window } = channel.outgoing;
  const { type, first } = request;
  // OpenSSH's server opens the window only with what it starts.
  const isInTime = first !== undefined && first.length <= window;
  const early = isInTime ? keepEarly(channel) : () => [];
  channel._callbacks.push((failed) => {
    const kept = early();
    if (failed === false && kept !== undefined) {
      channel.subtype = type;
      callback(undefined, channel, isInTime ? undefined : first);
      for (const chunk of kept) channel.push(chunk);
      return;
    }
    discardChannel(channel);
    const reason = failed === false ? 'It sent more than it may' : `Unable to start ${type}`;
    callback(failed instanceof Error ? failed : new Error(reason));
  });
  if (request.type === 'subsystem') _protocol.subsystem(id, request.name, true);
  else _protocol.exec(id, request.command, true);
  if (isInTime) channel.write(first);
}

/**
 * An answer to what is written early may come before the word that the request is granted. It is kept here, and given by
 * the result for the owner of the channel; `undefined` where it was more than we had allowed.
 */
function keepEarly(channel: RawChannel): () => readonly (Buffer | null)[] | undefined {
  const { push } = channel;
  const kept: (Buffer | null)[] = [];
  let left = INITIAL_WINDOW;
  channel.push = (chunk: LentBuffer | null) => {
    left -= chunk?.length ?? 0;
    if (left >= 0) kept.push(chunk && retain(chunk));
    return true;
  };
  return () => {
    channel.push = push;
    return left < 0 ? undefined : kept;
  };
}

/** Ends a channel that nobody wants. */
export function discardChannel(channel: RawChannel): void {
  channel.on('error', () => {});
  channel.resume();
  channel.stderr.resume();
  channel.close();
}

/** Allows the server to send more (RFC 4254, section 5.2). */
export function announceWindow(client: Client, channel: RawChannel, bytes: number): void {
  inside(client)._protocol.channelWindowAdjust(channel.outgoing.id, bytes);
}

/** Is a key exchange under way? At its end, and after what was kept has been sent, comes `handshake`. */
export function isExchangingKeys(client: Client): boolean {
  return inside(client)._protocol._kexinit !== undefined;
}

/** ssh2 keeps a packet where it was read until its tag has come, and that memory is read into again. */
export function copyUnfinishedPacket(client: Client, { buffer }: LentBuffer): void {
  const decipher = inside(client)._protocol?._decipher;
  if (decipher?._packet?.buffer === buffer) decipher._packet = Buffer.from(decipher._packet);
}

/** Has ssh2 make its packets in another way, until the next key exchange. */
export function replaceAllocation(client: Client, wrap: (allocate: AllocatePacket) => AllocatePacket): void {
  const { _cipher } = inside(client)._protocol;
  _cipher.allocPacket = wrap(_cipher.allocPacket.bind(_cipher));
}

export function inside(client: Client): RawClient {
  return client as unknown as RawClient;
}
