// Deletes what is older than thirty days, and tells how much room there is then.
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
const limit = Date.now() / 1000 - 30 * 24 * 60 * 60;
for await (const { path, attributes } of sftp.walk('logs')) {
  if (!attributes.isFile() || (attributes.mtime ?? limit) >= limit) continue;
  await sftp.remove(path);
  console.log(`deleted ${path}`);
}
const { usedPercent } = await sftp.statvfs('logs');
console.error(`${usedPercent} % in use`);
