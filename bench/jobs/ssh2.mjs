// One job with ssh2's own SFTP class: node ssh2.mjs JOB LOCAL REMOTE
import { readFileSync } from 'node:fs';
import ssh2 from 'ssh2';

const [job, local, remote] = process.argv.slice(2);
const { BENCH_HOST, BENCH_PORT, BENCH_USER, BENCH_KEY } = process.env;

const client = new ssh2.Client();
await new Promise((resolve, reject) => {
  client.on('ready', resolve).on('error', reject);
  client.connect({
    host: BENCH_HOST,
    port: Number(BENCH_PORT),
    username: BENCH_USER,
    privateKey: readFileSync(BENCH_KEY),
  });
});
const sftp = await new Promise((resolve, reject) => {
  client.sftp((error, value) => (error ? reject(error) : resolve(value)));
});
await new Promise((resolve, reject) => {
  const done = (error) => (error ? reject(error) : resolve());
  if (job === 'get') sftp.fastGet(remote, local, done);
  else if (job === 'put') sftp.fastPut(local, remote, done);
  else if (job === 'list') sftp.readdir(remote, done);
  else if (job === 'connect') done();
  else reject(new Error(`no job ${job}`));
});
client.end();
console.error(`BENCH ${JSON.stringify({ rssMiB: process.resourceUsage().maxRSS / 1024 })}`);
