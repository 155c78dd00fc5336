// Tells apart what can go wrong, gives up after a minute, and leaves nothing half-done.
import { ConnectionLostError, connect, SftpStatusError, TransferError } from 'tsftp';

const signal = AbortSignal.timeout(Number(process.env.SFTP_TIMEOUT_MS ?? 60_000));
try {
  await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
    fingerprint: process.env.SFTP_FINGERPRINT,
    signal,
  });
  await sftp.get('reports/june.csv', 'june.csv', { signal });
} catch (error) {
  if (signal.aborted) console.log('gave up: it took too long');
  else if (error instanceof SftpStatusError && error.code === 'ENOENT')
    console.log(`not there yet: ${error.path}`);
  else if (error instanceof TransferError)
    console.log(`stopped after ${error.bytesDone} bytes, on the ${error.side} side: ${error.code}`);
  else if (error instanceof ConnectionLostError) console.log('the connection was lost');
  else throw error;
}
