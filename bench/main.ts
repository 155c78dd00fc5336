/**
 * Measures tsftp beside every other client on this machine: whole commands, one after the other in turn, and
 * what arrived is compared byte for byte. Usage:
 *
 *   npm run bench -- [--scenario S1] [--runs 5] [--peer sftp] [--json FILE] [--svg FILE] [--folder /dev/shm]
 *
 * Times on a busy machine drift; ratios of runs made in turn do so less, and the medians of these are given.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Measurement, measure } from './measure.js';
import { type Job, type Peer, peers } from './peers.js';
import { type Result, renderSvg, renderTable } from './report.js';
import { removeCopy, type Scenario, scenarios } from './scenarios.js';
import { startBenchServer } from './server.js';

const { values } = parseArgs({
  options: {
    scenario: { type: 'string', multiple: true },
    peer: { type: 'string', multiple: true },
    runs: { type: 'string', default: '5' },
    json: { type: 'string' },
    svg: { type: 'string' },
    folder: { type: 'string', default: existsSync('/dev/shm') ? '/dev/shm' : tmpdir() },
  },
});
const runs = Number(values.runs);
const chosen = scenarios.filter(({ id }) => values.scenario?.includes(id) ?? true);
if (chosen.length === 0 || !(runs >= 1)) {
  console.error(`Known scenarios: ${[...new Set(scenarios.map(({ id }) => id))].join(', ')}; --runs from 1`);
  process.exit(2);
}

execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
const folder = mkdtempSync(join(values.folder, 'tsftp-bench-'));
const results: Result[] = [];
try {
  for (const scenario of chosen) {
    results.push(await runScenario(scenario));
    console.log(renderTable(results.slice(-1)));
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);
if (values.svg !== undefined) writeFileSync(values.svg, renderSvg(results));

async function runScenario(scenario: Scenario): Promise<Result> {
  await using server = await startBenchServer(scenario.roundTripMs);
  const original = join(folder, 'original');
  const copy = join(folder, 'copy');
  removeCopy(original);
  scenario.data.make(original);
  const reads = ['get', 'getTree', 'getStream', 'list', 'walk'].includes(scenario.job);
  const paths = reads ? { local: copy, remote: original } : { local: original, remote: copy };
  const measurements = new Map<string, Measurement[]>();
  const contestants = contestantsOf(scenario);
  for (let run = 0; run < runs; run += 1) {
    for (const { name, command } of contestants) {
      removeCopy(copy);
      if (scenario.job === 'getTree' || scenario.job === 'putTree') execFileSync('mkdir', [copy]);
      const measurement = await measure(command(paths, server), server.env);
      scenario.data.compare?.(original, copy);
      measurements.set(name, [...(measurements.get(name) ?? []), measurement]);
      console.error(`${scenario.id} ${scenario.job} ${name}: ${measurement.wallSeconds} s`);
    }
  }
  return {
    id: scenario.id,
    title: scenario.title,
    goals: scenario.goals,
    measurements: Object.fromEntries(measurements),
  };
}

/** Ours first; a stream is held against the plain transfer of the same file. */
function contestantsOf({ job, without = [] }: Scenario) {
  const wanted = peers.filter(
    ({ name, isPresent }) => !without.includes(name) && (values.peer?.includes(name) ?? true) && isPresent(),
  );
  const plain: Partial<Record<Job, Job>> = { getStream: 'get', putStream: 'put' };
  const ours = peers[0];
  const plainJob = plain[job];
  const own =
    plainJob !== undefined && ours !== undefined ? [contestant(ours, plainJob, `tsftp ${plainJob}`)] : [];
  return [...wanted.map((peer) => contestant(peer, job, peer.name)), ...own].flat();
}

function contestant(peer: Peer, job: Job, name: string) {
  const command = peer.commands[job];
  return command === undefined ? [] : [{ name, command }];
}
