// Shows a directory of a server in a browser: serve-handler, which makes the listings, over SFTP.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import serveHandler from 'serve-handler';
import { connect } from 'tsftp';
import { remoteFs } from 'tsftp/fs';

const sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  cnopts: { fingerprint: process.env.SFTP_FINGERPRINT },
  retry: {},
});
// The browser sees this directory as `/`; links that lead out of it are refused.
const fs = remoteFs(sftp, { root: 'public', attributeCacheMs: 1000 });
const { lstat, readdir, realpath } = fs.promises;

const server = createServer((request, response) => {
  const createReadStream = async (path: string, options?: object) =>
    fs.createReadStream(path, options).on('error', () => response.destroy());
  // Its types are those of the callback forms; it calls the promises.
  const methods = { lstat, readdir, realpath, createReadStream } as unknown as Parameters<
    typeof serveHandler
  >[3];
  serveHandler(request, response, { public: '/', cleanUrls: false }, methods).catch(() => response.destroy());
});
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
