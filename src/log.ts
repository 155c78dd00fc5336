/** The log of a connection: to a file, to an object of the program's, or to both. No secret reaches either. */
import { closeSync, mkdtempSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printable } from './printable.js';

/** Anything that takes lines by their weight: `console`, pino, winston … What it throws is ignored. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export type LogLevel = keyof Logger;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const MAX_LINE_LENGTH = 4096;

/** @throws TypeError where a method is missing. */
export function checkLogger(logger: unknown): void {
  const methods = (typeof logger === 'object' && logger !== null ? logger : {}) as Record<string, unknown>;
  const missing = LEVELS.filter((level) => typeof methods[level] !== 'function');
  if (missing.length > 0) throw new TypeError(`logger has no method ${missing.join(', ')}`);
}

/** A name in a new folder that only this user may enter, so that nobody can lay a link in the way. */
export function temporaryLogFile(): string {
  return join(mkdtempSync(join(tmpdir(), 'tsftp-log-')), 'tsftp.log');
}

export interface LogOptions {
  /** Lines are added to what it holds; only its owner may read a new one. */
  readonly file: string | false;
  readonly logger: Logger | undefined;
  /** Texts that must not appear. */
  readonly secrets: readonly (string | undefined)[];
}

export class Log {
  readonly #logger: Logger | undefined;
  readonly #secrets: readonly string[];
  #descriptor: number | undefined;

  /** @throws Error Node's own where the file cannot be written. */
  constructor({ file, logger, secrets }: LogOptions) {
    this.#logger = logger;
    this.#secrets = secrets.filter((secret) => secret !== undefined && secret !== '') as string[];
    this.#descriptor = file === false ? undefined : openSync(file, 'a', 0o600);
  }

  /** Whether anybody listens. */
  get isOn(): boolean {
    return this.#logger !== undefined || this.#descriptor !== undefined;
  }

  /** Never throws: that something cannot be logged stops nothing. */
  write(level: LogLevel, message: string): void {
    if (!this.isOn) return;
    const clean = this.#secrets.reduce((text, secret) => text.replaceAll(secret, '***'), message);
    const line = printable(clean, MAX_LINE_LENGTH);
    try {
      this.#logger?.[level](line);
    } catch {
      // The program's own logger has failed, which is no failure of the connection.
    }
    if (this.#descriptor === undefined) return;
    try {
      writeSync(this.#descriptor, `${new Date().toISOString()} ${level.toUpperCase()} ${line}\n`);
    } catch {
      this.close();
    }
  }

  /** Closes the file; the logger goes on. */
  close(): void {
    if (this.#descriptor === undefined) return;
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    try {
      closeSync(descriptor);
    } catch {
      // A disk that is full tells it here; nothing can be done about it.
    }
  }
}
