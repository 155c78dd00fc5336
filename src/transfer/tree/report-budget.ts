/** How much the lists of a report may hold. */

/** What they may take in memory, with strings and objects. */
export const MAX_LISTED_BYTES = 32 * 1024 * 1024;
export const MAX_ERROR_BYTES = 10 * 1024 * 1024;
/** What an entry takes beside its texts. */
export const ENTRY_BYTES = 112;
export const ERROR_BYTES = 2500;

/** How much of the lists memory allows. */
export class Budget {
  #left: number;
  omitted = 0;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** Whether there is room for an entry that takes so many bytes. */
  takes(bytes: number): boolean {
    this.#left -= bytes;
    if (this.#left < 0) this.omitted += 1;
    return this.#left >= 0;
  }
}
