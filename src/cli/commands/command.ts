/** What a command is, and what it gets to work with. */
import type { Connection, RemotePath } from '../../index.js';
import type { Settings } from '../options/global-options.js';
import type { OptionSpec, OptionValues } from '../options/option-table.js';
import type { Outcome } from '../output/outcome.js';
import type { Output } from '../output/output.js';
import type { RunProgress } from '../output/progress.js';

/** Where an argument of a command lies: completion and the shell rely on it. */
export type OperandSide = 'remote' | 'local' | 'any' | 'text';

/** One argument, or several of a kind. */
export interface OperandSpec {
  readonly name: string;
  readonly side: OperandSide;
  readonly isOptional?: boolean | undefined;
  readonly isRepeated?: boolean | undefined;
}

/** A command of the table. */
export interface CommandSpec {
  readonly name: string;
  readonly aliases?: readonly string[] | undefined;
  /** One line. */
  readonly text: string;
  /** More, for the help of the command and the manual. */
  readonly more?: readonly string[] | undefined;
  readonly operands: readonly OperandSpec[];
  readonly options: readonly OptionSpec[];
  readonly examples: readonly (readonly [line: string, what: string])[];
  /** It is understood, and not shown. */
  readonly isHidden?: boolean | undefined;
  /** `undefined`: it has nothing to do with a server, and the program runs it by itself. */
  readonly load?: (() => Promise<CommandRun>) | undefined;
}

export type CommandRun = (
  context: Context,
  operands: readonly string[],
  values: OptionValues,
) => Promise<void>;

/** A path on a server. */
export interface RemotePlace {
  readonly kind: 'remote';
  readonly connection: Connection;
  /** As the library takes it; `.` where none was written. */
  readonly path: string;
  /** The same where it is read as a pattern: in the shell, what is quoted there has a backslash before it. */
  readonly pattern: string;
  /** The place of another path on the same server, as it is shown. */
  readonly show: (path: string) => string;
}

export type OperandPlace =
  | RemotePlace
  | { readonly kind: 'local'; readonly path: string }
  /** Standard input or output. */
  | { readonly kind: 'stream' };

/** A path on a server that was found by a pattern: bytes where the name is not UTF-8. */
export interface FoundPath {
  readonly path: RemotePath;
  readonly text: string;
}

/** What a run has at hand. */
export interface Context {
  readonly settings: Settings;
  readonly output: Output;
  readonly outcome: Outcome;
  readonly progress: RunProgress;
  readonly signal: AbortSignal;
  /** Says what an argument means: an address on the command line, a path in the shell. */
  readonly place: (text: string, side: Exclude<OperandSide, 'text'>) => Promise<OperandPlace>;
  /** Whether an argument names a server; `undefined` in the shell, where its place in the line tells. */
  readonly isRemote: (text: string) => boolean | undefined;
}
