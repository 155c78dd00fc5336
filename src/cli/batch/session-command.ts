/** What a command of a session is, and what it may do with the session. */

import type { Connection } from '../../index.js';
import type { CommandSpec, Context, OperandSpec } from '../commands/command.js';
import type { OptionValues } from '../options/option-table.js';
import type { Run } from '../run.js';

/** The session, as its commands see it. */
export interface CommandSession {
  readonly run: Run;
  /** The directory on the server; `undefined` before the first `cd`. */
  readonly directory: string | undefined;
  /** The connection; a new one in the same directory where the last has ended. */
  connection(): Promise<Connection>;
  /** An empty path means the home directory. */
  changeDirectory(path: string, signal: AbortSignal): Promise<void>;
  /** Runs a command of the table with the words of a line. */
  runSpec(spec: CommandSpec, words: readonly string[], context: Context, more?: OptionValues): Promise<void>;
}

export interface SessionCall {
  readonly session: CommandSession;
  readonly context: Context;
  readonly words: readonly string[];
}

export interface SessionCommand {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly text: string;
  readonly usage: string;
  readonly operands: readonly OperandSpec[];
  readonly run: (call: SessionCall) => Promise<void>;
}
