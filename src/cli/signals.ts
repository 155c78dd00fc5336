/** The first signal ends the work in order; a later one ends the process at once. */
import { constants } from 'node:os';
import { Interruption } from './output/exit-codes.js';

/** How soon a second signal is the same keystroke: npm passes the first one on. */
const SAME_KEY_MS = 300;

/** Aborts on SIGINT, SIGTERM and SIGHUP. */
export function abortOnSignals(): AbortSignal {
  const controller = new AbortController();
  let firstMs: number | undefined;
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      const exitCode = 128 + constants.signals[name];
      if (firstMs !== undefined && performance.now() - firstMs > SAME_KEY_MS) process.exit(exitCode);
      firstMs ??= performance.now();
      controller.abort(new Interruption(exitCode));
    });
  }
  return controller.signal;
}
