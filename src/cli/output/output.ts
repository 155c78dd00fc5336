/**
 * Everything that is written: data to standard output, words to standard error. Names are escaped on a terminal, where
 * they could act, and are written as they are elsewhere.
 */
import { Buffer } from 'node:buffer';
import { writeSync } from 'node:fs';
import { styleText } from 'node:util';
import { printable } from '../../shared/printable.js';
import { inCommandLineWords } from './command-line-words.js';

/** The version of the lines that `--json` writes: it changes when a field is renamed or removed. */
export const JSON_VERSION = 1;

export interface OutputSettings {
  readonly json: boolean;
  /** 0: with `-q`, only errors; 1: the usual; 2 and 3: `-v` and `-vv`. */
  readonly level: number;
  /** Entries end with a NUL, and names are raw. */
  readonly nul: boolean;
}

type Style = Parameters<typeof styleText>[0];
/** One object of `--json`, without its version. */
export type JsonLine = { readonly type: string } & Readonly<Record<string, unknown>>;

const LONGEST_TEXT = 4096;

export class Output {
  readonly settings: OutputSettings;
  /** Takes the progress bar away while something else is written. */
  beforeText: () => void = () => {};
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(settings: OutputSettings) {
    this.settings = settings;
  }

  get isTerminal(): boolean {
    return process.stdout.isTTY === true;
  }

  /** A name of a server, for a person. */
  name(text: string): string {
    return this.isTerminal ? printable(text, LONGEST_TEXT) : text;
  }

  /** A line of data: text with its names escaped where needed, or bytes as they are. */
  line(text: string | Uint8Array): void {
    if (this.settings.json) return;
    const bytes = typeof text === 'string' ? Buffer.from(text) : text;
    this.write(Buffer.concat([bytes, Buffer.from(this.settings.nul ? '\0' : '\n')]));
  }

  /** A path: raw where no terminal is, or with `-0`. */
  path(text: string, bytes: Uint8Array): void {
    this.line(this.isTerminal && !this.settings.nul ? printable(text, LONGEST_TEXT) : bytes);
  }

  /** One object of `--json`. */
  json(line: JsonLine): void {
    if (!this.settings.json) return;
    this.write(Buffer.from(`${JSON.stringify({ v: JSON_VERSION, ...line })}\n`));
  }

  /** Raw content. Many small pieces become one write. */
  write(bytes: Uint8Array): void {
    if (this.#pendingBytes === 0) setImmediate(() => this.flush());
    this.#pending.push(Buffer.from(bytes));
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > 65_536 || this.isTerminal) this.flush();
  }

  flush(): void {
    if (this.#pendingBytes === 0) return;
    const all = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (this.isTerminal) this.beforeText();
    process.stdout.write(all);
  }

  /** Content with the pace of its reader. */
  async content(bytes: Uint8Array): Promise<void> {
    this.flush();
    if (process.stdout.write(bytes)) return;
    await new Promise<void>((resolve) => process.stdout.once('drain', resolve));
  }

  /** Words for a person, which `-q` leaves out. `level` 2 and 3: only with `-v` and `-vv`. */
  say(text: string, level = 1): void {
    if (this.settings.level >= level) this.#words(text);
  }

  /** Words that are never left out. */
  complain(text: string): void {
    this.#words(`${this.style('red', 'tsftp')}: ${text}`);
  }

  style(style: Style, text: string, stream: NodeJS.WriteStream = process.stderr): string {
    return styleText(style, text, { stream });
  }

  #words(text: string): void {
    this.flush();
    this.beforeText();
    // At once, as the process may end next.
    try {
      writeSync(2, `${text}\n`);
    } catch {
      process.stderr.write(`${text}\n`);
    }
  }
}

/** A message of an error, of which every line is safe to show. */
export function describe(error: unknown): string {
  const text = inCommandLineWords(error instanceof Error ? error.message : String(error));
  return text
    .split('\n')
    .map((line) => printable(line, 2000))
    .join('\n');
}
