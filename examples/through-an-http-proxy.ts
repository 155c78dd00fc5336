// Connects through an HTTP proxy that knows CONNECT, without any other package.
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'tsftp';

const server = new URL(process.env.SFTP_URL ?? 'sftp://me@localhost');
const proxy = new URL(process.env.HTTP_PROXY ?? 'http://127.0.0.1:3128');

async function tunnel() {
  const path = `${server.hostname}:${server.port || 22}`;
  const asking = request({ host: proxy.hostname, port: proxy.port, method: 'CONNECT', path }).end();
  const [response, socket, head] = await once(asking, 'connect');
  if (response.statusCode !== 200) {
    socket.destroy();
    throw new Error(`The proxy answered ${response.statusCode}`);
  }
  // What the server has said already.
  if (head.length > 0) socket.unshift(head);
  return socket;
}

await using sftp = await connect(server.href, { fingerprint: process.env.SFTP_FINGERPRINT, socket: tunnel });
console.log(await sftp.listdir());
