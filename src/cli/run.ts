/** One run of the program: the things that a command works with, and the exit code that it ends with. */
import { parseAddress, parseRemote, type RemoteAddress, showAddress } from './addresses/address.js';
import type { CommandSpec, Context, OperandPlace } from './commands/command.js';
import { Connections } from './connecting/connections.js';
import { readSettings, type Settings } from './options/global-options.js';
import type { OptionValues } from './options/option-table.js';
import { Interruption } from './output/exit-codes.js';
import { Outcome } from './output/outcome.js';
import { Output } from './output/output.js';
import { RunProgress } from './output/progress.js';
import { abortOnSignals } from './signals.js';

/** The parts of a run, before it is known what is done. */
export interface Run {
  readonly settings: Settings;
  readonly output: Output;
  readonly progress: RunProgress;
  readonly signal: AbortSignal;
  readonly connections: Connections;
}

export function beginRun(values: OptionValues, signal: AbortSignal = abortOnSignals()): Run {
  const settings = readSettings(values);
  const level = settings.quiet ? 0 : 1 + settings.verbosity;
  const output = new Output({ json: settings.json, level, nul: values.null === true });
  const progress = new RunProgress(async () => {
    const { openDisplay } = await import('./output/progress-display.js');
    return openDisplay(settings.progress, settings.quiet || settings.json);
  });
  output.beforeText = () => progress.clear();
  return { settings, output, progress, signal, connections: new Connections(settings, output, signal) };
}

/** Runs a command of the table, and gives the exit code. */
export async function runCommand(
  spec: CommandSpec,
  operands: readonly string[],
  values: OptionValues,
): Promise<number> {
  const run = beginRun(values);
  const { settings, output, progress, signal, connections } = run;
  const { failFast, errorOnNothing } = settings;
  const outcome = new Outcome(output, { command: spec.name, failFast, errorOnNothing });
  try {
    const command = await spec.load?.();
    await command?.(onCommandLine(run, outcome), operands, values);
  } catch (error) {
    await progress.end({ isDone: false });
    outcome.end(signal.aborted ? signal.reason : error);
    const advice = adviceAfter(spec.name, values);
    if (signal.reason instanceof Interruption && advice !== undefined) output.say(advice);
  }
  await progress.end({ isDone: outcome.exitCode <= 1 });
  if (spec.name !== 'exec') outcome.summarize();
  output.flush();
  await connections.end();
  return outcome.exitCode;
}

/** How to go on with what was interrupted. */
function adviceAfter(command: string, values: OptionValues): string | undefined {
  if (command === 'mirror') return 'Run the same command again: what is complete is not copied again.';
  if (command !== 'get' && command !== 'put' && command !== 'cp') return undefined;
  return values.resume === true
    ? 'Run the same command again: it resumes where this one stopped.'
    : 'What was complete stays. With --resume (-a), an interrupted transfer can be resumed by the same command.';
}

/** Arguments of the command line are addresses. */
function onCommandLine({ settings, output, progress, signal, connections }: Run, outcome: Outcome): Context {
  const remote = async (address: RemoteAddress): Promise<OperandPlace> => {
    const connection = await connections.to(address);
    const path = await expandHome(address.path, (path) => connection.expandPath(path, { signal }));
    return { kind: 'remote', connection, path, pattern: path, show: (other) => showAddress(address, other) };
  };
  return {
    settings,
    output,
    outcome,
    progress,
    signal,
    isRemote: (text) => parseAddress(text).kind === 'remote',
    place: async (text, side) => {
      if (side === 'remote') return remote(parseRemote(text));
      const address = parseAddress(text);
      return address.kind === 'remote' ? remote(address) : address;
    },
  };
}

/** `~` and `~user` at the beginning of a path mean directories, as in a shell; `./~` is a name. */
export async function expandHome(path: string, expand: (path: string) => Promise<string>): Promise<string> {
  if (path === '') return '.';
  const [, home, rest = ''] = /^(~[^/]*)(\/.*)?$/s.exec(path) ?? [];
  return home === undefined ? path : `${await expand(home)}${rest}`;
}
