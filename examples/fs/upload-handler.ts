// Takes uploads over HTTP and stores them on a server: a storage engine of multer that writes through SFTP.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import multer, { type StorageEngine } from 'multer';
import { connect } from 'tsftp';
import { remoteFs } from 'tsftp/fs';

const sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  cnopts: { fingerprint: process.env.SFTP_FINGERPRINT },
  retry: {},
});
// Whatever name somebody sends, nothing outside of this directory can be reached.
const fs = remoteFs(sftp, { root: 'inbox' });

const storage: StorageEngine = {
  _handleFile: async (_request, file, done) => {
    const path = `/${randomUUID()}`;
    try {
      await pipeline(file.stream, fs.createWriteStream(`${path}.part`, { flags: 'wx' }));
      // Who watches the directory sees a file when it is complete.
      await fs.promises.rename(`${path}.part`, path);
      done(null, { path, size: (await fs.promises.stat(path)).size });
    } catch (error) {
      await fs.promises.rm(`${path}.part`, { force: true }).catch(() => {});
      done(error);
    }
  },
  _removeFile: (_request, file, done) => fs.unlink(file.path, done),
};

const take = multer({ storage, limits: { fileSize: 100_000_000 } }).single('file');
const server = createServer((request, response) => {
  const given = request as Parameters<typeof take>[0];
  take(given, response as Parameters<typeof take>[1], (error: unknown) => {
    response.statusCode = error ? 500 : 201;
    response.end(error ? 'not stored\n' : `${given.file?.path} ${given.file?.size}\n`);
  });
});
server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
