/** A file or a tree over each line, both ways, with every client in turn; and what plain TCP carries there. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Data, file, MIB, sameFiles } from '../data.js';
import { type Contestant, contestants, runOnce } from '../run.js';
import { median } from '../statistics.js';
import { type LineServer, startLineServer } from './line-server.js';
import type { LineSpec } from './line-spec.js';

export interface LineResult {
  readonly line: LineSpec;
  readonly job: LineJob;
  /** Mbit/s of plain TCP. */
  readonly tcpRate: number;
  /** Of whole commands, by client; none of who failed. Of a `stat` meanwhile where that is the job, at the 95th percentile. */
  readonly seconds: Readonly<Record<string, readonly number[]>>;
}

export interface LineRunOptions {
  readonly folder: string;
  readonly runs: number;
  readonly isWanted: (name: string) => boolean;
  readonly jobs: readonly LineJob[];
}

export const LINE_JOBS = ['get', 'put', 'getTree', 'putTree', 'getAndStat', 'putAndStat'] as const;
export type LineJob = (typeof LINE_JOBS)[number];

/** Where packets are lost, several connections are what counts. */
const CONNECTIONS = 8;

export async function measureLine(line: LineSpec, options: LineRunOptions): Promise<readonly LineResult[]> {
  await using server = await startLineServer(line);
  const results: LineResult[] = [];
  for (const job of options.jobs) {
    const tcpRate = await server.tcpRate(job.startsWith('get') ? 'get' : 'put');
    results.push({ line, job, tcpRate, seconds: await measureJob(job, line, server, options) });
  }
  return results;
}

async function measureJob(
  job: LineJob,
  line: LineSpec,
  server: LineServer,
  { folder, runs, isWanted }: LineRunOptions,
): Promise<LineResult['seconds']> {
  const { name: lineName, lossPercent, changes } = line;
  const data = dataOf(job, line);
  const original = join(folder, 'original');
  rmSync(original, { recursive: true, force: true });
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
        // On a line that changes, all of them meet the same in one run, and something else in the next.
        server.changeFrom(run);
        const { wallSeconds, extra } = await runOnce(command, work, { ...server, env });
        const took = extra.statP95Seconds ?? wallSeconds;
        seconds[name] = [...(seconds[name] ?? []), took];
        console.error(`${lineName}, ${job}, ${name}: ${took.toFixed(2)} s`);
      } catch (error) {
        left.delete(contestant);
        console.error(`${lineName}, ${job}: ${name} is left out: ${error}`);
      }
    }
  }
  return seconds;
}

function isTree(job: LineJob): boolean {
  return job === 'getTree' || job === 'putTree';
}

function dataOf(job: LineJob, { mebibytes }: LineSpec): Data {
  return isTree(job) ? sameFiles(300, 4096) : file(mebibytes * MIB);
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
      const best = isTree(job) ? '–' : ((mebibytes * 8.389) / mbitPerSecond).toFixed(2);
      const times = names.map((peer) => (seconds[peer] ? median(seconds[peer]).toFixed(2) : '–'));
      return row([
        name,
        `${roundTripMs} ms, ${mbitPerSecond} Mbit/s, ${lossPercent} %, ${queueKib} KiB`,
        isTree(job) ? `${job}, 300 files of 4 KiB` : `${job} ${mebibytes} MiB`,
        tcpRate.toFixed(1),
        best,
        ...times,
      ]);
    }),
  ].join('\n');
}
