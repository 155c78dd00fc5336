// A Redis for the demo and the tests, on a free port of 127.0.0.1, which keeps on disk what it was told.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';

export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  /** Stops it, waits, and starts it again with what it has on disk. */
  restart(pauseMs: number): Promise<void>;
}

export async function startRedis(folder: string): Promise<RedisServer> {
  const port = await freePort();
  let stop = await start(folder, port);
  return {
    url: `redis://127.0.0.1:${port}`,
    restart: async (pauseMs) => {
      await stop();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      stop = await start(folder, port);
    },
    [Symbol.asyncDispose]: () => stop(),
  };
}

async function start(folder: string, port: number): Promise<() => Promise<void>> {
  const words = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder];
  const keeping = ['--appendonly', 'yes', '--appendfsync', 'always', '--save', ''];
  // Queues must not lose keys when memory is short.
  const child = spawn('redis-server', [...words, ...keeping, '--maxmemory-policy', 'noeviction'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('Ready to accept connections')) break;
  }
  child.stdout.resume();
  if (child.exitCode !== null) throw new Error('redis-server did not start');
  return async () => {
    child.kill('SIGTERM');
    await exited;
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
