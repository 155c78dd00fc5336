/** A long line made of loopback; see delay-proxy.mjs, which runs in a process of its own so as not to be the bottleneck. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface DelayProxy extends AsyncDisposable {
  readonly port: number;
}

/** Leads to `targetPort` on this machine, with half of `roundTripMs` in each direction. */
export async function startDelayProxy(targetPort: number, roundTripMs: number): Promise<DelayProxy> {
  const program = fileURLToPath(new URL('delay-proxy.mjs', import.meta.url));
  const child = spawn(process.execPath, [program, String(targetPort), String(roundTripMs)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', (text) => resolve(Number(text)));
  });
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill();
      await exited;
    },
  };
}
