/** How much memory a client takes at most while a server means harm: in a process of its own, by the kernel's count. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from '../support/child.js';
import type { Scenario } from './scenarios.js';

/** The reason to skip the measurements, or `false`. */
export const withoutProc = existsSync('/proc/self/clear_refs')
  ? false
  : 'needs Linux: its /proc tells the peak of memory';

/** Whatever goes on for longer is measured until then: what grows without a limit has grown beyond it by then. */
const MAX_MS = 30_000;

export interface Measurement {
  readonly growthMib: number;
  /** The code of the error, or that there was none. */
  readonly outcome: string;
  readonly seconds: number;
}

const SCRIPT = `
  const { readFileSync, writeFileSync } = await import('node:fs');
  const { setTimeout: wait } = await import('node:timers/promises');
  const peakMib = () => Number(/VmHWM:\\s+(\\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
  const { folder } = input;
  const options = { ...input.options };
  if (options.asks) options.cnopts = { ...options.cnopts, onPrompt: ({ prompts }) => prompts.map(() => 'x') };
  delete options.asks;
  if (options.compression) options.cnopts = { ...options.cnopts, compression: true };
  delete options.compression;
  const connecting = () => tsftp.connect('127.0.0.1', options);
  const sftp = input.act === undefined ? undefined : await connecting();
  writeFileSync('/proc/self/clear_refs', '5');
  const startMib = peakMib();
  const startMs = performance.now();
  const act = async () => {
    if (input.act === undefined) return connecting();
    const { constructor: AsyncFunction } = async function () {};
    return new AsyncFunction('sftp', 'folder', 'wait', input.act)(sftp, folder, wait);
  };
  const outcome = await Promise.race([
    act().then(() => 'completed', (error) => error?.code ?? error?.name ?? String(error)),
    wait(input.maxMs, 'went on'),
  ]);
  const growthMib = Math.max(0, peakMib() - startMib);
  const seconds = (performance.now() - startMs) / 1000;
  console.log(JSON.stringify({ growthMib, outcome, seconds }));
  process.exit(0);`;

export async function measure({ start, act, options = {} }: Scenario, maxMs = MAX_MS): Promise<Measurement> {
  const ends: (() => unknown)[] = [];
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-memory-'));
  try {
    const port = await start({ after: (end) => void ends.push(end as () => unknown) });
    const cnopts = { hostkeys: null, agent: false };
    const login = { port, username: 'me', password: 'secret', connectTimeout: 8_000, cnopts, ...options };
    const input = { folder, act, options: login, maxMs };
    const { exitCode, stdout, stderr } = await runChild(SCRIPT, input, { deadlineMs: 2 * maxMs + 60_000 });
    if (exitCode !== 0) throw new Error(`The client ended with ${exitCode}: ${stderr}`);
    return JSON.parse(stdout) as Measurement;
  } finally {
    for (const end of ends) await end();
    await rm(folder, { recursive: true, force: true });
  }
}
