/** How the time grows: with the size of a file, with the number of files, and with the round trip. */
import { join } from 'node:path';
import { type Data, file, MIB, removeCopy, smallFiles } from './data.js';
import { startLineServer } from './line/line-server.js';
import { type LineSpec, parseLine } from './line/line-spec.js';
import { TooSlow } from './measure.js';
import type { Job } from './peers.js';
import { type Contestant, contestants, runOnce } from './run.js';
import type { RunOptions } from './scenario-run.js';
import { type BenchServer, startBenchServer } from './server.js';
import { type Spread, spread } from './statistics.js';

interface Panel {
  readonly title: string;
  readonly job: Job;
  readonly data: (point: number) => Data;
  readonly roundTripMs?: (point: number) => number;
  /** A network with a bottleneck in place of loopback. */
  readonly line?: (point: number) => LineSpec;
}

interface Range {
  /** What grows, and how a value of it is written. */
  readonly axis: string;
  readonly write: (point: number) => string;
  readonly points: readonly number[];
  readonly panels: readonly Panel[];
}

const KIB = 1024;
const GIB = 1024 * MIB;

export type RangeName = 'size' | 'files' | 'rtt' | 'line-rtt' | 'line-rate' | 'line-loss';

/** One file over a network with a bottleneck, both ways. */
function overLines(lineOf: (point: number) => string): readonly Panel[] {
  return (['get', 'put'] as const).map((job) => ({
    title: `${job} a file that takes 2.5 s at best`,
    job,
    data: (point) => file(parseLine(lineOf(point)).mebibytes * MIB),
    line: (point) => parseLine(lineOf(point)),
  }));
}

export const RANGES: Readonly<Record<RangeName, Range>> = {
  size: {
    axis: 'size of the file',
    write: writeBytes,
    points: [KIB, 8 * KIB, 64 * KIB, 512 * KIB, 4 * MIB, 32 * MIB, 256 * MIB, 2 * GIB, 4 * GIB],
    panels: [
      { title: 'get one file', job: 'get', data: file },
      { title: 'put one file', job: 'put', data: file },
    ],
  },
  files: {
    axis: 'number of files of 200 to 8,000 bytes',
    write: (count) => count.toLocaleString('en'),
    points: [1, 10, 100, 1000, 10_000, 100_000],
    panels: [
      { title: 'get a tree', job: 'getTree', data: smallFiles },
      { title: 'put a tree', job: 'putTree', data: smallFiles },
    ],
  },
  rtt: {
    axis: 'round trip',
    write: (milliseconds) => `${milliseconds} ms`,
    points: [0, 1, 5, 20, 50, 100, 200],
    panels: (
      [
        ['get 64 MiB', 'get', file(64 * MIB)],
        ['put 64 MiB', 'put', file(64 * MIB)],
        ['get 200 small files', 'getTree', smallFiles(200)],
        ['put 200 small files', 'putTree', smallFiles(200)],
      ] as const
    ).map(([title, job, data]) => ({ title, job, data: () => data, roundTripMs: (point) => point })),
  },
  'line-rtt': {
    axis: 'round trip at 100 Mbit/s, a queue of 512 KiB',
    write: (milliseconds) => `${milliseconds} ms`,
    points: [5, 20, 50, 100, 200],
    panels: overLines((milliseconds) => `100mbit ${milliseconds}ms 512k`),
  },
  'line-rate': {
    axis: 'rate with a round trip of 30 ms, a queue of 512 KiB',
    write: (mbit) => `${mbit} Mbit/s`,
    points: [5, 20, 100, 400],
    panels: overLines((mbit) => `${mbit}mbit 30ms 512k`),
  },
  'line-loss': {
    axis: 'packets that are lost at 20 Mbit/s and 50 ms',
    write: (percent) => `${percent} %`,
    points: [0.01, 0.1, 0.5, 1, 2],
    panels: overLines((percent) => `20mbit 50ms ${percent}% 256k`),
  },
};

export function isRangeName(name: string | undefined): name is RangeName {
  return name !== undefined && Object.hasOwn(RANGES, name);
}

/** The seconds of each contestant, point by point; whoever was too slow has none at the larger ones. */
export interface RangeResult {
  readonly name: RangeName;
  readonly axis: string;
  readonly panels: readonly {
    readonly title: string;
    readonly series: Readonly<Record<string, readonly (Spread & { readonly point: number })[]>>;
  }[];
}

export interface RangeOptions extends RunOptions {
  readonly points?: readonly number[] | undefined;
  /** Whoever has taken longer at one point is left out at the larger ones. */
  readonly capSeconds: number;
  /** Gets all that is known after each point: the larger ones take long. */
  readonly onPoint: (result: RangeResult) => void;
}

/** A second look at what takes so long tells nothing new. */
const LONG_SECONDS = 10;

export async function measureRange(name: RangeName, options: RangeOptions): Promise<void> {
  const { axis, points, panels } = RANGES[name];
  const series: Record<string, (Spread & { point: number })[]>[] = panels.map(() => ({}));
  const left = panels.map(({ job }) => new Set(contestants(job, options.isWanted)));
  for (const point of options.points ?? points) {
    for (const [index, panel] of panels.entries()) {
      await using server = await startServerFor(panel, point);
      const measured = await measurePoint(panel, point, left[index] ?? new Set(), server, options);
      for (const [peer, seconds] of measured) {
        const figures = { point, ...spread(seconds) };
        const own = series[index] ?? {};
        own[peer] = [...(own[peer] ?? []), figures];
        console.error(
          `${panel.title}, ${RANGES[name].write(point)}, ${peer}: ${figures.median.toFixed(2)} s`,
        );
      }
    }
    options.onPoint({
      name,
      axis,
      panels: panels.map(({ title }, index) => ({ title, series: series[index] ?? {} })),
    });
  }
}

function startServerFor({ line, roundTripMs }: Panel, point: number): Promise<BenchServer> {
  return line === undefined ? startBenchServer(roundTripMs?.(point) ?? 0) : startLineServer(line(point));
}

/** Takes those out of `left` that are too slow for the next point, or fail. */
async function measurePoint(
  { job, data, title }: Panel,
  point: number,
  left: Set<Contestant>,
  server: BenchServer,
  { folder, runs, capSeconds }: RangeOptions,
): Promise<ReadonlyMap<string, number[]>> {
  const original = join(folder, 'original');
  const own = data(point);
  const work = { job, data: own, original, copy: join(folder, 'copy'), limitSeconds: 2 * capSeconds };
  const measured = new Map<string, number[]>();
  own.make(original);
  for (let run = 0; run < runs; run += 1) {
    for (const contestant of [...left]) {
      const { name, command } = contestant;
      const before = measured.get(name) ?? [];
      if (Math.max(0, ...before) > LONG_SECONDS) continue;
      try {
        const { wallSeconds } = await runOnce(command, work, server);
        measured.set(name, [...before, wallSeconds]);
      } catch (error) {
        left.delete(contestant);
        console.error(`${title}: ${name} is left out: ${error instanceof TooSlow ? error.message : error}`);
      }
    }
  }
  removeCopy(original);
  for (const contestant of left) {
    if (Math.max(0, ...(measured.get(contestant.name) ?? [])) > capSeconds) left.delete(contestant);
  }
  return measured;
}

function writeBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  return `${bytes / 1024 ** power} ${units[power]}`;
}
