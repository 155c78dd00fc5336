/** Runs cases of all kinds with seeds that follow from one seed, and shows a failing one as a test. */
import { type CaseName, cases, type FuzzCase } from './cases.js';

export interface FuzzResult {
  readonly runs: number;
  readonly packets: number;
}

/** How the packets are shared out, in percent. */
export const SHARES: Readonly<Record<CaseName, number>> = { packets: 80, session: 8, texts: 4, server: 8 };

/** The seed of a case: neighbours have nothing in common. */
function seedOf(seed: number, run: number): number {
  return Math.imul(seed + 1, 0x9e3779b1) + Math.imul(run + 1, 0x85ebca6b);
}

/**
 * Runs cases of one kind until so many packets have passed. `afterEach` is called after each case.
 *
 * @throws Error with a test that repeats the failure.
 */
export async function fuzz(
  name: CaseName,
  { seed, packets, afterEach }: { seed: number; packets: number; afterEach?: (runs: number) => void },
): Promise<FuzzResult> {
  const act: FuzzCase = cases[name];
  let passed = 0;
  let runs = 0;
  while (passed < packets) {
    const caseSeed = seedOf(seed, runs) >>> 0;
    try {
      // A session may end before its first packet.
      passed += Math.max(1, await act(caseSeed));
    } catch (cause) {
      throw new Error(`${name} with the seed ${caseSeed} fails. As a test:\n\n${asTest(name, caseSeed)}`, {
        cause,
      });
    }
    runs += 1;
    afterEach?.(runs);
  }
  return { runs, packets: passed };
}

function asTest(name: CaseName, seed: number): string {
  return `test('fuzz: ${name} ${seed}', async () => {\n  await cases.${name}(${seed});\n});`;
}
