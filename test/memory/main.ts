/**
 * `npm run memory`: how much memory a client takes at most in each phase, from servers that mean harm, as a table.
 *
 *     npm run memory -- --only walk        those whose phase or attack holds the word
 *     npm run memory -- --seconds 60       each until its end, or for so long: `went on` says that it had no end by then
 */
import { parseArgs } from 'node:util';
import { measure, withoutProc } from './measure.js';
import { type Scenario, scenarios } from './scenarios.js';

const LIMIT_MIB = 256;
/** Half an hour is enough for all of them. */
const MAX_SECONDS = '9';
const AT_ONCE = 2;

const { values } = parseArgs({
  options: { only: { type: 'string', default: '' }, seconds: { type: 'string', default: MAX_SECONDS } },
});
const maxMs = Number(values.seconds) * 1000;
if (withoutProc) throw new Error(withoutProc);
process.stdout.write('| phase | what the server sends | peak growth | outcome |\n|---|---|--:|---|\n');
const chosen = scenarios.filter(({ phase, attack }) => `${phase}: ${attack}`.includes(values.only));
const rows = new Map<number, string>();
let excess = 0;
let begun = 0;
let shown = 0;

/** Each client has a process of its own, so that two at once do not disturb each other's figures. */
async function work(): Promise<void> {
  for (let index = begun++; index < chosen.length; index = begun++) {
    const scenario = chosen[index];
    if (scenario === undefined) return;
    rows.set(index, await measured(scenario));
    for (let row = rows.get(shown); row !== undefined; row = rows.get(shown)) {
      process.stdout.write(row);
      shown += 1;
    }
  }
}

async function measured(scenario: Scenario): Promise<string> {
  const { growthMib, outcome, seconds } = await measure(scenario, Math.max(scenario.maxMs ?? 0, maxMs)).catch(
    (error) => ({
      growthMib: Number.POSITIVE_INFINITY,
      outcome: String(error).replaceAll('\n', ' ').slice(0, 300),
      seconds: 0,
    }),
  );
  if (growthMib > LIMIT_MIB) excess += 1;
  const mark = growthMib > LIMIT_MIB ? ' !' : '';
  const { phase, attack } = scenario;
  return `| ${phase} | ${attack} | ${Math.round(growthMib)} MiB${mark} | ${outcome} (${seconds.toFixed(1)} s) |\n`;
}

await Promise.all(Array.from({ length: AT_ONCE }, work));
process.exit(excess === 0 ? 0 : 1);
