// Shows what could not be done, and with `--retry` puts it back into its queue.
import { Queue } from 'bullmq';
import { connectRedis, type FetchJob, queueOf, readSettings } from './settings.js';

const redis = connectRedis();
for (const server of readSettings().servers) {
  const queue = new Queue<FetchJob>(queueOf(server), { connection: redis });
  for (const job of await queue.getFailed(0, 999)) {
    const { path, pathBase64 } = job.data.step;
    console.log(
      [queueOf(server), path ?? pathBase64, `${job.attemptsMade} attempts`, job.failedReason].join('\t'),
    );
    if (process.argv.includes('--retry')) await job.retry();
  }
  await queue.close();
}
redis.disconnect();
