// One job with tsftp, as its users would write it: node tsftp.mjs JOB LOCAL REMOTE
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pipeline } from 'node:stream/promises';
import { connect } from '../../dist/index.mjs';

const [job, local, remote] = process.argv.slice(2);
const { BENCH_HOST, BENCH_PORT, BENCH_USER, BENCH_KEY, BENCH_HOST_KEY } = process.env;
const hash = createHash('sha256')
  .update(Buffer.from(BENCH_HOST_KEY.split(' ')[1], 'base64'))
  .digest('base64');

// One connection unless the benchmark asks for several.
const connections = process.env.BENCH_CONNECTIONS === undefined ? 1 : Number(process.env.BENCH_CONNECTIONS);

// Node's own file streams move 16 and 64 KiB at a time, unless they are told otherwise.
const LARGE = { highWaterMark: 256 * 1024 };

const jobs = {
  connect: () => {},
  get: (sftp) => sftp.get(remote, local),
  put: (sftp) => sftp.put(local, remote),
  getTree: async (sftp) => {
    await sftp.chdir(remote);
    await sftp.getR('.', local);
  },
  putTree: (sftp) => sftp.putR(local, remote),
  getStream: (sftp) => pipeline(sftp.createReadStream(remote), createWriteStream(local, LARGE)),
  putStream: (sftp) => pipeline(createReadStream(local, LARGE), sftp.createWriteStream(remote)),
  getStreamSmall: (sftp) => pipeline(sftp.createReadStream(remote), createWriteStream(local)),
  putStreamSmall: (sftp) => pipeline(createReadStream(local), sftp.createWriteStream(remote)),
  getAndStat: (sftp) => whileAsking(sftp, sftp.get(remote, local)),
  putAndStat: (sftp) => whileAsking(sftp, sftp.put(local, remote)),
  list: async (sftp) => extra({ entries: (await sftp.listdir(remote)).length }),
  walk: async (sftp) => {
    let entries = 0;
    for await (const _ of sftp.walk(remote)) entries += 1;
    extra({ entries });
  },
};

/** Asks for something small every 100 ms while a transfer runs, and tells how long 95 of 100 answers took at most. */
async function whileAsking(sftp, transfer) {
  const took = [];
  let isOver = false;
  const ask = async () => {
    while (!isOver) {
      const askedAt = performance.now();
      await sftp.stat('.');
      took.push(performance.now() - askedAt);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  await Promise.all([ask(), transfer.finally(() => (isOver = true))]);
  took.sort((one, other) => one - other);
  extra({ statP95Seconds: (took[Math.floor(0.95 * took.length)] ?? 0) / 1000 });
}

const figures = {};
function extra(more) {
  Object.assign(figures, more);
}

const delay = monitorEventLoopDelay({ resolution: 5 });
const sftp = await connect(BENCH_HOST, {
  port: Number(BENCH_PORT),
  username: BENCH_USER,
  privateKey: BENCH_KEY,
  connections,
  cnopts: { fingerprint: `SHA256:${hash.replace(/=+$/, '')}`, hostKeyAlgorithms: ['ssh-ed25519'] },
});
delay.enable();
const start = performance.now();
await jobs[job](sftp);
const seconds = (performance.now() - start) / 1000;
delay.disable();
await sftp.close();
extra({
  seconds,
  rssMiB: process.resourceUsage().maxRSS / 1024,
  // The histogram counts its own resolution as delay.
  loopDelayP99Ms: Math.max(0, delay.percentile(99) / 1e6 - 5),
});
console.error(`BENCH ${JSON.stringify(figures)}`);
