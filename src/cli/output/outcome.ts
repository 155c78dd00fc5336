/** What a run has done and what failed: the failures are told as they come, and decide the exit code at the end. */
import { SftpError } from '../../index.js';
import { printable } from '../../shared/printable.js';
import { EXIT, endsEverything, exitCodeOf, Verdict } from './exit-codes.js';
import { count } from './human.js';
import { describe, type Output } from './output.js';

export interface OutcomeSettings {
  readonly command: string;
  /** The first failure ends the run. */
  readonly failFast: boolean;
  /** A run that had nothing to do is a failure of its own. */
  readonly errorOnNothing: boolean;
}

/** A failure has been told of, and the run ends with it. */
class Stopped extends Error {
  override readonly name: string = 'Stopped';
}

export class Outcome {
  readonly #output: Output;
  readonly #settings: OutcomeSettings;
  readonly #startMs = performance.now();
  readonly #codes = new Set<number>();
  #done = 0;
  #failed = 0;
  #bytes = 0;
  /** The first file that was written in place, and how many there are. */
  #inPlace = { first: '', count: 0 };
  #fatal: number | undefined;

  constructor(output: Output, settings: OutcomeSettings) {
    this.#output = output;
    this.#settings = settings;
  }

  get failed(): number {
    return this.#failed;
  }

  get isEmpty(): boolean {
    return this.#done === 0 && this.#failed === 0;
  }

  /** So much was done, of so many bytes. */
  did(number = 1, bytes = 0): void {
    this.#done += number;
    this.#bytes += bytes;
  }

  /** Files that could not be replaced at once: told in one line. */
  noteInPlace(paths: readonly string[]): void {
    const { first, count: before } = this.#inPlace;
    this.#inPlace = { first: first || (paths[0] ?? ''), count: before + paths.length };
  }

  /** One line, where anything was written in place. */
  tellInPlace(): void {
    const { first, count: files } = this.#inPlace;
    if (files === 0) return;
    const what = files === 1 ? `${printable(first)} was` : `${files} files were`;
    const why = 'a temporary name in the directory, or renaming it, was refused (--in-place does so at once)';
    this.#output.say(`${what} written in place: ${why}`);
  }

  /** Does one thing of several: a failure is told, and the others go on. */
  async attempt<T>(subject: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.fail(subject, error);
      return undefined;
    }
  }

  /** Tells of a failure. What ends everything, and any failure with `--fail-fast`, is thrown. */
  fail(subject: string, error: unknown): void {
    if (error instanceof Stopped || endsEverything(error)) throw error;
    this.#tell(error, subject);
    if (this.#settings.failFast) throw new Stopped();
  }

  /** Something that has ended the whole run. */
  end(error: unknown): void {
    if (error instanceof Stopped) return;
    this.#fatal = exitCodeOf(error);
    this.#tell(error, undefined);
  }

  get exitCode(): number {
    if (this.#fatal !== undefined) return this.#fatal;
    const [first = EXIT.done] = this.#codes;
    if (this.#failed > 0) return this.#done > 0 || this.#codes.size > 1 ? EXIT.partial : first;
    return this.isEmpty && this.#settings.errorOnNothing ? EXIT.nothing : EXIT.done;
  }

  /** The last line. */
  summarize(figures: Readonly<Record<string, unknown>> = {}): void {
    const { command } = this.#settings;
    this.#output.json({
      type: 'summary',
      command,
      done: this.#done,
      failed: this.#failed,
      bytes: this.#bytes,
      duration: Math.round(performance.now() - this.#startMs),
      exit: this.exitCode,
      ...figures,
    });
    this.tellInPlace();
    const total = this.#done + this.#failed;
    if (this.#failed > 0 && total > 1) {
      this.#output.complain(`${this.#failed} of ${count(total, 'item')} failed (exit code ${this.exitCode})`);
    }
    if (this.exitCode === EXIT.nothing) this.#output.complain('there was nothing to do');
  }

  #tell(error: unknown, subject: string | undefined): void {
    if (!(error instanceof Verdict)) this.#failed += 1;
    const exit = exitCodeOf(error);
    this.#codes.add(exit);
    const text = describe(error);
    const shown = subject === undefined ? '' : printable(subject, 1000);
    // Most messages name their file.
    const path = shown.replace(/^(?:sftp:\/\/[^/]*|[^/:]*:)/, '');
    const isNamed = subject === undefined || (path !== '' && text.includes(path));
    this.#output.complain(isNamed ? text : `${shown}: ${text}`);
    this.#output.json({
      type: 'error',
      command: this.#settings.command,
      ...(subject === undefined ? {} : { path: subject }),
      code: codeOf(error),
      message: text,
      exit,
    });
  }
}

function codeOf(error: unknown): string {
  if (error instanceof SftpError) return error.code;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return error instanceof Error ? error.name : 'Error';
}
