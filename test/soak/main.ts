/**
 * `npm run soak`: a connection in use for a long time, on a server that is disturbed, and what is left of it.
 *
 *     npm run soak -- --minutes 10 --seed 1
 */
import { parseArgs } from 'node:util';
import { assertFlat, runSoak } from '../support/soak-run.js';

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string', default: '1' } },
});
const print = (what: unknown) =>
  process.stdout.write(`${typeof what === 'string' ? what : JSON.stringify(what)}\n`);
const figures = await runSoak({
  durationMs: Number(values.minutes) * 60_000,
  seed: Number(values.seed),
  onRound: print,
});
print({ calls: figures.calls, outcomes: figures.outcomes });
for (const problem of figures.problems) print(problem);
assertFlat(figures);
