/** Figures over all files of a tree. */

/** The file that has just moved on, and the state of the whole. */
export interface FileProgress {
  /** The path of the source. */
  readonly path: string;
  readonly bytes: number;
  readonly filesDone: number;
  /** Files found so far; the listing goes on while files are copied. */
  readonly filesKnown: number;
}

type ProgressListener = (transferred: number, total: number, file: FileProgress) => void;

export class TreeProgress {
  readonly #tell: ProgressListener;
  #filesKnown = 0;
  #filesDone = 0;
  #bytesKnown = 0;
  #bytesDone = 0;

  constructor(tell: ProgressListener = () => {}) {
    this.#tell = tell;
  }

  /** A file has been found. */
  begin(path: string, size: number): FileCount {
    this.expect(1, size);
    return this.beginExpected(path, size);
  }

  /** So many files have been found. */
  expect(files: number, bytes: number): void {
    this.#filesKnown += files;
    this.#bytesKnown += bytes;
  }

  /** One of those that are expected. */
  beginExpected(path: string, size: number): FileCount {
    return new FileCount(size, (change) => {
      this.#bytesDone += change.bytes;
      this.#bytesKnown += change.total;
      if (change.isDone) this.#filesDone += 1;
      this.#report(path, change.ofFile);
    });
  }

  /** A tree without files is told of all the same. */
  finish(path: string): void {
    if (this.#filesKnown === 0) this.#report(path, 0);
  }

  #report(path: string, bytes: number): void {
    const { filesDone, filesKnown } = { filesDone: this.#filesDone, filesKnown: this.#filesKnown };
    this.#tell(this.#bytesDone, this.#bytesKnown, { path, bytes, filesDone, filesKnown });
  }
}

interface CountChange {
  readonly bytes: number;
  readonly total: number;
  readonly ofFile: number;
  readonly isDone: boolean;
}

/** The part of one file in the figures. */
export class FileCount {
  readonly #note: (change: CountChange) => void;
  #bytes = 0;
  #total: number;

  constructor(size: number, note: (change: CountChange) => void) {
    this.#total = size;
    this.#note = note;
  }

  get bytes(): number {
    return this.#bytes;
  }

  advance(bytes: number, total: number): void {
    this.#change(bytes, total, false);
  }

  /** Nothing had to be copied. */
  complete(): void {
    this.#change(this.#total, this.#total, false);
  }

  /** What has not come by now does not come any more. */
  abandon(): void {
    this.#change(this.#bytes, this.#bytes, false);
  }

  finish(): void {
    this.#change(this.#bytes, this.#total, true);
  }

  #change(bytes: number, total: number, isDone: boolean): void {
    const change = { bytes: bytes - this.#bytes, total: total - this.#total, ofFile: bytes, isDone };
    this.#bytes = bytes;
    this.#total = total;
    this.#note(change);
  }
}
