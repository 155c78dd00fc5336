/** The parser of the command line, made from the table of commands. */
import { Command, CommanderError, Option } from 'commander';
import type { CommandSpec } from './commands/command.js';
import { COMMANDS } from './commands/table.js';
import { CONNECTION_OPTIONS, GLOBAL_OPTIONS, OUTPUT_OPTIONS } from './options/global-options.js';
import { letterOf, nameOf, type OptionSpec, type OptionValues } from './options/option-table.js';
import { UsageError } from './output/usage-error.js';

/** What the command line says. */
export interface ParsedLine {
  /** `undefined`: no command, but a server to connect to. */
  readonly spec: CommandSpec | undefined;
  readonly operands: readonly string[];
  readonly values: OptionValues;
}

/** Options that only a session has. */
export const SESSION_OPTIONS: readonly OptionSpec[] = [
  {
    flags: '-b, --batch-file <file>',
    text: 'run the commands of a file; -: of standard input',
    isFile: true,
  },
  { flags: '-r, --recursive', text: 'get and put take directories' },
  { flags: '-p, --preserve', text: 'get and put keep times and permissions' },
  { flags: '-a, --resume', text: 'get and put resume' },
  { flags: '-f, --fsync', text: 'get and put wait until the content is on the disk' },
  { flags: '-N, --no-quiet', text: 'as for sftp: not quiet in a batch', isHidden: true },
];

/** Help was asked for and written: nothing is left to do. */
export class HelpShown extends Error {}

