/** Proxies for programs under test: each on a port of its own, ended with the test. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';

/** RFC 1928: SOCKS 5, without a login, for names and IPv4 addresses. */
export async function startSocksServer(t: TestContext): Promise<number> {
  const server = createTcpServer(async (client) => {
    client.on('error', () => {});
    const [, count = 0] = await readBytes(client, 2);
    await readBytes(client, count);
    client.write(Buffer.from([5, 0]));
    const [, , , type] = await readBytes(client, 4);
    const length = type === 1 ? 4 : ((await readBytes(client, 1))[0] ?? 0);
    const address = await readBytes(client, length);
    const port = (await readBytes(client, 2)).readUInt16BE();
    const host = type === 1 ? address.join('.') : address.toString();
    const onward = connect(port, host);
    onward.on('error', () => client.destroy());
    await once(onward, 'connect');
    client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
    join(client, onward);
  });
  return listen(t, server);
}

/** An HTTP proxy that knows CONNECT. */
export async function startHttpProxy(t: TestContext): Promise<number> {
  const server = createServer((_, response) => response.writeHead(405).end());
  server.on('connect', async ({ url = '' }: { url?: string }, client: Duplex) => {
    client.on('error', () => {});
    const { hostname, port } = new URL(`http://${url}`);
    const onward = connect(Number(port), hostname);
    onward.on('error', () => client.destroy());
    await once(onward, 'connect');
    client.write('HTTP/1.1 200 Connection established\r\n\r\n');
    join(client, onward);
  });
  return listen(t, server);
}

function join(client: Duplex, onward: Socket): void {
  client.pipe(onward).pipe(client);
  client.once('close', () => onward.destroy());
  onward.once('close', () => client.destroy());
}

async function readBytes(socket: Socket, count: number): Promise<Buffer> {
  if (count === 0) return Buffer.alloc(0);
  for (;;) {
    const bytes: Buffer | null = socket.read(count);
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}

async function listen(t: TestContext, server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
