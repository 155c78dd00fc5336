/**
 * `npm run queue`: thousands of files through the queue of the examples, with OpenSSH and Redis, while workers are killed
 * and frozen, Redis is restarted and a server is away.
 *
 *     npm run queue -- --files 5000 --servers 3 --workers 4 --connections 3 --minutes 10
 */
import { parseArgs } from 'node:util';
import { runQueue } from '../support/queue-run.js';

const { values } = parseArgs({
  options: {
    files: { type: 'string', default: '5000' },
    servers: { type: 'string', default: '3' },
    workers: { type: 'string', default: '4' },
    connections: { type: 'string', default: '3' },
    minutes: { type: 'string', default: '20' },
    quiet: { type: 'boolean', default: false },
  },
});
const outcome = await runQueue({
  files: Number(values.files),
  servers: Number(values.servers),
  workers: Number(values.workers),
  maxConnections: Number(values.connections),
  deadlineMs: Number(values.minutes) * 60_000,
  lockMs: 10_000,
  awayMs: 10_000,
  tell: (line) => void (values.quiet || console.error(line)),
});
console.log(JSON.stringify(outcome, undefined, 2));
const { files, identical, notMovedOnce, leftovers, deadLetters, fetchedTwice, mostConnections } = outcome;
const isRight =
  identical === files &&
  notMovedOnce + leftovers.length + deadLetters + fetchedTwice === 0 &&
  mostConnections <= Number(values.connections);
process.exit(isRight ? 0 : 1);
