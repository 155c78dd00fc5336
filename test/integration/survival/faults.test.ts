/** A short run of `npm run faults`. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runFaults } from '../../support/fault-run.js';
import { serverKinds } from '../../support/servers.js';

const CUTS = 12;

describe('T6: a line that is cut at random, and made again', () => {
  for (const { name, skip, start } of serverKinds) {
    test(`leaves everything identical in the end, and nothing else, with ${name}`, { skip }, async () => {
      const server = await start();
      try {
        const { reconnects, ...figures } = await runFaults(server, { cuts: CUTS, seed: 20_000 });
        assert.deepEqual(figures, {
          cuts: CUTS,
          identical: CUTS,
          truncated: 0,
          leftovers: 0,
          hangs: 0,
          unhandled: 0,
          problems: [],
        });
        assert.ok(reconnects > 0);
      } finally {
        await server.stop();
      }
    });
  }
});
