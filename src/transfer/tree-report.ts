/** What a copy of a tree tells about every entry. */
import type { KeepReason } from './overwriting.js';

/** A file or a link that has been copied. */
export interface CopiedEntry {
  readonly type: 'file' | 'symlink';
  /** The path of the source. */
  readonly path: string;
  readonly target: string;
  readonly bytes: number;
}

/**
 * Why an entry was left out: a device, FIFO or socket; a link, or one that leads nowhere or out of the tree;
 * the filter; a temporary file of ours; or what is there already, see {@link KeepReason}.
 */
export type SkipCode =
  | 'SPECIAL'
  | 'SYMLINK'
  | 'DANGLING'
  | 'OUTSIDE'
  | 'FILTERED'
  | 'UNFINISHED'
  | KeepReason;

/** What was left out, and why. */
export interface SkippedEntry {
  readonly path: string;
  readonly code: SkipCode;
  readonly reason: string;
}

/** What could not be copied, where the copy went on in spite of it. */
export interface FailedEntry {
  readonly path: string;
  readonly error: unknown;
}

/** What a copy of a tree has done. */
export interface TreeReport {
  /** How many files have been copied. */
  readonly files: number;
  /** How many directories there are, those that were there before included. */
  readonly directories: number;
  /** How many links have been copied as links. */
  readonly links: number;
  /** The content of the files that have been copied. */
  readonly bytes: number;
  /** How long it took, in milliseconds. */
  readonly duration: number;
  /** Every file and link that has been copied. */
  readonly done: readonly CopiedEntry[];
  /** Every entry that was left out. */
  readonly skipped: readonly SkippedEntry[];
  /** Every entry that could not be copied, with `continueOnError`. */
  readonly failed: readonly FailedEntry[];
}

export class ReportWriter {
  readonly #startMs = performance.now();
  readonly #done: CopiedEntry[] = [];
  readonly #skipped: SkippedEntry[] = [];
  readonly #failed: FailedEntry[] = [];
  #directories = 0;

  noteDirectory(): void {
    this.#directories += 1;
  }

  noteCopied(entry: CopiedEntry): void {
    this.#done.push(entry);
  }

  noteSkipped(path: string, code: SkipCode, reason: string): void {
    this.#skipped.push({ path, code, reason });
  }

  noteFailed(path: string, error: unknown): void {
    this.#failed.push({ path, error });
  }

  finish(): TreeReport {
    const files = this.#done.filter(({ type }) => type === 'file');
    return {
      files: files.length,
      directories: this.#directories,
      links: this.#done.length - files.length,
      bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
      duration: Math.round(performance.now() - this.#startMs),
      done: this.#done,
      skipped: this.#skipped,
      failed: this.#failed,
    };
  }
}
