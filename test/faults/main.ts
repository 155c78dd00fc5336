/** `npm run faults -- --cuts 300 --seed 1 --server openssh`: transfers over a line that breaks, and the figures. */
import { parseArgs } from 'node:util';
import { runFaults } from '../support/fault-run.js';
import { serverKinds } from '../support/servers.js';

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    server: { type: 'string', default: 'embedded' },
  },
});
const kind = serverKinds.find(({ name }) => name.toLowerCase().includes(values.server.toLowerCase()));
if (kind === undefined || kind.skip) throw new Error(`No such server here: ${values.server}`);
const server = await kind.start();
const startMs = performance.now();
try {
  const { problems, ...figures } = await runFaults(server, {
    cuts: Number(values.cuts),
    seed: Number(values.seed),
    onCut: (done, { identical }) => {
      if (done % 10 === 0) process.stdout.write(`${done} cuts, ${identical} identical in the end\n`);
    },
  });
  for (const problem of problems) process.stdout.write(`${problem}\n`);
  const seconds = Math.round((performance.now() - startMs) / 1000);
  process.stdout.write(`${kind.name}: ${JSON.stringify(figures)} in ${seconds} s\n`);
  process.exitCode = problems.length > 0 ? 1 : 0;
} finally {
  await server.stop();
}
