/** The rows T9, T11 and T12 of the fault catalogue: SSH servers that misbehave. */
import assert from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect as dial } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { type Connection, type ConnectOptions, connect, SftpError } from '../../src/index.js';
import { startServer } from '../../src/testing/index.js';
import { startFaultProxy } from '../support/fault-proxy.js';
import { connectToServer } from '../support/login.js';
import { flood, type Peer, sshString, startPeer } from '../support/misbehaving-ssh.js';

const MIB = 1024 * 1024;

function open(port: number, more: ConnectOptions = {}): Promise<Connection> {
  return connect('127.0.0.1', {
    port,
    username: 'me',
    password: 'the password',
    cnopts: { hostkeys: null, agent: false, keepaliveInterval: 100, keepaliveCountMax: 2 },
    ...more,
  });
}

/** Answers INIT, and nothing else. */
function answerInit(channel: { write(bytes: Buffer): boolean }): void {
  channel.write(Buffer.from('000000050200000003', 'hex'));
}

describe('key exchanges', () => {
  test('T9: a rekey that never completes ends the connection within the keepalive', async (t) => {
    const peers: Peer[] = [];
    const port = await startPeer(t, {
      onPeer: (peer) => peers.push(peer),
      onChannel: (channel) => answerInit(channel),
    });
    const connection = await open(port);
    const call = connection.stat('/');
    call.catch(() => {});
    for (const { protocol, socket } of peers) {
      protocol.rekey();
      // Our answer is never read.
      socket.pause();
    }
    await assert.rejects(call, { name: 'ConnectionLostError', code: 'ETIMEDOUT' });
    await connection.close();
  });

  test('T11: a packet slipped in before the keys are in use is the end, wherever it is put', async (t) => {
    const server = await startServer({ files: {} });
    t.after(() => server.close());
    const [identification, keyInit] = await greetingOf(server.port);
    const ignore = Buffer.from('0000000c0602 00000000 000000000000'.replaceAll(' ', ''), 'hex');
    for (const atByte of [identification, identification + keyInit]) {
      const proxy = await startFaultProxy(t, server.port);
      proxy.fault = { kind: 'insert', direction: 'toClient', atByte, bytes: ignore };
      await assert.rejects(connectToServer(server, { port: proxy.port }), (error: unknown) => {
        assert.ok(error instanceof SftpError, String(error));
        assert.equal(error.code, 'SSH_PROTOCOL');
        return true;
      });
    }
    assert.equal(server.counters.logins, 0);
  });
});

/** The lengths of what a server says first: its identification and KEXINIT. */
async function greetingOf(port: number): Promise<readonly [number, number]> {
  const socket = dial(port, '127.0.0.1');
  socket.write('SSH-2.0-probe\r\n');
  let received = Buffer.alloc(0);
  while (true) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    received = Buffer.concat([received, chunk]);
    const line = received.indexOf('\n') + 1;
    if (line === 0 || received.length < line + 4) continue;
    const packet = 4 + received.readUInt32BE(line);
    socket.destroy();
    return [line, packet];
  }
}

describe('floods', () => {
  /** The peer sends `message` for ever, once it has been let in or before; what that costs us is measured. */
  async function withstand(t: TestContext, message: Buffer, { reads = true } = {}): Promise<void> {
    const peers: Peer[] = [];
    const port = await startPeer(t, {
      onPeer: (peer) => peers.push(peer),
      onChannel: (channel) => answerInit(channel),
    });
    const connection = await open(port, {
      cnopts: { hostkeys: null, agent: false, keepaliveInterval: 0 },
    });
    const before = held();
    const [peer] = peers;
    assert.ok(peer !== undefined);
    if (!reads) peer.socket.pause();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, held() - before);
    }, 20);
    // Small messages are many.
    await flood(peer, message, message.length > 1000 ? 24 * MIB : 2 * MIB);
    clearInterval(watch);
    assert.ok(most < 64 * MIB, `${Math.round(most / MIB)} MiB are held`);
    await connection.close();
  }

  const held = () => {
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };

  const extension = Buffer.concat([
    Buffer.from([7, 0, 0, 0, 1]),
    sshString('a'),
    sshString('b'.repeat(8192)),
  ]);
  const banner = Buffer.concat([Buffer.from([53]), sshString('x'.repeat(8192)), sshString('')]);
  const debug = Buffer.concat([Buffer.from([4, 1]), sshString('x'.repeat(8192)), sshString('')]);
  const request = Buffer.concat([Buffer.from([80]), sshString('x@y'), Buffer.from([0])]);
  const question = Buffer.concat([Buffer.from([80]), sshString('x@y'), Buffer.from([1])]);
  const channel = Buffer.concat([
    Buffer.from([90]),
    sshString('x11'),
    Buffer.alloc(12),
    sshString('h'),
    Buffer.alloc(4),
  ]);

  test('T12: of EXT_INFO cost no memory', (t) => withstand(t, extension));
  test('T12: of banners cost no memory', (t) => withstand(t, banner));
  test('T12: of debug messages cost no memory', (t) => withstand(t, debug));
  test('T12: of global requests cost no memory', (t) => withstand(t, request));
  test('T12: of questions, whose answers are not read, cost no memory', (t) =>
    withstand(t, question, { reads: false }));
  test('T12: of channels, whose refusals are not read, cost no memory', (t) =>
    withstand(t, channel, { reads: false }));

  test('T12: of banners before the login cost no memory, and the connect timeout ends them', async (t) => {
    const before = held();
    let most = 0;
    const port = await startPeer(t, {
      onAuthentication: (_context, peer) => {
        void (async () => {
          while (!peer.socket.destroyed) {
            await flood(peer, banner, MIB);
            most = Math.max(most, held() - before);
          }
        })();
      },
    });
    await assert.rejects(open(port, { connectTimeout: 1_000 }), { code: 'ETIMEDOUT' });
    assert.ok(most < 64 * MIB, `${Math.round(most / MIB)} MiB are held`);
  });
});
