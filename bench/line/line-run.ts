/** A file over each line, both ways, with every client in turn; and what plain TCP carries there. */
import { join } from 'node:path';
import { file, MIB } from '../data.js';
import type { Job } from '../peers.js';
import { type Contestant, contestants, runOnce } from '../run.js';
import { median } from '../statistics.js';
import { type LineServer, startLineServer } from './line-server.js';
import type { LineSpec } from './line-spec.js';

export interface LineResult {
  readonly line: LineSpec;
  readonly job: Job;
  /** Mbit/s of plain TCP. */
  readonly tcpRate: number;
  /** Of whole commands, by client; none of who failed. */
  readonly seconds: Readonly<Record<string, readonly number[]>>;
}

export interface LineRunOptions {
  readonly folder: string;
  readonly runs: number;
  readonly isWanted: (name: string) => boolean;
}

/** Where packets are lost, several connections are what counts. */
const CONNECTIONS = 8;

export async function measureLine(line: LineSpec, options: LineRunOptions): Promise<readonly LineResult[]> {
  await using server = await startLineServer(line);
  const results: LineResult[] = [];
  for (const job of ['get', 'put'] as const) {
    const tcpRate = await server.tcpRate(job);
    results.push({ line, job, tcpRate, seconds: await measureJob(job, line, server, options) });
  }
  return results;
}

async function measureJob(
  job: Job,
  { name: lineName, mebibytes, lossPercent, changes }: LineSpec,
  server: LineServer,
  { folder, runs, isWanted }: LineRunOptions,
): Promise<LineResult['seconds']> {
  const data = file(mebibytes * MIB);
  const original = join(folder, 'original');
  data.make(original);
  const work = { job, data, original, copy: join(folder, 'copy'), limitSeconds: 120 };
  const all = contestants(job, isWanted).filter(({ name }) => name !== 'ssh2');
  const isLossy = lossPercent > 0 || changes !== undefined;
  const left = new Set<Contestant>([...(isLossy ? several(all) : []), ...all]);
  const seconds: Record<string, number[]> = {};
  for (let run = 0; run < runs; run += 1) {
    for (const contestant of [...left]) {
      const { name, command } = contestant;
      const env = name.includes('×') ? { ...server.env, BENCH_CONNECTIONS: String(CONNECTIONS) } : server.env;
      try {
        const { wallSeconds } = await runOnce(command, work, { ...server, env });
        seconds[name] = [...(seconds[name] ?? []), wallSeconds];
        console.error(`${lineName}, ${job}, ${name}: ${wallSeconds.toFixed(2)} s`);
      } catch (error) {
        left.delete(contestant);
        console.error(`${lineName}, ${job}: ${name} is left out: ${error}`);
      }
    }
  }
  return seconds;
}

function several(all: readonly Contestant[]): readonly Contestant[] {
  return all
    .filter(({ name }) => name === 'tsftp')
    .map((own) => ({ ...own, name: `tsftp × ${CONNECTIONS}` }));
}

/** As Markdown: medians in seconds, and what the line would take at best. */
export function renderLineTable(results: readonly LineResult[]): string {
  const names = [...new Set(results.flatMap(({ seconds }) => Object.keys(seconds)))];
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const head = ['line', 'round trip, rate, loss, queue', 'job', 'TCP alone, Mbit/s', 'at best', ...names];
  return [
    row(head),
    row(head.map(() => '---')),
    ...results.map(({ line, job, tcpRate, seconds }) => {
      const { name, mebibytes, mbitPerSecond, roundTripMs, lossPercent, queueKib } = line;
      const best = (mebibytes * 8.389) / mbitPerSecond;
      const times = names.map((peer) => (seconds[peer] ? median(seconds[peer]).toFixed(2) : '–'));
      return row([
        name,
        `${roundTripMs} ms, ${mbitPerSecond} Mbit/s, ${lossPercent} %, ${queueKib} KiB`,
        `${job} ${mebibytes} MiB`,
        tcpRate.toFixed(1),
        best.toFixed(2),
        ...times,
      ]);
    }),
  ].join('\n');
}
