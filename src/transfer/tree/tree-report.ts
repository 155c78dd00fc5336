/** What a copy of a tree tells about every entry. */
import { Buffer } from 'node:buffer';

import { withJson } from '../../errors/error-json.js';
import { readable } from '../../errors/readable-error.js';
import type { KeepReason } from '../overwriting.js';
import { Budget, ENTRY_BYTES, ERROR_BYTES, MAX_ERROR_BYTES, MAX_LISTED_BYTES } from './report-budget.js';

/** A file or a link that has been copied. */
export interface CopiedEntry {
  readonly type: 'file' | 'symlink';
  /** The path of the source. */
  readonly path: string;
  readonly target: string;
  readonly bytes: number;
}

/**
 * Why an entry was left out: a device, FIFO or socket; a link, or a dangling one or out of the tree;
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
  /**
   * Every target that was overwritten in place, one after the other, as the server allows no temporary name beside it or
   * no renaming: a failure in the middle of one of these leaves a part of it.
   */
  readonly overwrittenInPlace: readonly string[];
  /** Every entry that was left out. */
  readonly skipped: readonly SkippedEntry[];
  /** Every entry that could not be copied, with `continueOnError`. */
  readonly failed: readonly FailedEntry[];
  /**
   * Every file and directory that has been copied, but without the time or the permissions of its source, as the target
   * refused these, or without the owner of the file that was replaced (`EPERM`). `error` has the code `ERANGE` where SFTP
   * cannot carry the time: the nearest one was set.
   */
  readonly notPreserved: readonly FailedEntry[];
  /**
   * How many entries are missing in the lists above, as these would take too much memory: `done` and `skipped` hold some
   * 200,000 together, the others some 4,000 each. The figures count all; `onFile` hears of every file.
   */
  readonly omitted: number;
}

const BLOCK_LENGTH = 64 * 1024;
const LONGEST_UNIT = 3;

/**
 * A long list as lines of JSON, outside of the heap of JavaScript: the more lives there, the more garbage is left lying
 * beside it.
 */
class PackedList<T> {
  readonly #full: Buffer[] = [];
  #block = Buffer.alloc(0);
  #used = 0;

  add(entry: T): void {
    const line = `${JSON.stringify(entry)}\n`;
    const most = line.length * LONGEST_UNIT;
    if (this.#used + most > this.#block.length) {
      this.#full.push(this.#block.subarray(0, this.#used));
      this.#block = Buffer.alloc(Math.max(BLOCK_LENGTH, most));
      this.#used = 0;
    }
    this.#used += this.#block.write(line, this.#used, 'utf8');
  }

  take(): T[] {
    const blocks = [...this.#full.splice(0), this.#block.subarray(0, this.#used)];
    const lines = blocks.flatMap((block) => block.toString('utf8').split('\n'));
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as T);
  }
}

export class ReportWriter {
  readonly #startMs = performance.now();
  readonly #done = new PackedList<CopiedEntry>();
  readonly #skipped = new PackedList<SkippedEntry>();
  readonly #inPlace = new PackedList<string>();
  readonly #failed: FailedEntry[] = [];
  readonly #notPreserved: FailedEntry[] = [];
  readonly #listed = new Budget(MAX_LISTED_BYTES);
  readonly #failures = new Budget(MAX_ERROR_BYTES);
  readonly #refusals = new Budget(MAX_ERROR_BYTES);
  #files = 0;
  #links = 0;
  #bytes = 0;
  #directories = 0;

  noteDirectory(): void {
    this.#directories += 1;
  }

  noteCopied(entry: CopiedEntry): void {
    const { type, path, target, bytes } = entry;
    if (type === 'file') this.#files += 1;
    else this.#links += 1;
    if (type === 'file') this.#bytes += bytes;
    if (this.#listed.takes(ENTRY_BYTES + path.length + target.length)) this.#done.add(entry);
  }

  noteInPlace(target: string): void {
    if (this.#listed.takes(ENTRY_BYTES + target.length)) this.#inPlace.add(target);
  }

  noteSkipped(path: string, code: SkipCode, reason: string): void {
    if (this.#listed.takes(ENTRY_BYTES + path.length)) this.#skipped.add({ path, code, reason });
  }

  noteFailed(path: string, error: unknown): void {
    if (!this.#failures.takes(ERROR_BYTES + path.length)) return;
    this.#failed.push({ path, error: withJson(readable(error)) });
  }

  noteNotPreserved(path: string, error: unknown): void {
    if (this.#refusals.takes(ERROR_BYTES + path.length)) this.#notPreserved.push({ path, error });
  }

  /** The end: the lists are given away. */
  finish(): TreeReport {
    return {
      files: this.#files,
      directories: this.#directories,
      links: this.#links,
      bytes: this.#bytes,
      duration: Math.round(performance.now() - this.#startMs),
      done: this.#done.take(),
      overwrittenInPlace: this.#inPlace.take(),
      skipped: this.#skipped.take(),
      failed: this.#failed,
      notPreserved: this.#notPreserved,
      omitted: this.#listed.omitted + this.#failures.omitted + this.#refusals.omitted,
    };
  }
}
