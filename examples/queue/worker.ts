// Carries out the jobs of all queues. Start as many as you like, on any machine that has the target directory.
import { UnrecoverableError, Worker } from 'bullmq';
import { outlookOf } from 'tsftp';
import { ConnectionPool, executeStep, writeEvents } from 'tsftp/jobs';
import { limitAcrossMachines } from './limit.js';
import { connectRedis, type FetchJob, folderOf, queueOf, readSettings, resolveServer } from './settings.js';

const { servers, source, done, target } = readSettings();
const redis = connectRedis();
const perWorker = Number(process.env.CONNECTIONS_PER_WORKER ?? 2);
const pool = new ConnectionPool({
  resolve: resolveServer,
  maxPerServer: perWorker,
  // A connection that is not used keeps others from the server.
  idleTimeout: 1_000,
  connectsPerMinute: Number(process.env.CONNECTS_PER_MINUTE ?? 30),
  acquire: limitAcrossMachines(redis),
});
// One line for each beginning and each end: for metrics and audits.
writeEvents(process.stdout);

const workers = servers.map((server) => {
  const worker = new Worker<FetchJob>(
    queueOf(server),
    async ({ data, attemptsStarted }) => {
      await using lease = await pool.lease(data.server, { signal: AbortSignal.timeout(5 * 60_000) });
      try {
        return await executeStep(lease.connection, data.step, {
          direction: 'down',
          source,
          target: folderOf(target, data.server),
          complete: { move: done },
          server: queueOf(data.server),
          attempt: attemptsStarted,
        });
      } catch (error) {
        // What no repetition mends is a dead letter at once.
        if (outlookOf(error) === 'retry') throw error;
        throw new UnrecoverableError(String(error));
      }
    },
    {
      connection: redis,
      concurrency: perWorker,
      // A worker that was killed or frozen loses its job after that, and another one takes it.
      lockDuration: Number(process.env.LOCK_MS ?? 30_000),
      stalledInterval: Number(process.env.LOCK_MS ?? 30_000) / 2,
      maxStalledCount: 10,
    },
  );
  worker.on('error', (error) => console.error(`${queueOf(server)}: ${error.message}`));
  return worker;
});

/** What is under way comes to its end; nothing new begins. The second signal ends at once. */
async function shutDown(): Promise<void> {
  process.once('SIGTERM', () => process.exit(1)).once('SIGINT', () => process.exit(1));
  await Promise.all(workers.map((worker) => worker.close()));
  await pool.close();
  redis.disconnect();
}
process.once('SIGTERM', () => void shutDown()).once('SIGINT', () => void shutDown());
