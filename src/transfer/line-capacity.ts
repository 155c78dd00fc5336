/** The first request goes alone, of the length that OpenSSH allows: some servers bear no more than one. */
export const FIRST_BYTES = 255 * 1024;
/** A line of a gigabyte per second holds so much for each millisecond of its round trip … */
const BYTES_PER_MS = 1024 * 1024;
/** … and even a short one keeps a disk, a cipher and a server busy with this. */
const SHORT_LINE_BYTES = 4 * 1024 * 1024;

/** How many bytes on the way are of any use; a fast line holds no more, and a slow one less. */
export function lineCapacity(roundTripMs: number): number {
  return Math.max(SHORT_LINE_BYTES, roundTripMs * BYTES_PER_MS);
}
