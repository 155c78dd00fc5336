// Fetches what lies in a drop box and is not here yet, or has changed since.
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
const { plan } = await sftp.mirror('inbox', 'mirror', { direction: 'down' });
for (const { action, path } of plan) {
  if (action !== 'keep') console.log(`${action} ${path}`);
}
