// Connects through a SOCKS proxy, with the package `socks`. The function runs for each connection, so that `retry` works.
import { SocksClient } from 'socks';
import { connect } from 'tsftp';

const server = new URL(process.env.SFTP_URL ?? 'sftp://me@localhost');
const destination = { host: server.hostname, port: Number(server.port || 22) };
const proxy = { host: '127.0.0.1', port: Number(process.env.SOCKS_PORT ?? 1080), type: 5 } as const;

await using sftp = await connect(server.href, {
  fingerprint: process.env.SFTP_FINGERPRINT,
  retry: { attempts: 3 },
  socket: async () => {
    const { socket } = await SocksClient.createConnection({ proxy, destination, command: 'connect' });
    return socket;
  },
});
console.log(await sftp.listdir());
