// Waits until another system has put a file there and written it to its end, at most ten minutes, and fetches it.
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
const { path } = await sftp.waitForFile('reports/*.csv', { stableFor: 2000, timeout: 10 * 60_000 });
await sftp.get(path, 'may.csv');
console.log('it is there');
