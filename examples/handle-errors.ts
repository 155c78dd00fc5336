// Tells apart what can go wrong, gives up after a minute, and leaves nothing half-done.
import { ConnectionLostError, connect, SftpStatusError, TransferError } from 'tsftp';

try {
  await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
    cnopts: { fingerprint: process.env.SFTP_FINGERPRINT },
  });
  await sftp.get('reports/june.csv', 'june.csv', { signal: AbortSignal.timeout(60_000) });
} catch (error) {
  if (error instanceof SftpStatusError && error.code === 'ENOENT')
    console.log(`not there yet: ${error.path}`);
  else if (error instanceof TransferError) console.log(`stopped after ${error.bytesDone} bytes`);
  else if (error instanceof ConnectionLostError) console.log('the line broke');
  else throw error;
}
