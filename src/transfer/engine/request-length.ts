/** How long one request is: as long as the server takes, but not so long that whatever is asked next waits for it. */
import type { Window } from './window.js';

/** A request takes no longer, so that progress is reported often. */
export const MAX_PIECE_MS = 50;
/** Every server takes as much in one request (draft-ietf-secsh-filexfer-02, section 3). */
const SMALL_REQUEST_LENGTH = 32 * 1024;

/** @param most as long as it may be, and is before the rate is known */
export function requestLength(
  { rate, isRateKnown }: Pick<Window, 'rate' | 'isRateKnown'>,
  most: number,
): number {
  if (!isRateKnown) return most;
  const smallOnes = Math.max(1, Math.floor((rate * MAX_PIECE_MS) / SMALL_REQUEST_LENGTH));
  return Math.min(most, smallOnes * SMALL_REQUEST_LENGTH);
}
