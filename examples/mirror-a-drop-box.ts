// Fetches what lies in a drop box and is not here yet, or has changed since.
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  cnopts: { fingerprint: process.env.SFTP_FINGERPRINT },
});
await sftp.cd('inbox', async () => {
  for await (const { path, attributes } of sftp.walk('.')) {
    if (!attributes.isFile()) continue;
    const local = join('mirror', path);
    const known = await stat(local).catch(() => undefined);
    const isSame =
      known?.size === attributes.size && Math.floor((known?.mtimeMs ?? 0) / 1000) === attributes.mtime;
    if (isSame) continue;
    await mkdir(dirname(local), { recursive: true });
    await sftp.get(path, local, { preserveMtime: true });
    console.log(`fetched ${path}`);
  }
});
