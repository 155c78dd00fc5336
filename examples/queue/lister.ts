// Puts what is new on each server into its queue, again and again. Any number of listers may run: the same step has the
// same id, and BullMQ takes each id once.
import { setTimeout as wait } from 'node:timers/promises';
import { Queue } from 'bullmq';
import { ConnectionPool, planMirror, type ServerDescription } from 'tsftp/jobs';
import { limitAcrossMachines } from './limit.js';
import { connectRedis, type FetchJob, folderOf, queueOf, readSettings, resolveServer } from './settings.js';

const settings = readSettings();
const redis = connectRedis();
const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort());
await using pool = new ConnectionPool({
  resolve: resolveServer,
  maxPerServer: 1,
  idleTimeout: 0,
  connectsPerMinute: Number(process.env.CONNECTS_PER_MINUTE ?? 30),
  acquire: limitAcrossMachines(redis),
});

async function list(server: ServerDescription): Promise<number> {
  const queue = new Queue<FetchJob>(queueOf(server), { connection: redis });
  try {
    await using lease = await pool.lease(server, { signal: stop.signal });
    const target = folderOf(settings.target, server);
    let count = 0;
    for await (const step of planMirror(lease.connection, settings.source, target, { direction: 'down' })) {
      if (step.type !== 'file') continue;
      await queue.add(
        'fetch',
        { server, step },
        {
          jobId: step.id,
          // What may work later is tried for an hour or so, and is a dead letter then.
          attempts: 20,
          backoff: { type: 'exponential', delay: 500, jitter: 0.5 },
          // They are remembered, so that a listing that is out of date adds nothing twice.
          removeOnComplete: { age: 24 * 60 * 60, count: 1_000_000 },
          removeOnFail: false,
        },
      );
      count += 1;
    }
    return count;
  } finally {
    await queue.close();
  }
}

async function keepListing(server: ServerDescription): Promise<void> {
  while (!stop.signal.aborted) {
    try {
      const count = await list(server);
      console.log(JSON.stringify({ event: 'listed', queue: queueOf(server), count }));
      if (process.env.LIST_ONCE) return;
    } catch (error) {
      if (!stop.signal.aborted) console.error(`${queueOf(server)}: ${String(error)}`);
    }
    await wait(Number(process.env.LIST_EVERY_MS ?? 10_000), undefined, { signal: stop.signal }).catch(
      () => {},
    );
  }
}

await Promise.all(settings.servers.map(keepListing));
await pool.close();
redis.disconnect();
