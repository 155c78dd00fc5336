/**
 * An SSH server that lets everybody in and accepts every subsystem, save for what a test has it do wrong. It is
 * ssh2's server with its inside open, so that packets that no server sends can be sent.
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { Server, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import ssh2 from 'ssh2';

/** What the tests lean on inside of ssh2's server. */
interface Protocol {
  _cipher: { encrypt(packet: Buffer): void };
  _packetRW: { write: { alloc(size: number): Buffer; allocStart: number; finalize(packet: Buffer): Buffer } };
  rekey(): void;
}

export interface SshPeer {
  readonly client: ssh2.Connection;
  readonly protocol: Protocol;
  readonly socket: Socket;
  /** Sends an SSH message, whatever it is: its number and what follows. */
  send(payload: Uint8Array): void;
}

export interface SshPeerOptions {
  readonly onPeer?: (peer: SshPeer) => void;
  readonly onAuthentication?: (context: ssh2.AuthContext, peer: SshPeer) => void;
  readonly onChannel?: (channel: ssh2.ServerChannel, peer: SshPeer) => void;
}

/** Gives the port. */
export async function startSshPeer(t: TestContext, options: SshPeerOptions = {}): Promise<number> {
  const hostKeys = [ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 }).private];
  const server = new ssh2.Server({ hostKeys }, (client) => {
    const { _protocol: protocol, _sock: socket } = client as unknown as {
      _protocol: Protocol;
      _sock: Socket;
    };
    const peer: SshPeer = { client, protocol, socket, send: (payload) => send(protocol, payload) };
    t.after(() => socket.destroy());
    client.on('error', () => {});
    options.onPeer?.(peer);
    client.on('authentication', (context) => {
      if (options.onAuthentication === undefined) context.accept();
      else options.onAuthentication(context, peer);
    });
    client.on('session', (accept) => {
      accept().on('subsystem', (acceptChannel) => {
        const channel = acceptChannel();
        channel.on('error', () => {});
        options.onChannel?.(channel, peer);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server as unknown as Server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Sends the same message again and again, as fast as the socket takes it, until `bytes` have gone or it is closed. */
export async function flood(peer: SshPeer, payload: Uint8Array, bytes: number): Promise<void> {
  const { socket } = peer;
  for (let sent = 0; sent < bytes && !socket.destroyed; ) {
    for (; sent < bytes && !socket.destroyed && socket.writableLength < 256 * 1024; sent += payload.length)
      peer.send(payload);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function send(protocol: Protocol, payload: Uint8Array): void {
  const packet = protocol._packetRW.write.alloc(payload.length);
  packet.set(payload, protocol._packetRW.write.allocStart);
  protocol._cipher.encrypt(protocol._packetRW.write.finalize(packet));
}

/** A string of RFC 4251, section 5. */
export function sshString(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
