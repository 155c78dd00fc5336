/** Many connects and closes, one after the other: what stays in memory and open. */
import { existsSync, readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { ServerUnderTest } from './servers.js';

export interface ConnectFigures {
  readonly connects: number;
  /** Descriptors, and sockets, timers and the like, more than at the beginning. */
  readonly descriptors: number;
  readonly resources: number;
  /** Bytes of heap more than at the beginning, for each connect. */
  readonly bytesPerConnect: number;
}

/** So many first, until everything is loaded and compiled. */
const WARM_UP = 20;
const SETTLE_MS = 5000;

export async function runConnects(server: ServerUnderTest, connects: number): Promise<ConnectFigures> {
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const idle = await idleResources();
  const once = async () => {
    const sftp = await server.connect();
    await sftp.listdir(server.path(''));
    await sftp.close();
  };
  const measure = async () => {
    // The server may close its end last, in this process too.
    const deadline = performance.now() + SETTLE_MS;
    while (process.getActiveResourcesInfo().length > idle && performance.now() < deadline)
      await new Promise(setImmediate);
    collect();
    return {
      heap: process.memoryUsage().heapUsed,
      descriptors: existsSync('/proc/self/fd') ? readdirSync('/proc/self/fd').length : 0,
      resources: process.getActiveResourcesInfo().length,
    };
  };
  for (let index = 0; index < WARM_UP; index += 1) await once();
  const before = await measure();
  for (let index = 0; index < connects; index += 1) await once();
  const after = await measure();
  return {
    connects,
    descriptors: after.descriptors - before.descriptors,
    resources: after.resources - before.resources,
    bytesPerConnect: Math.round((after.heap - before.heap) / connects),
  };
}

/** What is there without a connection, once the timers of what was before have run out. */
async function idleResources(): Promise<number> {
  const deadline = performance.now() + SETTLE_MS;
  while (process.getActiveResourcesInfo().includes('Timeout') && performance.now() < deadline)
    await new Promise(setImmediate);
  return process.getActiveResourcesInfo().length;
}
