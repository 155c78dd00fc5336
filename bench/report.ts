/** Measurements as a table and as a picture. */
import type { Measurement } from './measure.js';
import type { Goal } from './scenarios.js';

export interface Result {
  readonly id: string;
  readonly title: string;
  readonly goals: readonly Goal[];
  /** By peer, ours first; the runs of one index belong together. */
  readonly measurements: Readonly<Record<string, readonly Measurement[]>>;
}

const OURS = 'tsftp';

export function renderTable(results: readonly Result[]): string {
  return results.map(renderResult).join('\n');
}

function renderResult({ id, title, goals, measurements }: Result): string {
  const ours = measurements[OURS] ?? [];
  const rows = Object.entries(measurements).map(([peer, runs]) => {
    const wall = spread(runs.map(({ wallSeconds }) => wallSeconds));
    const cpu = spread(runs.map(({ cpuSeconds }) => cpuSeconds));
    const ratio = spread(ratiosTo(ours, runs));
    const rss =
      runs[0]?.extra.rssMiB === undefined
        ? ''
        : spread(runs.map(({ extra }) => extra.rssMiB ?? 0)).median.toFixed(0);
    return `| ${peer} | ${format(wall)} | ${format(cpu)} | ${peer === OURS ? '' : format(ratio)} | ${rss} |`;
  });
  return [
    `### ${id}: ${title}`,
    '',
    '| | seconds: median (min–max) | CPU seconds | tsftp is faster by | peak MiB |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    ...goals.map((goal) => `- ${renderGoal(goal, measurements)}`),
    '',
  ].join('\n');
}

function renderGoal(goal: Goal, measurements: Result['measurements']): string {
  const ours = measurements[OURS] ?? [];
  if ('figure' in goal) {
    const { median } = spread(ours.map(({ extra }) => extra[goal.figure] ?? Number.NaN));
    return `${verdict(median <= goal.atMost)}: ${goal.figure} ${median.toFixed(2)}, to reach at most ${goal.atMost}`;
  }
  const peer = measurements[goal.peer];
  if (peer === undefined) return `not measured: ${goal.peer} is not here`;
  const { median } = spread(ratiosTo(ours, peer));
  const reached = verdict(median >= goal.atLeast);
  return `${reached}: ${median.toFixed(2)} × ${goal.peer}, to reach ${goal.atLeast.toFixed(2)}`;
}

const verdict = (isReached: boolean) => (isReached ? 'reached' : 'NOT reached');

/** How many times as long the peer took, pair by pair. */
function ratiosTo(ours: readonly Measurement[], peer: readonly Measurement[]): number[] {
  return peer.map(({ wallSeconds }, run) => wallSeconds / (ours[run]?.wallSeconds ?? Number.NaN));
}

interface Spread {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

function spread(figures: readonly number[]): Spread {
  const sorted = [...figures].sort((left, right) => left - right);
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN;
  const upper = sorted[Math.ceil((sorted.length - 1) / 2)] ?? Number.NaN;
  return { min: at(0), median: (at(0.5) + upper) / 2, max: at(1) };
}

function format({ min, median, max }: Spread): string {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`;
}

const BAR_HEIGHT = 18;
const WIDTH = 640;
const LABEL_WIDTH = 150;

/** One bar for each peer of each scenario, its length the median of its seconds. */
export function renderSvg(results: readonly Result[]): string {
  const lines: string[] = [];
  let y = 10;
  for (const { id, title, measurements } of results) {
    lines.push(text(0, y + 12, `${id}: ${title}`, 'bold'));
    y += BAR_HEIGHT + 4;
    const medians = Object.entries(measurements).map(
      ([peer, runs]) => [peer, spread(runs.map(({ wallSeconds }) => wallSeconds)).median] as const,
    );
    const longest = Math.max(...medians.map(([, seconds]) => seconds));
    for (const [peer, seconds] of medians) {
      const width = Math.max(1, ((WIDTH - LABEL_WIDTH - 70) * seconds) / longest);
      const colour = peer === OURS ? '#2a7' : '#99a';
      lines.push(text(10, y + 12, peer));
      lines.push(
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="14" fill="${colour}"/>`,
      );
      lines.push(text(LABEL_WIDTH + width + 6, y + 12, `${seconds.toFixed(2)} s`));
      y += BAR_HEIGHT;
    }
    y += 14;
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" font-family="sans-serif" font-size="12">`,
    '<rect width="100%" height="100%" fill="white"/>',
    ...lines,
    '</svg>\n',
  ].join('\n');
}

function text(x: number, y: number, content: string, weight = 'normal'): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" font-weight="${weight}">${escaped}</text>`;
}
