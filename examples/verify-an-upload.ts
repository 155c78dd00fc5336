// Uploads a file and compares its checksum with what has arrived.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
await sftp.put('website/index.html', 'public/index.html');
const here = createHash('sha256')
  .update(await readFile('website/index.html'))
  .digest('hex');
const there = await sftp.checksum('public/index.html');
console.log(here === there ? 'identical' : 'different');
