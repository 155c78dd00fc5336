/** The log of a connection: to a file, to an object of the program's, or to both. No secret reaches either. */
import { closeSync, constants, fstatSync, mkdtempSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { printable } from '../shared/printable.js';
import type { Redaction } from '../shared/redaction.js';
import { checkLinks, checkOwnership } from '../transfer/local/foreign-links.js';

/** Anything that takes lines by their weight: `console`, pino, winston … What it throws is ignored. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export type LogLevel = keyof Logger;

/** Takes each line with its weight. What it throws is ignored. */
export type LogFunction = (level: LogLevel, message: string) => void;

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const MAX_LINE_LENGTH = 4096;

/** @throws TypeError where a method is missing. */
export function checkLogger(logger: unknown): void {
  if (typeof logger === 'function') return;
  const methods = (typeof logger === 'object' && logger !== null ? logger : {}) as Record<string, unknown>;
  const missing = LEVELS.filter((level) => typeof methods[level] !== 'function');
  if (missing.length > 0) {
    throw new TypeError(`logger must be a function, or have the method ${missing.join(', ')}`);
  }
}

/** A name in a new folder that only this user may enter, so that nobody can lay a link in the way. */
export function temporaryLogFile(): string {
  return join(mkdtempSync(join(tmpdir(), 'tsftp-log-')), 'tsftp.log');
}

export interface LogOptions {
  /** Lines are added to what it holds; only its owner may read a new one. */
  readonly file: string | false;
  readonly logger: Logger | LogFunction | undefined;
  /** What must not appear. */
  readonly secrets: Redaction;
}

export class Log {
  readonly #logger: LogFunction | undefined;
  readonly #secrets: Redaction;
  #descriptor: number | undefined;

  /** @throws Error Node's own where the file cannot be written. */
  constructor({ file, logger, secrets }: LogOptions) {
    this.#logger = typeof logger === 'object' ? (level, message) => logger[level](message) : logger;
    this.#secrets = secrets;
    this.#descriptor = file === false ? undefined : openLogFile(file);
  }

  /** Whether anybody listens. */
  get isOn(): boolean {
    return this.#logger !== undefined || this.#descriptor !== undefined;
  }

  /** Never throws: that something cannot be logged stops nothing. */
  write(level: LogLevel, message: string): void {
    if (!this.isOn) return;
    const line = printable(this.#secrets.apply(message), MAX_LINE_LENGTH);
    try {
      this.#logger?.(level, line);
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

/** Writes to nothing that another user has laid there to be written to. */
function openLogFile(file: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW = 0 } = constants;
  const flags = O_WRONLY | O_APPEND | O_CREAT;
  const open = (extra: number) => openSync(file, flags | extra, 0o600);
  let descriptor: number;
  try {
    descriptor = open(O_NOFOLLOW);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ELOOP') throw error;
    checkLinks(file, { purpose: 'write' });
    descriptor = open(0);
  }
  try {
    const stats = fstatSync(descriptor);
    if (stats.isFile()) checkOwnership(file, stats);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
  return descriptor;
}
