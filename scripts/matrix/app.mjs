// What the bundles are made of: sends a file and fetches it back. Bundled as CommonJS, it may not wait at its top.
import { connect } from 'tsftp';

async function main() {
  const { SFTP_PORT, SFTP_FINGERPRINT, SENT, FETCHED } = process.env;
  const options = {
    port: Number(SFTP_PORT),
    username: 'me',
    password: 'secret',
    fingerprint: SFTP_FINGERPRINT,
  };
  const sftp = await connect('127.0.0.1', options);
  await sftp.put(SENT, 'sent');
  await sftp.get('sent', FETCHED);
  await sftp.close();
}

void main();
