/** The first signal ends the work in order; a later one ends the process at once. */
import { constants } from 'node:os';
import { Interruption } from './output/exit-codes.js';

/** How soon the same signal may be the same once more: npm and timeout(1) pass on what the terminal sends as well. */
const SAME_KEY_MS = 300;

/** Aborts on SIGINT, SIGTERM and SIGHUP. */
export function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  let first: { readonly name: string; readonly atMs: number; isTwice: boolean } | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const exitCode = 128 + constants.signals[name];
      if (first === undefined) {
        first = { name, atMs: performance.now(), isTwice: false };
        controller.abort(new Interruption(exitCode));
      } else if (!first.isTwice && first.name === name && performance.now() - first.atMs < SAME_KEY_MS) {
        first.isTwice = true;
      } else process.exit(exitCode);
    });
  }
  return controller.signal;
}