/** @throws HelpShown, UsageError */
export function parseLine(words: readonly string[], version: string): ParsedLine {
  let parsed: ParsedLine | undefined;
  const program = new Command('tsftp')
    .description(`Transfers files over SFTP.\n${EXAMPLES}`)
    .usage('[options] COMMAND … | [options] HOST[:PATH]')
    .version(version, '-V, --version', 'show the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({ subcommandTerm: (command) => command.name(), visibleArguments: () => [] })
    .argument('[operands...]')
    .action((operands: readonly string[], values: OptionValues) => {
      parsed = { spec: undefined, operands, values };
    });
  addOptions(program, CONNECTION_OPTIONS, { group: 'How to connect:' });
  addOptions(program, OUTPUT_OPTIONS, { group: 'What is shown:' });
  addOptions(program, SESSION_OPTIONS, { group: 'Of a session (without COMMAND):' });
  program.addHelpText(
    'after',
    '\ntsftp COMMAND --help tells more. The exit code tells what went wrong: docs/command-line.md.',
  );
  for (const spec of COMMANDS)
    addCommand(program, spec, (line) => {
      parsed = line;
    });
  // Their options are only needed for the one that is used.
  program.hook('preSubcommand', (_, command) => {
    const spec = COMMANDS.find(({ name }) => name === command.name());
    if (spec !== undefined) completeCommand(command, spec);
  });
  parse(program, words);
  return parsed ?? { spec: undefined, operands: [], values: {} };
}

/** A line of a batch or of the shell, for one command. */
export function parseWords(spec: CommandSpec, words: readonly string[]): ParsedLine {
  let parsed: ParsedLine | undefined;
  const program = new Command('tsftp')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  const command = addCommand(program, spec, (line) => {
    parsed = line;
  });
  completeCommand(command, spec, []);
  parse(command, words);
  return parsed ?? { spec, operands: [], values: {} };
}

/** @throws HelpShown, UsageError */
function parse(command: Command, words: readonly string[]): void {
  try {
    command.parse([...words], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) throw new HelpShown();
    const [text = '', ...more] = error.message.replace(/^error: /, '').split('\n');
    throw new UsageError([`${text[0]?.toUpperCase()}${text.slice(1)}`, ...more].join('. '));
  }
}

function addCommand(program: Command, spec: CommandSpec, take: (line: ParsedLine) => void): Command {
  const command = program
    .command(spec.name, { hidden: spec.isHidden === true })
    .aliases([...(spec.aliases ?? [])])
    .summary(spec.text)
    .argument('[operands...]')
    .configureHelp({ visibleArguments: () => [] })
    .helpOption(
      spec.options.some((option) => letterOf(option) === 'h') ? '--help' : '-h, --help',
      'show this help',
    );
  command.action((operands: readonly string[], own: OptionValues) => {
    take({ spec, operands, values: merged(program.opts(), own) });
  });
  return command;
}

/** Adds all that is only needed if the command is used. */
function completeCommand(
  command: Command,
  spec: CommandSpec,
  shared: readonly OptionSpec[] = GLOBAL_OPTIONS,
): void {
  command.description(
    [`${spec.text[0]?.toUpperCase()}${spec.text.slice(1)}.`, ...(spec.more ?? [])].join('\n'),
  );
  command.usage(usageOf(spec));
  command.exitOverride();
  if (spec.name === 'exec' || spec.name === 'demo') command.passThroughOptions();
  if (spec.name === 'demo') command.allowUnknownOption().helpOption(false);
  addOptions(command, spec.options);
  const letters = new Set(spec.options.map(letterOf));
  const names = new Set(spec.options.map(nameOf));
  const others = shared
    .filter((option) => !names.has(nameOf(option)))
    .map((option) => {
      const letter = letterOf(option);
      return letter !== undefined && letters.has(letter) ? withoutLetter(option) : option;
    });
  addOptions(command, others, { isHidden: true });
  const examples = spec.examples.map(([line, what]) => `  ${line}\n      ${what}`);
  command.addHelpText(
    'after',
    `\nExamples:\n${examples.join('\n')}\n\nOptions for connecting and output: tsftp --help\n`,
  );
}

/** `[options] REMOTE... [LOCAL]` */
export function usageOf({ operands }: CommandSpec): string {
  const words = operands.map(({ name, isOptional, isRepeated }) => {
    const word = `${name.toUpperCase()}${isRepeated ? '...' : ''}`;
    return isOptional ? `[${word}]` : word;
  });
  return ['[options]', ...words].join(' ');
}

function withoutLetter(option: OptionSpec): OptionSpec {
  return { ...option, flags: option.flags.replace(/^-[^-], /, '') };
}

function addOptions(
  command: Command,
  options: readonly OptionSpec[],
  { group, isHidden = false }: { readonly group?: string; readonly isHidden?: boolean } = {},
): void {
  for (const spec of options) {
    const option = new Option(spec.flags, spec.text);
    if (spec.parse !== undefined) option.argParser(parserOf(spec));
    if (spec.choices !== undefined) option.choices(spec.choices);
    if (group !== undefined) option.helpGroup(group);
    if (isHidden || spec.isHidden === true) option.hideHelp();
    command.addOption(option);
  }
}

/** What is wrong with a value is told with the name of its option. */
function parserOf({ flags, parse }: OptionSpec): (text: string, before: unknown) => unknown {
  const name = /--[a-z\d-]+/.exec(flags)?.[0] ?? flags;
  return (text, before) => {
    try {
      return parse?.(text, before as never);
    } catch (error) {
      if (!(error instanceof UsageError) || error.message.includes(name)) throw error;
      throw new UsageError(`${name}: ${error.message}`);
    }
  };
}

/** Options before and after the name of the command count together. */
function merged(before: OptionValues, after: OptionValues): OptionValues {
  const all: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(after)) {
    const old = all[name];
    if (Array.isArray(old) && Array.isArray(value)) all[name] = [...old, ...value];
    else if (name === 'verbose' && typeof old === 'number') all[name] = old + Number(value);
    else if (value !== undefined) all[name] = value;
  }
  return all;
}

const EXAMPLES = `
Addresses: HOST:PATH, USER@HOST:PATH, [IPv6]:PATH and sftp://USER@HOST:PORT/PATH. HOST may be an alias of
~/.ssh/config. A relative path counts from the directory in which the login begins.

Examples:
  tsftp ls me@example.org:pub
  tsftp get me@example.org:pub/report.csv
  tsftp put -r site me@example.org:/var/www
  tsftp mirror me@example.org:/var/www backup
  tsftp me@example.org                      a shell with cd, get, put …
  tsftp -b commands.txt me@example.org      a batch, as for sftp
`;
