/**
 * `npm run fuzz -- --packets 1000000 [--seed 1] [--only session]`. Fails on a crash, a hang, an unhandled rejection, or
 * memory that grows by more than 64 MiB.
 */
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { type CaseName, cases } from './cases.js';
import { fuzz, SHARES } from './run.js';

const MIB = 1024 * 1024;
const MAX_GROWTH = 64 * MIB;

const { values } = parseArgs({
  options: {
    packets: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    only: { type: 'string' },
  },
});
const packets = Number(values.packets);
const seed = Number(values.seed);
const names = (Object.keys(cases) as CaseName[]).filter((name) => (values.only ?? name) === name);
if (!(packets > 0) || !Number.isInteger(seed) || names.length === 0) {
  console.error(`Give --packets and --seed as numbers, --only as one of ${Object.keys(cases).join(', ')}.`);
  process.exit(2);
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What is in use and what the process holds. */
function memory(): number {
  collect();
  return process.memoryUsage().rss;
}

process.on('unhandledRejection', (reason) => {
  console.error('A rejection that nobody handles:', reason);
  process.exit(1);
});

console.log(`${packets} packets, --seed ${seed}`);
for (const name of names) {
  const share = names.length === 1 ? packets : Math.ceil((packets * SHARES[name]) / 100);
  const begin = performance.now();
  // What is loaded and compiled by the first cases is no growth.
  await fuzz(name, { seed: seed + 1, packets: Math.ceil(share / 20) });
  const before = memory();
  const result = await fuzz(name, { seed, packets: share }).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
  const growth = memory() - before;
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  const grown = `${(growth / MIB).toFixed(1)} MiB`;
  console.log(
    `${name}: ${result.packets} packets in ${result.runs} cases, ${seconds} s, memory ${grown} more`,
  );
  if (growth > MAX_GROWTH) {
    console.error(`${name}: memory has grown by ${grown}`);
    process.exit(1);
  }
}
