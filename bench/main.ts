/** Measures tsftp beside every other client on this machine; see `--help` and docs/performance.md. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { renderBars } from './bars.js';
import { LINE_JOBS, type LineResult, measureLine, renderLineTable } from './line/line-run.js';
import { linesOf } from './line/line-spec.js';
import { missingForLines } from './line/network.js';
import { renderPlot } from './plot.js';
import { isRangeName, measureRange, RANGES, type RangeResult } from './ranges.js';
import { type Result, renderTable } from './report.js';
import { measureScenario } from './scenario-run.js';
import { scenarios } from './scenarios.js';

const HELP = `npm run bench -- [options]

Runs whole commands, ours and those of every other client on this machine, one after the other in turn, and
compares what arrived byte for byte. Times on a busy machine drift; ratios of runs made in turn do so less,
and the medians of these are given.

  --scenario S1    a scenario, may be given several times; all of them unless given
  --range NAME     in place of scenarios: how the time grows with \`size\`, \`files\` or \`rtt\`
                   or how the time over a bottleneck grows: \`line-rtt\`, \`line-rate\`, \`line-loss\`
  --line all       in place of scenarios: over networks with a bottleneck, with real TCP; one of office, dsl, ocean, slow,
                   bloat, lossy, bad and wild, all of them, or one of your own: '100mbit 50ms 0.1% 512k'
  --job getTree    over each of these lines, in place of get and put: getTree and putTree, of 300 files of 4 KiB, or
                   getAndStat and putAndStat, which tell how long a \`stat\` takes meanwhile; may be given several times
  --points 1,10    only these points of the range
  --cap 60         whoever has taken more seconds at one point of a range is left out at the larger ones
  --runs 5         how often each is run; in a range once at most where a run takes more than ten seconds
  --peer sftp      only this one beside ours, may be given several times
  --json FILE      all measurements
  --svg FILE       a picture
  --folder DIR     where the data lies: /dev/shm where there is one
`;

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    range: { type: 'string' },
    line: { type: 'string', multiple: true },
    job: { type: 'string', multiple: true, default: ['get', 'put'] },
    points: { type: 'string' },
    cap: { type: 'string', default: '60' },
    peer: { type: 'string', multiple: true },
    runs: { type: 'string', default: '5' },
    json: { type: 'string' },
    svg: { type: 'string' },
    folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
    help: { type: 'boolean', default: false },
  },
});

function fail(message: string): never {
  console.error(`${message}\n\n${HELP}`);
  process.exit(2);
}

if (values.help) {
  console.log(HELP);
  process.exit(0);
}
const runs = Number(values.runs);
const chosen = scenarios.filter(({ id }) => values.scenario?.includes(id) ?? true);
if (!(runs >= 1)) fail('--runs is a number from 1');
if (chosen.length === 0) fail(`Known scenarios: ${[...new Set(scenarios.map(({ id }) => id))].join(', ')}`);
if (values.range !== undefined && !isRangeName(values.range)) {
  fail(`Known ranges: ${Object.keys(RANGES).join(', ')}`);
}

const jobs = LINE_JOBS.filter((job) => values.job.includes(job));
if (jobs.length < new Set(values.job).size) fail(`Known jobs: ${LINE_JOBS.join(', ')}`);

if (values.line !== undefined || values.range?.startsWith('line-')) {
  const missing = missingForLines();
  if (missing.length > 0)
    fail(`Networks with a bottleneck cannot be made here. Missing: ${missing.join('; ')}`);
}
const lines = (values.line ?? []).flatMap((text) => {
  try {
    return linesOf(text);
  } catch (error) {
    return fail(String(error));
  }
});

execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
const folder = mkdtempSync(join(values.folder, 'tsftp-bench-'));
const isWanted = (name: string) => name === 'tsftp' || (values.peer?.includes(name) ?? true);
const save = (file: string | undefined, text: string) => {
  if (file !== undefined) writeFileSync(file, text);
};
const asJson = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
try {
  if (isRangeName(values.range)) {
    const points = values.points?.split(',').map(Number);
    const capSeconds = Number(values.cap);
    const onPoint = (result: RangeResult) => {
      save(values.json, asJson(result));
      save(values.svg, renderPlot(result));
    };
    await measureRange(values.range, { folder, runs, isWanted, points, capSeconds, onPoint });
  } else if (lines.length > 0) {
    const results: LineResult[] = [];
    for (const line of lines) {
      results.push(...(await measureLine(line, { folder, runs, isWanted, jobs })));
      save(values.json, asJson(results));
    }
    console.log(renderLineTable(results));
  } else {
    const results: Result[] = [];
    for (const scenario of chosen) {
      results.push(await measureScenario(scenario, results, { folder, runs, isWanted }));
      console.log(renderTable(results.slice(-1)));
    }
    save(values.json, asJson(results));
    save(values.svg, renderBars(results));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
