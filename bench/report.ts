/** Measurements as a table. */
import type { Measurement } from './measure.js';
import type { Goal } from './scenarios.js';
import { median, type Spread, spread } from './statistics.js';

export interface Result {
  readonly id: string;
  readonly title: string;
  readonly goals: readonly Goal[];
  /** The same for scenarios that measure the same. */
  readonly key: string;
  /** By contestant, ours first; the runs of one index belong together. */
  readonly measurements: Readonly<Record<string, readonly Measurement[]>>;
}

const OURS = 'tsftp';
const MIB = 1024 ** 2;

/** What the table shows of the runs of one contestant. */
const COLUMNS: Readonly<
  Record<string, (runs: readonly Measurement[], ours: readonly Measurement[]) => string>
> = {
  'seconds: median (min–max)': (runs) => format(spread(runs.map(({ wallSeconds }) => wallSeconds))),
  'MiB/s': (runs) => {
    const rates = runs.map(({ bytes, wallSeconds }) => bytes / MIB / wallSeconds);
    return runs[0]?.bytes ? median(rates).toFixed(0) : '';
  },
  'CPU seconds': (runs) => format(spread(runs.map(({ cpuSeconds }) => cpuSeconds))),
  '… per GiB': (runs) => {
    const costs = runs.map(({ bytes, cpuSeconds }) => cpuSeconds / (bytes / 1024 ** 3));
    return (runs[0]?.bytes ?? 0) > 64 * MIB ? median(costs).toFixed(2) : '';
  },
  'tsftp is faster by': (runs, ours) =>
    runs === ours || runs[0]?.bytes !== ours[0]?.bytes ? '' : format(spread(ratiosTo(ours, runs))),
  'peak MiB': (runs) => figure(runs, 'rssMiB', 0),
  'event loop p99, ms': (runs) => figure(runs, 'loopDelayP99Ms', 1),
};

function figure(runs: readonly Measurement[], name: string, digits: number): string {
  const told = runs.flatMap(({ extra }) => extra[name] ?? []);
  return told.length === 0 ? '' : median(told).toFixed(digits);
}

export function renderTable(results: readonly Result[]): string {
  return results.map(renderResult).join('\n');
}

function renderResult({ id, title, goals, measurements }: Result): string {
  const ours = measurements[OURS] ?? [];
  const rows = Object.entries(measurements).map(([name, runs]) => {
    const cells = Object.values(COLUMNS).map((cell) => cell(runs, ours));
    return `| ${[name, ...cells].join(' | ')} |`;
  });
  return [
    `### ${id}: ${title}`,
    '',
    `| | ${Object.keys(COLUMNS).join(' | ')} |`,
    `|---|${'---:|'.repeat(Object.keys(COLUMNS).length)}`,
    ...rows,
    '',
    ...goals.map((goal) => `- ${renderGoal(goal, measurements)}`),
    '',
  ].join('\n');
}

function renderGoal(goal: Goal, measurements: Result['measurements']): string {
  const ours = measurements[OURS] ?? [];
  if ('figure' in goal) return renderFigure(goal, ours, measurements);
  const { peer } = goal;
  const theirs = measurements[peer];
  if (theirs === undefined) return `not measured: ${peer} took no part`;
  if ('cpuAtMost' in goal) {
    const times = median(
      ours.map(({ cpuSeconds }, run) => cpuSeconds / (theirs[run]?.cpuSeconds ?? Number.NaN)),
    );
    const reached = verdict(times <= goal.cpuAtMost);
    return `${reached}: ${times.toFixed(2)} × the CPU seconds of ${peer}, to reach at most ${goal.cpuAtMost}`;
  }
  const speed = median(ratiosTo(ours, theirs));
  const reached = verdict(speed >= goal.atLeast);
  return `${reached}: ${speed.toFixed(2)} × as fast as ${peer}, to reach ${goal.atLeast.toFixed(2)}`;
}

function renderFigure(
  { figure: name, atMost, timesThatOf }: Extract<Goal, { readonly figure: string }>,
  ours: readonly Measurement[],
  measurements: Result['measurements'],
): string {
  const of = (runs: readonly Measurement[]) => median(runs.map(({ extra }) => extra[name] ?? Number.NaN));
  if (timesThatOf === undefined) {
    const value = of(ours);
    return `${verdict(value <= atMost)}: ${name} ${value.toFixed(2)}, to reach at most ${atMost}`;
  }
  const times = of(ours) / of(measurements[timesThatOf] ?? []);
  return `${verdict(times <= atMost)}: ${name} ${times.toFixed(2)} × that of ${timesThatOf}, to reach at most ${atMost}`;
}

const verdict = (isReached: boolean) => (isReached ? 'reached' : 'NOT reached');

/** How many times as long the peer took, pair by pair. */
function ratiosTo(ours: readonly Measurement[], peer: readonly Measurement[]): number[] {
  return peer.map(({ wallSeconds }, run) => wallSeconds / (ours[run]?.wallSeconds ?? Number.NaN));
}

function format({ min, median: middle, max }: Spread): string {
  return `${middle.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}
