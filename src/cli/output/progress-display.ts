/** The figures of a run on standard error: a bar, lines in a log, or JSON. */
import { writeSync } from 'node:fs';
import cliProgress from 'cli-progress';
import { printable } from '../../shared/printable.js';
import { count, humanBytes, humanDuration } from './human.js';
import { JSON_VERSION } from './output.js';
import type { ProgressMode, RunFigures } from './run-figures.js';

export interface RunDisplay {
  show(figures: RunFigures): void;
  clear(): void;
  end(figures: RunFigures, how: { readonly isDone: boolean }): void;
}

const REDRAW_MS = 100;
const LOG_MS = 5000;
const JSON_MS = 1000;
const BAR_WIDTH = 20;

/** What `auto` means depends on the terminal. */
export function openDisplay(mode: ProgressMode, isQuiet: boolean): RunDisplay | undefined {
  const isTerminal = process.stderr.isTTY === true && process.env.TERM !== 'dumb';
  if (mode === 'none' || (mode === 'auto' && isQuiet)) return undefined;
  if (mode === 'json') return new TimedLines(JSON_MS, jsonLine);
  // A bar needs a cursor that can be moved.
  if ((mode === 'bar' || mode === 'auto') && isTerminal) return new Bar();
  return new TimedLines(LOG_MS, textLine);
}

/** One line that is drawn over and over. */
class Bar implements RunDisplay {
  readonly #bar = new cliProgress.SingleBar({
    stream: process.stderr,
    format: (_options, params, { figures }: { readonly figures: RunFigures }) =>
      barLine(params.progress, figures),
    hideCursor: true,
    clearOnComplete: true,
    stopOnComplete: false,
    gracefulExit: false,
    linewrap: null,
    noTTYOutput: false,
    fps: 10,
  });
  #isOn = false;
  #drawnMs = 0;

  show(figures: RunFigures): void {
    const nowMs = performance.now();
    if (nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    if (!this.#isOn) this.#bar.start(figures.total, figures.bytes, { figures });
    this.#isOn = true;
    this.#bar.setTotal(figures.total);
    this.#bar.update(figures.bytes, { figures });
  }

  clear(): void {
    if (this.#isOn) this.#bar.stop();
    this.#isOn = false;
  }

  end(figures: RunFigures, { isDone }: { readonly isDone: boolean }): void {
    this.clear();
    if (isDone) writeLine(totals(figures));
  }
}

/** A line now and then, and one at the end. */
class TimedLines implements RunDisplay {
  readonly #everyMs: number;
  readonly #format: (figures: RunFigures, isLast: boolean) => string;
  #lastMs = performance.now();

  constructor(everyMs: number, format: (figures: RunFigures, isLast: boolean) => string) {
    this.#everyMs = everyMs;
    this.#format = format;
  }

  show(figures: RunFigures): void {
    const nowMs = performance.now();
    if (nowMs - this.#lastMs < this.#everyMs) return;
    this.#lastMs = nowMs;
    writeLine(this.#format(figures, false));
  }

  clear(): void {}

  end(figures: RunFigures, { isDone }: { readonly isDone: boolean }): void {
    if (isDone) writeLine(this.#format(figures, true));
  }
}

function barLine(progress: number, figures: RunFigures): string {
  const full = Math.round(Math.min(1, Math.max(0, progress)) * BAR_WIDTH);
  const bar = '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
  const text = `${bar} ${figuresText(figures)}`;
  const width = (process.stderr.columns ?? 80) - 1;
  const name = printable(figures.path, 200);
  const room = width - text.length - 2;
  const shown = name.length <= room ? name : `…${name.slice(name.length - Math.max(0, room - 1))}`;
  return room > 4 ? `${text}  ${shown}` : text.slice(0, width);
}

function figuresText({ bytes, total, files, filesTotal, rate, remaining }: RunFigures): string {
  const percent = total === 0 ? 100 : Math.floor((bytes / total) * 100);
  const left = remaining === undefined ? '' : `  ${humanDuration(remaining)} left`;
  const many = filesTotal > 1 ? `  ${files}/${filesTotal} files` : '';
  return `${String(percent).padStart(3)}%  ${humanBytes(bytes)} of ${humanBytes(total)}  ${humanBytes(rate)}/s${left}${many}`;
}

function textLine(figures: RunFigures, isLast: boolean): string {
  if (isLast) return totals(figures);
  return `${figuresText(figures).trimStart()}  ${printable(figures.path, 200)}`;
}

/** What a run has moved. */
function totals({ bytes, files, elapsed }: RunFigures): string {
  const rate = elapsed > 0 ? (bytes * 1000) / elapsed : 0;
  const seconds = (elapsed / 1000).toFixed(1);
  return `${count(files, 'file')}, ${humanBytes(bytes)} in ${seconds} s (${humanBytes(rate)}/s)`;
}

function jsonLine({ bytes, total, files, filesTotal, rate, remaining, elapsed, path }: RunFigures): string {
  return JSON.stringify({
    v: JSON_VERSION,
    type: 'progress',
    bytes,
    total,
    files,
    filesTotal,
    rate: Math.round(rate),
    ...(remaining === undefined ? {} : { remaining: Math.round(remaining) }),
    elapsed: Math.round(elapsed),
    path,
  });
}

function writeLine(text: string): void {
  try {
    writeSync(2, `${text}\n`);
  } catch {
    process.stderr.write(`${text}\n`);
  }
}
