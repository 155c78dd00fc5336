/**
 * `npm run faults`: transfers over a line that breaks at random places, and the figures.
 *
 *     npm run faults -- --cuts 300 --seed 1 --server openssh
 *     npm run faults -- --line lossy --connections 4   over a network that loses packets, and over several connections
 *     npm run faults -- --cuts 0 --kills 50        programs that are killed in the middle of a transfer
 *     npm run faults -- --cuts 0 --connects 1000   what connecting leaves in memory
 *     npm run faults -- --cuts 0 --harm 5000       trees onto trees that exist, where something fails
 */
import { parseArgs } from 'node:util';
import { runConnects } from '../support/connect-run.js';
import { runFaults } from '../support/fault-run.js';
import { runHarm } from '../support/harm-run.js';
import { runKills } from '../support/kill-run.js';
import { runBehind, serverBehind } from '../support/line-under-test.js';
import { serverKinds } from '../support/servers.js';

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '300' },
    kills: { type: 'string', default: '0' },
    connects: { type: 'string', default: '0' },
    harm: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    server: { type: 'string', default: 'embedded' },
    line: { type: 'string' },
    connections: { type: 'string', default: '1' },
  },
});
const [cuts, kills, connects, harm, seed = 1] = [
  values.cuts,
  values.kills,
  values.connects,
  values.harm,
  values.seed,
].map(Number);
if (values.line !== undefined) {
  const status = await runBehind(values.line);
  if (status !== undefined) process.exit(status);
}
const behindLine = { name: `OpenSSH over ${values.line}`, skip: false, start: async () => serverBehind() };
const kinds = values.line === undefined ? serverKinds : [behindLine];
const kind = kinds.find(
  ({ name }) => values.line !== undefined || name.toLowerCase().includes(values.server.toLowerCase()),
);
if (kind === undefined || kind.skip) throw new Error(`No such server here: ${values.server}`);
const server = await kind.start();
try {
  if (cuts) await tell(`cuts with ${kind.name}`, () => cut(cuts, seed));
  if (kills) await tell('kills', () => runKills({ kills, seed }));
  if (connects) await tell(`connects to ${kind.name}`, () => runConnects(server, connects));
  if (harm) await tell('trees', () => runHarm({ cases: harm, seed, kills: Math.ceil(harm / 10) }));
} finally {
  await server.stop();
}

async function cut(count: number, from: number): Promise<object> {
  const onCut = (done: number, { identical }: { readonly identical: number }) => {
    if (done % 50 === 0) print(`${done} cuts, ${identical} identical in the end`);
  };
  const { problems, ...figures } = await runFaults(server, {
    ...{ cuts: count, seed: from, onCut },
    connections: Number(values.connections),
  });
  for (const problem of problems) print(problem);
  if (problems.length > 0) process.exitCode = 1;
  return figures;
}

async function tell(name: string, run: () => Promise<object>): Promise<void> {
  const startMs = performance.now();
  const figures = await run();
  print(`${name}: ${JSON.stringify(figures)} in ${Math.round((performance.now() - startMs) / 1000)} s`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
