/** How far a run is, over everything that it transfers. What is shown, and where, is for `progress-display.ts`. */
import { Speedometer } from '../../transfer/progress.js';
import type { RunDisplay } from './progress-display.js';
import type { RunFigures } from './run-figures.js';

/** One transfer of the run: of a file, or of a tree. */
export interface ProgressTask {
  /** A callback of the library's transfers. */
  readonly callback: (
    transferred: number,
    total: number,
    detail?: { readonly path?: string; readonly filesDone?: number; readonly filesKnown?: number },
  ) => void;
  /** It is over. What has not come does not come any more. */
  readonly end: () => void;
}

interface TaskFigures {
  bytes: number;
  total: number;
  files: number;
  filesTotal: number;
}

export class RunProgress {
  /** The shell can switch it off. */
  isShown = true;
  readonly #display: () => Promise<RunDisplay | undefined>;
  #shown: RunDisplay | undefined;
  #opening: Promise<void> | undefined;
  readonly #tasks: TaskFigures[] = [];
  #speedometer = new Speedometer();
  #startMs: number | undefined;
  #expectedFiles = 0;
  #expectedBytes = 0;
  #path = '';

  /** @param display is asked for when the first transfer begins */
  constructor(display: () => Promise<RunDisplay | undefined>) {
    this.#display = display;
  }

  /** What is to come, where that is known before it begins. */
  expect(files: number, bytes: number): void {
    this.#expectedFiles += files;
    this.#expectedBytes += bytes;
  }

  begin(path: string): ProgressTask {
    const task: TaskFigures = { bytes: 0, total: 0, files: 0, filesTotal: 1 };
    this.#tasks.push(task);
    this.#startMs ??= performance.now();
    this.#opening ??= this.#display().then((display) => {
      this.#shown = this.isShown ? display : undefined;
    });
    return {
      callback: (transferred, total, detail) => {
        task.bytes = transferred;
        task.total = total;
        task.files = detail?.filesDone ?? (transferred === total ? 1 : 0);
        task.filesTotal = detail?.filesKnown ?? 1;
        this.#path = detail?.path ?? path;
        this.#shown?.show(this.#figures());
      },
      end: () => {
        task.total = task.bytes;
        task.filesTotal = task.files;
        this.#shown?.show(this.#figures());
      },
    };
  }

  /** Leaves the terminal as it was. */
  async end({ isDone }: { readonly isDone: boolean }): Promise<void> {
    await this.#opening;
    if (this.#tasks.length > 0) this.#shown?.end(this.#figures(), { isDone });
    this.#shown = undefined;
    this.#opening = undefined;
    this.#tasks.length = 0;
    this.#speedometer = new Speedometer();
    this.#startMs = undefined;
    this.#expectedFiles = 0;
    this.#expectedBytes = 0;
  }

  /** Removes the bar for a moment. */
  clear(): void {
    this.#shown?.clear();
  }

  #figures(): RunFigures {
    const sum = (key: keyof TaskFigures): number => this.#tasks.reduce((all, task) => all + task[key], 0);
    const bytes = sum('bytes');
    const total = Math.max(sum('total'), this.#expectedBytes, bytes);
    const { rate, remaining } = this.#speedometer.note(bytes, total);
    const nowMs = performance.now();
    return {
      bytes,
      total,
      files: sum('files'),
      filesTotal: Math.max(sum('filesTotal'), this.#expectedFiles),
      rate,
      remaining: rate > 0 ? remaining : undefined,
      elapsed: nowMs - (this.#startMs ?? nowMs),
      path: this.#path,
    };
  }
}
