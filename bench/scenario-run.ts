/** A scenario from the making of its data to its measurements. */
import { join } from 'node:path';
import { removeCopy } from './data.js';
import type { Measurement } from './measure.js';
import { type Job, peers } from './peers.js';
import type { Result } from './report.js';
import { type Contestant, contestant, contestants, runOnce } from './run.js';
import type { Scenario } from './scenarios.js';
import { startBenchServer } from './server.js';

export interface RunOptions {
  readonly folder: string;
  readonly runs: number;
  readonly isWanted: (peer: string) => boolean;
}

/** Streams are held against the plain transfer of the same file. */
const PLAIN_JOBS: Partial<Record<Job, Job>> = {
  getStream: 'get',
  putStream: 'put',
  getStreamSmall: 'get',
  putStreamSmall: 'put',
};

/** What an earlier scenario has measured with the same data is not measured again. */
export async function measureScenario(
  scenario: Scenario,
  earlier: readonly Result[],
  options: RunOptions,
): Promise<Result> {
  const { id, title, goals, job, roundTripMs, data, without = [] } = scenario;
  const key = `${job} of ${data.name}, ${roundTripMs} ms`;
  const known = scenario.also === undefined ? earlier.find((result) => result.key === key) : undefined;
  if (known !== undefined) {
    const measurements = Object.entries(known.measurements).filter(([name]) => !without.includes(name));
    return { id, title, goals, key, measurements: Object.fromEntries(measurements) };
  }
  return { id, title, goals, key, measurements: await measureAll(scenario, options) };
}

async function measureAll(
  scenario: Scenario,
  { folder, runs, isWanted }: RunOptions,
): Promise<Result['measurements']> {
  const { id, job, roundTripMs, data } = scenario;
  await using server = await startBenchServer(roundTripMs);
  const copy = join(folder, 'copy');
  const all = contestantsOf(scenario, isWanted);
  const originals = new Map(
    [data, ...all.flatMap((one) => one.data ?? [])].map((one) => [one, originalOf(folder, one.name)]),
  );
  for (const [one, path] of originals) one.make(path);
  const measurements: Record<string, Measurement[]> = {};
  for (let run = 0; run < runs; run += 1) {
    for (const { name, command, data: own = data } of all) {
      const work = { job, data: own, original: originals.get(own) ?? '', copy };
      const measurement = await runOnce(command, work, server);
      measurements[name] = [...(measurements[name] ?? []), measurement];
      console.error(`${id} ${job} ${name}: ${measurement.wallSeconds} s`);
    }
  }
  for (const path of originals.values()) removeCopy(path);
  return measurements;
}

function originalOf(folder: string, name: string): string {
  return join(folder, name.replaceAll(' ', '-'));
}

function contestantsOf(
  { job, also, without = [] }: Scenario,
  isWanted: (peer: string) => boolean,
): readonly Contestant[] {
  const all = contestants(job, (name) => isWanted(name) && !without.includes(name));
  const plain = PLAIN_JOBS[job];
  const ours = peers.filter(({ name }) => name === 'tsftp');
  return [
    ...all,
    ...ours.flatMap((peer) => (plain === undefined ? [] : contestant(peer, plain, `tsftp ${plain}`))),
    ...ours.flatMap((peer) =>
      also === undefined ? [] : contestant(peer, job, also.name).map((one) => ({ ...one, data: also.data })),
    ),
  ];
}
