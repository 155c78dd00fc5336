// Waits until another system has put a file there, at most ten minutes, and then fetches it.
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'tsftp';

const signal = AbortSignal.timeout(10 * 60_000);
await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  cnopts: { fingerprint: process.env.SFTP_FINGERPRINT },
  signal,
});
while (!(await sftp.exists('inbox/done.flag', { signal }))) await sleep(250, undefined, { signal });
await sftp.get('reports/may.csv', 'may.csv', { signal });
console.log('it is there');
