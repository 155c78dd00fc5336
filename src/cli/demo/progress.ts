/** What is going on: a bar in a terminal, a plain line where there is none. */
import type { WriteStream } from 'node:tty';
import cliProgress from 'cli-progress';
import { mebibytesPerSecond } from './table.js';

export interface Progress {
  /** Begins a step of `totalBytes`. */
  start(label: string, totalBytes: number): ProgressStep;
  /** A line of its own, between two steps. */
  note(text: string): void;
}

export interface ProgressStep {
  update(bytes: number): void;
  /** Ends it; failed or not, the terminal is as before. */
  end(summary: string): void;
  fail(): void;
}

const LABEL_WIDTH = 30;

/** Draws on a stream that is a terminal with a cursor to move; writes a line per finished step elsewhere. */
export function createProgress(stream: WriteStream): Progress {
  const note = (text: string): void => void stream.write(`${text}\n`);
  const line = (label: string, summary: string): string => `${label.padEnd(LABEL_WIDTH)} ${summary}`;
  if (!stream.isTTY || process.env.TERM === 'dumb') {
    return {
      note,
      start: (label) => ({ update: () => {}, end: (summary) => note(line(label, summary)), fail: () => {} }),
    };
  }
  return {
    note,
    start: (label, totalBytes) => {
      const bar = openBar(stream, label);
      const startMs = performance.now();
      bar.start(totalBytes, 0, { rate: '' });
      return {
        update: (bytes) => {
          const rate = mebibytesPerSecond(bytes, (performance.now() - startMs) / 1000);
          bar.update(bytes, { rate: `${rate} MiB/s` });
        },
        end: (summary) => {
          bar.stop();
          note(line(label, summary));
        },
        fail: () => bar.stop(),
      };
    },
  };
}

/** The bar vanishes when its step is done, and the step's line takes its place. */
function openBar(stream: WriteStream, label: string): cliProgress.SingleBar {
  return new cliProgress.SingleBar({
    stream,
    format: `${label.padEnd(LABEL_WIDTH)} {bar} {percentage}%  {rate}`,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 28,
    hideCursor: true,
    clearOnComplete: true,
    gracefulExit: false,
  });
}
