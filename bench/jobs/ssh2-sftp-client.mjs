// One job with ssh2-sftp-client: node ssh2-sftp-client.mjs JOB LOCAL REMOTE
import { readFileSync } from 'node:fs';
import Client from 'ssh2-sftp-client';

const [job, local, remote] = process.argv.slice(2);
const { BENCH_HOST, BENCH_PORT, BENCH_USER, BENCH_KEY } = process.env;
const jobs = {
  get: (sftp) => sftp.fastGet(remote, local),
  put: (sftp) => sftp.fastPut(local, remote),
  getTree: (sftp) => sftp.downloadDir(remote, local),
  putTree: (sftp) => sftp.uploadDir(local, remote),
  list: (sftp) => sftp.list(remote),
  connect: () => {},
};
const sftp = new Client();
await sftp.connect({
  host: BENCH_HOST,
  port: Number(BENCH_PORT),
  username: BENCH_USER,
  privateKey: readFileSync(BENCH_KEY),
});
await jobs[job](sftp);
await sftp.end();
console.error(`BENCH ${JSON.stringify({ rssMiB: process.resourceUsage().maxRSS / 1024 })}`);
