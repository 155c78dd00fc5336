/**
 * The state of a transfer on one line. Everything happens within the calls of the transfer: no timer draws, so that
 * none keeps a process alive when a transfer fails, and the cursor stays as it is.
 */
import { clearLine, cursorTo, moveCursor } from 'node:readline';
import cliProgress from 'cli-progress';
import type { FileProgress, TransferSpeed } from '../index.js';
import { checkOptions } from '../shared/option-checks.js';
import { printable } from '../shared/printable.js';
import { humanBytes, humanDuration, Speedometer } from '../transfer/progress.js';

/** Options of {@link terminalProgress}. */
export interface TerminalProgressOptions {
  /** Where to draw. Default: `process.stderr`. */
  readonly stream?: NodeJS.WritableStream | undefined;
  /** What is shown behind the figures. Default: the file that moves on, where the transfer tells it. */
  readonly label?: string | undefined;
}

/** A `callback` of a transfer, which may also be told that it is over. */
export interface TerminalProgress extends Disposable {
  (transferred: number, total: number, detail?: FileProgress | TransferSpeed): void;
  /** Leaves the line, where a transfer has failed before its end. Needless, and harmless, after one that has not. */
  end(): void;
}

/** Redraws are this far apart, but for the first and the last. */
const REDRAW_MS = 100;
/** Where there is no terminal, a line is written this often. */
const LINE_MS = 5000;
/** A tree may look complete before all of it is found: what is quiet for so long, is complete. */
const QUIET_MS = 250;
const BAR_WIDTH = 24;
const FORMAT: cliProgress.Options = {
  format: '{bar} {percentage}%  {done}  {rate}',
  barsize: BAR_WIDTH,
  barCompleteString: '█'.repeat(BAR_WIDTH),
  barIncompleteString: '░'.repeat(BAR_WIDTH),
  barGlue: '',
  autopadding: true,
  autopaddingChar: '   ',
};

/**
 * A `callback` for `get`, `put`, `getR`, `putR`, `mirror` and their like that shows a bar, the bytes, their rate, the
 * time that is left, and the file, on one line of a terminal. Without a terminal it writes a plain line now and then,
 * and one at the end. What is hostile in a file's name is shown escaped.
 *
 * It is for one transfer; the next takes its own. Where a transfer may fail, `using` leaves the line for what follows.
 *
 * @example
 * import { terminalProgress } from 'tsftp/terminal';
 *
 * await sftp.getR('pub', 'backup', { callback: terminalProgress() });
 *
 * @example
 * using callback = terminalProgress({ label: 'backup.tar' });
 * await sftp.put('backup.tar', 'backup.tar', { callback });
 */
export function terminalProgress(options: TerminalProgressOptions = {}): TerminalProgress {
  checkOptions(options, { stream: 'object', label: 'string' }, { of: 'terminalProgress' });
  const { stream = process.stderr, label } = options;
  const meter = new Meter(label);
  const display = isTerminal(stream) ? new TerminalLine(stream, meter) : new PlainLines(stream, meter);
  const callback = (transferred: number, total: number, detail?: FileProgress | TransferSpeed) => {
    meter.take(transferred, total, detail !== undefined && 'path' in detail ? detail : undefined);
    display.show();
  };
  const end = () => display.end();
  return Object.assign(callback, { end, [Symbol.dispose]: end });
}

type Terminal = NodeJS.WritableStream & { readonly columns?: number };

function isTerminal(stream: NodeJS.WritableStream): stream is Terminal {
  return 'isTTY' in stream && stream.isTTY === true && process.env.TERM !== 'dumb';
}

/** The figures, and how fast they move. */
class Meter {
  readonly #label: string | undefined;
  readonly #speedometer = new Speedometer();
  #transferred = 0;
  #total = 0;
  #file: FileProgress | undefined;
  #speed: TransferSpeed | undefined;
  #firstBytes: number | undefined;

  constructor(label: string | undefined) {
    this.#label = label;
  }

  take(transferred: number, total: number, file: FileProgress | undefined): void {
    this.#transferred = transferred;
    this.#total = total;
    this.#file = file;
    this.#firstBytes ??= transferred;
    this.#speed = this.#speedometer.note(transferred, total);
  }

  get hasStarted(): boolean {
    return this.#speed !== undefined;
  }

  /** As far as is known by now. */
  get isComplete(): boolean {
    return this.#transferred === this.#total && this.#file?.filesDone === this.#file?.filesKnown;
  }

