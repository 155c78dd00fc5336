// Logs in with a private key from an environment variable, as build servers keep their secrets.
import { connect } from 'tsftp';

const { SFTP_HOST = 'localhost', SFTP_PORT = '22', SFTP_USER = 'me', SFTP_KEY = '' } = process.env;
await using sftp = await connect(SFTP_HOST, {
  port: Number(SFTP_PORT),
  username: SFTP_USER,
  privateKey: SFTP_KEY, // The text of the key; a path would do as well.
  fingerprint: process.env.SFTP_FINGERPRINT,
});
console.log(await sftp.listdir('inbox'));
