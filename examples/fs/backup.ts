// Backs up a directory of a server as a compressed archive on this machine: tar-fs, which makes it, over SFTP.
import { createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import tar from 'tar-fs';
import { connect } from 'tsftp';
import { remoteFs } from 'tsftp/fs';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  cnopts: { fingerprint: process.env.SFTP_FINGERPRINT },
  retry: {},
});
const fs = remoteFs(sftp);
const target = process.env.BACKUP ?? 'reports.tar.gz';
// The types of tar-fs do not know its option.
const options = { fs, sort: true } as tar.PackOptions;
await pipeline(tar.pack('reports', options), createGzip(), createWriteStream(`${target}.part`));
// Whether everything was read: a package may pass over an error.
await fs.check();
await rename(`${target}.part`, target);
console.log(`saved ${target}`);
