// Publishes a file so that readers see the old one or the new one, and never a half of it.
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
await sftp.copy('public/index.html', 'public/index.html.bak');
const { size } = await sftp.put('website/index.html', 'public/index.html', { atomic: true });
console.log(`published ${size} bytes`);
