import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import ssh2, { type ClientChannel } from 'ssh2';
import { type ServerOptions, startServer, type TestServer } from '../../../src/testing/index.js';

/** What these tests bend inside ssh2's client. */
interface Internals {
  readonly _protocol: { session(channel: number, window: number, maximumPacket: number): void };
}

async function start(t: TestContext, options: ServerOptions = {}): Promise<TestServer> {
  const server = await startServer({ files: {} }, options);
  t.after(() => server.close());
  return server;
}

async function logIn(t: TestContext, { host, port, username, password }: TestServer): Promise<ssh2.Client> {
  const client = new ssh2.Client();
  client.on('error', () => {});
  t.after(() => client.destroy());
  client.connect({ host, port, username, password });
  await once(client, 'ready');
  return client;
}

function openSubsystem(client: ssh2.Client, name = 'sftp'): Promise<ClientChannel> {
  return new Promise((resolve, reject) => {
    client.subsys(name, (error, channel) => (error ? reject(error) : resolve(channel)));
  });
}

/** Whatever error comes before it. */
function closeOf(client: ssh2.Client): Promise<void> {
  return new Promise((resolve) => client.once('close', () => resolve()));
}

describe('the embedded server with hostile clients', () => {
  test('a maximum packet of 0 ends the connection', async (t) => {
    const client = await logIn(t, await start(t));
    const protocol = (client as unknown as Internals)._protocol;
    const session = protocol.session.bind(protocol);
    protocol.session = (channel, window) => session(channel, window, 0);
    const closed = closeOf(client);
    openSubsystem(client).catch(() => {});
    await closed;
  });

  test('data far beyond the window ends the connection', async (t) => {
    const server = await start(t, { faults: { failOn: () => new Promise(() => {}) } });
    const client = await logIn(t, server);
    const channel = await openSubsystem(client);
    channel.on('error', () => {});
    const init = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);
    const stat = Buffer.from([0, 0, 0, 10, 17, 0, 0, 0, 1, 0, 0, 0, 1, 0x2f]);
    channel.write(Buffer.concat([init, stat]));
    const { outgoing } = channel as unknown as { readonly outgoing: { window: number } };
    outgoing.window = 2 ** 31;
    const closed = closeOf(client);
    // A packet whose content never ends, behind a request that is never answered.
    for (let count = 0; count < 600; count += 1) channel.write(Buffer.alloc(30_001));
    await closed;
  });

  test('the eleventh session at a time is refused', async (t) => {
    const client = await logIn(t, await start(t));
    for (let count = 0; count < 10; count += 1) await openSubsystem(client);
    await assert.rejects(openSubsystem(client), /open failure/);
  });

  test('other subsystems, shells, forwarding and agents are refused', async (t) => {
    const client = await logIn(t, await start(t));
    await assert.rejects(openSubsystem(client, 'netconf'));
    const shell = new Promise((_, reject) => client.shell((error) => reject(error ?? new Error('accepted'))));
    await assert.rejects(shell, /Unable to request a pseudo-terminal|shell/);
    const forward = new Promise((_, reject) =>
      client.forwardOut('127.0.0.1', 1, '127.0.0.1', 22, (error) => reject(error ?? new Error('accepted'))),
    );
    await assert.rejects(forward, /open failure/);
    const listen = new Promise((_, reject) =>
      client.forwardIn('127.0.0.1', 0, (error) => reject(error ?? new Error('accepted'))),
    );
    await assert.rejects(listen, /Unable to bind/);
  });

  test('a violation of SFTP ends the channel and leaves the connection', async (t) => {
    const server = await start(t);
    const client = await logIn(t, server);
    const channel = await openSubsystem(client);
    channel.resume();
    const closed = once(channel, 'close');
    channel.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    await closed;
    await openSubsystem(client);
    assert.equal(server.counters.sessions, 2);
  });

  test('an end of the connection closes what was open', async (t) => {
    const server = await start(t);
    const client = await logIn(t, server);
    const channel = await openSubsystem(client);
    const init = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);
    const openRoot = Buffer.from([0, 0, 0, 10, 11, 0, 0, 0, 1, 0, 0, 0, 1, 0x2f]);
    channel.write(Buffer.concat([init, openRoot]));
    while (server.counters.openHandles === 0) await once(channel, 'data');
    const closed = closeOf(client);
    server.disconnectAll();
    await closed;
    assert.equal(server.counters.openHandles, 0);
  });

  test('what is no SSH at all does no harm', async (t) => {
    const server = await start(t);
    for (const text of [
      '',
      'GET / HTTP/1.0\r\n\r\n',
      '\0'.repeat(10_000),
      'SSH-2.0-x\r\n\xff\xff\xff\xff'.repeat(9),
    ]) {
      const socket = connectTcp(server.port, server.host);
      socket.on('error', () => {});
      socket.resume();
      await once(socket, 'connect');
      socket.end(Buffer.from(text, 'latin1'));
      await once(socket, 'close');
    }
    const client = await logIn(t, server);
    await openSubsystem(client);
  });
});
