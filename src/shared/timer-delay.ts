/** Node fires a timer of more than this, or of infinity, at once: about 25 days. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** A delay that a timer keeps; longer ones, as `Infinity`, are as good as for ever. */
export function timerDelay(milliseconds: number): number {
  return Math.min(milliseconds, MAX_DELAY_MS);
}
