// Adds up a column of a remote CSV, line by line: the file may be larger than the memory.
import { createInterface } from 'node:readline';
import { connect } from 'tsftp';

await using sftp = await connect(process.env.SFTP_URL ?? 'sftp://me@localhost', {
  fingerprint: process.env.SFTP_FINGERPRINT,
});
let sum = 0;
for await (const line of createInterface({ input: sftp.createReadStream('reports/may.csv') })) {
  const [, amount] = line.split(',');
  sum += Number(amount) || 0;
}
console.log(`sum: ${sum}`);
