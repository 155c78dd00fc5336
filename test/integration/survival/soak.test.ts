import { test } from 'node:test';
import { assertFlat, runSoak } from '../../support/soak-run.js';
import { needsOpenSsh } from '../../support/sshd.js';

/** `npm run soak` takes longer. */
const DURATION_MS = 35_000;

test('a connection in use leaves nothing behind, however often its server ends', {
  skip: needsOpenSsh,
}, async () => {
  assertFlat(await runSoak({ durationMs: DURATION_MS, seed: 1 }));
});
