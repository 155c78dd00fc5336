/**
 * An SSH server over ssh2 that misbehaves in the way that a test asks for: ssh2's server with its inside open, so that
 * packets that no server sends can be sent. And a bare TCP server.
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import ssh2 from 'ssh2';
import { loadHostKey } from '../../src/testing/host-key.js';

const HOST_KEY = makeHostKey();

/** What the tests lean on inside of ssh2's server, to have it misbehave. */
interface Protocol {
  _offer: unknown;
  _strictMode: boolean | undefined;
  _hostKeys: Record<string, unknown>;
  _handlers: Record<string, unknown>;
  _cipher: { encrypt(packet: Buffer): void };
  _packetRW: { write: { alloc(size: number): Buffer; allocStart: number; finalize(packet: Buffer): Buffer } };
  channelSuccess(channel: number): void;
  channelWindowAdjust(channel: number, bytes: number): void;
  channelOpenConfirm(remote: number, local: number, window: number, packetSize: number): void;
  channelData(channel: number, data: Buffer): void;
  authBanner(text: string): void;
  serviceAccept(name: string): void;
  /** Gets a line for each message. */
  _debug: ((line: string) => void) | undefined;
  rekey(): void;
}

/** Where what is to be closed is noted: a test, or whatever else closes it in the end. */
export type Cleanup = Pick<TestContext, 'after'>;

export interface Peer {
  readonly client: ssh2.Connection;
  readonly protocol: Protocol;
  readonly socket: Socket;
}

export interface PeerOptions {
  readonly hostKey?: string | Buffer;
  readonly algorithms?: object;
  /** What it says before the login. */
  readonly banner?: string;
  readonly onPeer?: (peer: Peer) => void;
  readonly onAuthentication?: (context: ssh2.AuthContext, peer: Peer) => void;
  readonly onChannel?: (channel: ssh2.ServerChannel, peer: Peer) => void;
  /** Commands are refused without it. */
  readonly onCommand?: (channel: ssh2.ServerChannel, peer: Peer) => void;
}

/** A new Ed25519 key; of those that ssh2's generator makes, one in some hundreds lacks a byte. */
export function makeHostKey(): string | Buffer {
  return loadHostKey(undefined).privateKey;
}

async function listen(t: Cleanup, server: Server | ssh2.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server as Server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** An SSH server that lets everybody in and accepts every subsystem, save for what a test changes. */
export async function startPeer(t: Cleanup, options: PeerOptions = {}): Promise<number> {
  const config = {
    hostKeys: [options.hostKey ?? HOST_KEY],
    algorithms: options.algorithms,
    banner: options.banner,
  } as ssh2.ServerConfig;
  const server = new ssh2.Server(config, (client) => {
    const inner = client as unknown as { _protocol: Protocol; _sock: Socket };
    const peer: Peer = { client, protocol: inner._protocol, socket: inner._sock };
    t.after(() => inner._sock.destroy());
    client.on('error', () => {});
    options.onPeer?.(peer);
    client.on('authentication', (context) => {
      if (options.onAuthentication === undefined) context.accept();
      else options.onAuthentication(context, peer);
    });
    client.on('session', (accept) => {
      const session = accept();
      const serve = (onChannel: PeerOptions['onChannel']) => (acceptChannel: () => ssh2.ServerChannel) => {
        const channel = acceptChannel();
        channel.on('error', () => {});
        onChannel?.(channel, peer);
      };
      session.on('subsystem', serve(options.onChannel));
      if (options.onCommand !== undefined) session.on('exec', serve(options.onCommand));
    });
  });
  return await listen(t, server);
}

export async function startRaw(t: Cleanup, onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    onSocket(socket);
  });
  return await listen(t, server);
}

/** Has the server not tell which signatures it can verify, as those from before RFC 8308 do not. */
export function withholdExtensions({ protocol }: Peer): void {
  let current: object | undefined;
  Object.defineProperty(protocol, '_kex', {
    get: () => current,
    set: (kex: object | undefined) => {
      current = kex;
      // What the client says that it would like to hear is not heard.
      if (kex !== undefined)
        Object.defineProperty(kex, 'remoteExtInfoEnabled', { get: () => false, set() {} });
    },
  });
}

/** Lets in whoever signs with an RSA key, and notes the algorithm of the signature (RFC 8332). */
export function acceptRsa(algorithms: string[]): (context: ssh2.AuthContext) => void {
  return (context) => {
    if (context.method !== 'publickey') {
      context.reject(['publickey']);
      return;
    }
    const { key, blob, signature, hashAlgo } = context;
    if (blob !== undefined && signature !== undefined) {
      const parsed = ssh2.utils.parseKey(`ssh-rsa ${key.data.toString('base64')}`);
      const holds = !(parsed instanceof Error) && parsed.verify(blob, signature, hashAlgo) === true;
      algorithms.push(holds ? (RSA_SIGNATURES.get(hashAlgo) ?? 'unknown') : 'broken');
    }
    context.accept();
  };
}

const RSA_SIGNATURES: ReadonlyMap<string | undefined, string> = new Map([
  [undefined, 'ssh-rsa'],
  ['sha256', 'rsa-sha2-256'],
  ['sha512', 'rsa-sha2-512'],
]);

/** Sends an SSH message, whatever it is: its number and what follows. */
export function send({ protocol }: Peer, payload: Uint8Array): void {
  const packet = protocol._packetRW.write.alloc(payload.length);
  packet.set(payload, protocol._packetRW.write.allocStart);
  protocol._cipher.encrypt(protocol._packetRW.write.finalize(packet));
}

/** Sends the same message again and again, as fast as the socket takes it, until `bytes` have gone or it is closed. */
export async function flood(peer: Peer, payload: Uint8Array, bytes: number): Promise<void> {
  const { socket } = peer;
  for (let sent = 0; sent < bytes && !socket.destroyed; ) {
    for (; sent < bytes && !socket.destroyed && socket.writableLength < 256 * 1024; sent += payload.length)
      send(peer, payload);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A string of RFC 4251, section 5. */
export function sshString(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
