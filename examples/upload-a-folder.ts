// Uploads a folder with everything below it, and shows how far it is.
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
const report = await sftp.putR('website', 'public/website', {
  preserveMtime: true,
  callback: (transferred, total, file) => console.error(`${file.path}: ${transferred} of ${total} bytes`),
});
console.log(`${report.files} files, ${report.bytes} bytes; left out: ${report.skipped.length}`);
