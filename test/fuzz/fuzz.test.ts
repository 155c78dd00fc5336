import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CaseName, cases } from './cases.js';
import { fuzz } from './run.js';

/** A short run with every `npm test`, always with the same seed; `npm run fuzz` goes on from there. */
const PACKETS: Readonly<Record<CaseName, number>> = {
  packets: 20_000,
  session: 1_000,
  texts: 2_000,
  server: 4_000,
};

describe('random input', () => {
  for (const name of Object.keys(cases) as CaseName[]) {
    test(`${name}: ${PACKETS[name]} packets do no harm`, async () => {
      const { packets } = await fuzz(name, { seed: 1, packets: PACKETS[name] });
      assert.ok(packets >= PACKETS[name]);
    });
  }
});
