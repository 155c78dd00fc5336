/** The queue of the examples, with Redis and OpenSSH, while its parts fail. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { runQueue } from '../../support/queue-run.js';
import { needsOpenSsh } from '../../support/sshd.js';

function needsRedis(): string | false {
  try {
    execFileSync('redis-server', ['--version']);
    return false;
  } catch {
    return 'needs redis-server';
  }
}

const MAX_CONNECTIONS = 3;

test('A queue fetches each file once, though a worker is killed, one is frozen, Redis is restarted and a server is away', {
  skip: needsOpenSsh || needsRedis(),
}, async (t) => {
  const lines: string[] = [];
  const outcome = await runQueue({
    ...{ files: 150, maxConnections: MAX_CONNECTIONS, lockMs: 3_000, awayMs: 1_000, deadlineMs: 120_000 },
    tell: (line) => void lines.push(line),
  }).catch((error) => {
    t.diagnostic(lines.join('\n'));
    throw error;
  });
  t.diagnostic(JSON.stringify(outcome));
  const { identical, notMovedOnce, leftovers, deadLetters, fetchedTwice, events } = outcome;
  assert.deepEqual(
    { identical, notMovedOnce, leftovers, deadLetters, fetchedTwice },
    { identical: 150, notMovedOnce: 0, leftovers: [], deadLetters: 0, fetchedTwice: 0 },
  );
  assert.ok(outcome.mostConnections <= MAX_CONNECTIONS, `${outcome.mostConnections}`);
  assert.equal(events.length, 5);
});
