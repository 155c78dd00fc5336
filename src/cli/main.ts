/** The program `tsftp`. What a command does not need is not loaded. */
import { describe, JSON_VERSION } from './output/output.js';
import { UsageError } from './output/usage-error.js';

const VERSION = process.env.TSFTP_VERSION_OF_BUILD ?? '0.0.0';

void main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // Who read our output has read enough.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const exitCode = await run(words).catch(failed);
  process.exitCode = exitCode;
  // Connections and terminals that are still open have nothing more to say.
  process.stdout.write('', () => process.exit(exitCode));
}

async function run(words: readonly string[]): Promise<number> {
  const { HelpShown, parseLine } = await import('./program.js');
  try {
    const { spec, operands, values } = parseLine(words, VERSION);
    if (spec === undefined) {
      const { runSession } = await import('./batch/run-session.js');
      return await runSession(operands, values);
    }
    if (spec.load === undefined) {
      const { runGuide } = await import('./guides/run.js');
      return await runGuide(spec.name, operands);
    }
    const { runCommand } = await import('./run.js');
    return await runCommand(spec, operands, values);
  } catch (error) {
    if (error instanceof HelpShown) return 0;
    throw error;
  }
}

/** The command line is wrong, or there is a fault in the program. */
async function failed(error: unknown): Promise<number> {
  const isUsage = error instanceof UsageError;
  const exit = isUsage ? 2 : (await import('./output/exit-codes.js')).exitCodeOf(error);
  const message = describe(error);
  process.stderr.write(`tsftp: ${message}${isUsage ? '\nTry tsftp --help' : ''}\n`);
  if (process.argv.includes('--json')) {
    const line = {
      v: JSON_VERSION,
      type: 'error',
      command: 'tsftp',
      code: isUsage ? 'USAGE' : 'ERROR',
      message,
      exit,
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
  return exit;
}
