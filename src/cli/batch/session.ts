/** A server, a directory on it and one here: what batches and the shell work with. */

import type { Connection } from '../../index.js';
import { type RemoteAddress, showAddress } from '../addresses/address.js';
import { withHome } from '../addresses/local-names.js';
import type { CommandSpec, Context, OperandPlace } from '../commands/command.js';
import { findCommand } from '../commands/table.js';
import type { OptionValues } from '../options/option-table.js';
import { Outcome } from '../output/outcome.js';
import { UsageError } from '../output/usage-error.js';
import { HelpShown, parseWords } from '../program.js';
import { expandHome, type Run } from '../run.js';
import type { CommandSession, SessionCommand } from './session-command.js';
import { findSessionCommand } from './session-commands.js';
import { plainText, splitWords } from './words.js';

/** How one line ended. */
export interface LineResult {
  readonly exitCode: number;
  readonly isLast: boolean;
}

const FINE: LineResult = { exitCode: 0, isLast: false };

export class InteractiveSession implements CommandSession {
  readonly run: Run;
  readonly #address: RemoteAddress;
  /** Options such as `-p` that hold for every transfer. */
  readonly #defaults: OptionValues;
  #directory: string | undefined;

  constructor(run: Run, address: RemoteAddress, defaults: OptionValues) {
    this.run = run;
    this.#address = address;
    this.#defaults = defaults;
  }

  /** Who is connected to what. */
  get name(): string {
    const { user, host } = this.#address;
    return user === undefined ? host : `${user}@${host}`;
  }

  /** The directory on the server; `undefined` before the first `cd`. */
  get directory(): string | undefined {
    return this.#directory;
  }

  /** The connection; a new one in the same directory where the last has ended. */
  async connection(): Promise<Connection> {
    const connection = await this.run.connections.to(this.#address);
    if (this.#directory !== undefined && connection.getcwd() !== this.#directory) {
      await connection.chdir(this.#directory);
    }
    return connection;
  }

  async changeDirectory(path: string, signal: AbortSignal): Promise<void> {
    const connection = await this.connection();
    await connection.chdir(path === '' ? await connection.homeDirectory('', { signal }) : path, { signal });
    this.#directory = connection.getcwd() ?? undefined;
  }

  /** Runs one line. What fails is told, and only the end of a signal is thrown. */
  async runLine(line: string, signal: AbortSignal): Promise<LineResult> {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) return FINE;
    const [name, words] = text.startsWith('!') ? ['!', [text.slice(1).trim()]] : firstWord(line);
    const own = findSessionCommand(name);
    if (own?.name === 'exit') return { exitCode: 0, isLast: true };
    const { output, progress } = this.run;
    const outcome = new Outcome(output, {
      command: own?.name ?? name,
      failFast: false,
      errorOnNothing: false,
    });
    try {
      await this.#dispatch({ name, own, words }, outcome, signal);
      await progress.end({ isDone: true });
    } catch (error) {
      await progress.end({ isDone: false });
      if (error instanceof HelpShown) return FINE;
      outcome.end(signal.aborted ? signal.reason : error);
    }
    outcome.tellInPlace();
    output.flush();
    return { exitCode: outcome.exitCode, isLast: false };
  }

  async #dispatch(
    {
      name,
      own,
      words,
    }: { readonly name: string; readonly own: SessionCommand | undefined; readonly words: readonly string[] },
    outcome: Outcome,
    signal: AbortSignal,
  ): Promise<void> {
    if (own !== undefined) {
      await own.run({ session: this, context: this.context(outcome, signal), words });
      return;
    }
    const spec = findCommand(name);
    if (spec?.load === undefined) {
      throw new UsageError(`There is no command '${name}'; help lists all`);
    }
    await this.runSpec(spec, words, this.context(outcome, signal));
  }

  /** Runs a command of the table with the words of a line. */
  async runSpec(
    spec: CommandSpec,
    words: readonly string[],
    context: Context,
    more: OptionValues = {},
  ): Promise<void> {
    const given = spec.name === 'exec' ? ['.', ...words] : words;
    const { operands, values } = parseWords(spec, given);
    const known = Object.entries(this.#defaults).filter(
      ([key]) => spec.name === 'get' || spec.name === 'put' || key === 'json',
    );
    const command = await spec.load?.();
    await command?.(context, operands, { ...Object.fromEntries(known), ...values, ...more });
  }

  context(outcome: Outcome, signal: AbortSignal): Context {
    const { settings, output, progress } = this.run;
    return {
      settings,
      output,
      outcome,
      progress,
      signal,
      isRemote: () => undefined,
      place: (text, side) => this.#place(text, side, signal),
    };
  }

  async #place(text: string, side: 'remote' | 'local' | 'any', signal: AbortSignal): Promise<OperandPlace> {
    const plain = plainText(text);
    if (side === 'local') return text === '-' ? { kind: 'stream' } : { kind: 'local', path: withHome(plain) };
    const connection = await this.connection();
    const expand = (path: string): Promise<string> => connection.expandPath(path, { signal });
    return {
      kind: 'remote',
      connection,
      path: await expandHome(plain, expand),
      pattern: await expandHome(text, expand),
      show: (path) => (path.startsWith('/') ? showAddress(this.#address, path) : path),
    };
  }
}

function firstWord(line: string): readonly [string, readonly string[]] {
  const [first = '', ...words] = splitWords(line).map(({ text }) => text);
  return [first.toLowerCase(), words];
}