  /** Everything but the bar. */
  get text(): string {
    const { done, rate } = this.#payload();
    return [`${Math.floor(this.#fraction * 100)}%`, done, rate, this.name]
      .filter((part) => part !== '')
      .join('  ');
  }

  /** With the bar, and without the name. */
  get line(): string {
    const params = {
      progress: this.#fraction,
      eta: 0,
      startTime: 0,
      stopTime: 1,
      total: this.#total,
      value: this.#transferred,
      maxWidth: 0,
    };
    return cliProgress.Format.Formatter(FORMAT, params, this.#payload()).trimEnd();
  }

  get name(): string {
    const { label = this.isComplete ? '' : this.#file?.path } = { label: this.#label };
    return label === undefined ? '' : printable(label, 200);
  }

  get #fraction(): number {
    return this.#total === 0 ? 1 : Math.min(1, this.#transferred / this.#total);
  }

  #payload(): { readonly done: string; readonly rate: string } {
    const { rate: latest = 0, remaining, elapsed = 0 } = this.#speed ?? {};
    const moved = this.#transferred - (this.#firstBytes ?? 0);
    // At the end, that of the whole transfer.
    const rate = this.isComplete && elapsed > 0 ? (moved * 1000) / elapsed : latest;
    const files = this.#file === undefined ? '' : `  ${this.#file.filesDone}/${this.#file.filesKnown} files`;
    const isLeftKnown = rate > 0 && remaining !== undefined && !this.isComplete;
    const time = isLeftKnown ? `  ${humanDuration(remaining)} left` : '';
    return {
      done: `${humanBytes(this.#transferred)} of ${humanBytes(this.#total)}${files}`,
      rate: rate > 0 ? `${humanBytes(rate)}/s${time}` : '',
    };
  }
}

/** Drawn over and over on the same line. */
class TerminalLine {
  readonly #stream: Terminal;
  readonly #meter: Meter;
  #drawnMs: number | undefined;
  /** The line is done, and the cursor below it. */
  #isLeft = false;

  constructor(stream: Terminal, meter: Meter) {
    this.#stream = stream;
    this.#meter = meter;
  }

  show(): void {
    const { isComplete } = this.#meter;
    const nowMs = performance.now();
    if (!isComplete && this.#drawnMs !== undefined && nowMs - this.#drawnMs < REDRAW_MS) return;
    // What looked complete has grown: back to its line.
    if (this.#isLeft) moveCursor(this.#stream, 0, -1);
    this.#isLeft = false;
    this.#drawnMs = nowMs;
    this.#draw();
    if (isComplete) this.end();
  }

  end(): void {
    if (this.#drawnMs === undefined || this.#isLeft) return;
    this.#stream.write('\n');
    this.#isLeft = true;
  }

  /** A line that wrapped could not be drawn over. */
  #draw(): void {
    const columns = (this.#stream.columns ?? 80) - 1;
    const { line, name } = this.#meter;
    cursorTo(this.#stream, 0);
    this.#stream.write(cut(cut(line, columns) + (name === '' ? '' : `  ${name}`), columns));
    clearLine(this.#stream, 1);
  }
}

/** For log files and pipes: never more than one line in a while. */
class PlainLines {
  readonly #stream: NodeJS.WritableStream;
  readonly #meter: Meter;
  #writtenMs: number | undefined;
  #quiet: NodeJS.Timeout | undefined;
  #isWritten = false;

  constructor(stream: NodeJS.WritableStream, meter: Meter) {
    this.#stream = stream;
    this.#meter = meter;
  }

  show(): void {
    this.#isWritten = false;
    clearTimeout(this.#quiet);
    this.#writtenMs ??= performance.now();
    if (this.#meter.isComplete) this.#quiet = setTimeout(() => this.end(), QUIET_MS);
    else if (performance.now() - this.#writtenMs >= LINE_MS) this.#write();
  }

  end(): void {
    clearTimeout(this.#quiet);
    if (this.#meter.hasStarted && !this.#isWritten) this.#write();
  }

  #write(): void {
    this.#writtenMs = performance.now();
    this.#isWritten = true;
    this.#stream.write(`${this.#meter.text}\n`);
  }
}

/** Characters beyond Latin may take two columns, but for those of the bar. */
function cut(text: string, columns: number): string {
  let left = columns;
  let shown = '';
  for (const character of text) {
    left -= character > '\u02ff' && !'█░…'.includes(character) ? 2 : 1;
    if (left < 0) return shown;
    shown += character;
  }
  return shown;
}
