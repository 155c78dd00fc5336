/** Commands of a file, one after the other: the first that fails ends them, with its exit code. */
import { printable } from '../../shared/printable.js';
import type { InteractiveSession } from './session.js';

/** `-` before a command: its failure does not end the batch; `@`: it is not shown. Both may stand there. */
const PREFIXES = /^\s*([-@\s]*)(.*)$/s;

export async function runBatch(
  session: InteractiveSession,
  lines: AsyncIterable<string> | Iterable<string>,
): Promise<number> {
  const { output, signal } = session.run;
  let number = 0;
  for await (const line of lines) {
    number += 1;
    const [, prefixes = '', command = ''] = PREFIXES.exec(line) ?? [];
    if (command === '' || command.startsWith('#')) continue;
    if (!prefixes.includes('@')) output.say(`tsftp> ${printable(command, 4096)}`);
    const { exitCode, isLast } = await session.runLine(command, signal);
    if (isLast) return 0;
    // A line that was done in spite of the signal is the last one too.
    if (signal.aborted && exitCode !== 0) return exitCode;
    signal.throwIfAborted();
    if (exitCode === 0 || prefixes.includes('-')) continue;
    output.complain(
      `line ${number} failed: ${printable(command, 1000)} (exit code ${exitCode}); the batch ends here`,
    );
    output.json({
      type: 'error',
      command: 'batch',
      line: number,
      code: 'BATCH',
      message: `Line ${number} failed: ${command}`,
      exit: exitCode,
    });
    return exitCode;
  }
  // Waiting for the next line is ended by a signal too.
  signal.throwIfAborted();
  return 0;
}
