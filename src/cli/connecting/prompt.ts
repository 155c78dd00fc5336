/** Questions on the terminal, also where standard input is something else. */
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';
import { printable } from '../../shared/printable.js';

/** Is there a person to be asked? */
export function canAsk(): boolean {
  return process.stdin.isTTY === true || (process.stderr.isTTY === true && hasTerminal());
}

const TERMINAL = '/dev/tty';

/** As ssh: what is typed may come from the terminal although standard input is a file or a pipe. */
function hasTerminal(): boolean {
  if (process.platform === 'win32') return false;
  try {
    closeSync(openSync(TERMINAL, 'r+'));
    return true;
  } catch {
    return false;
  }
}

/** Asks on the terminal. The question goes to standard error, so that standard output may be redirected. */
export function ask(
  question: string,
  { echo, signal }: { readonly echo: boolean; readonly signal: AbortSignal },
): Promise<string> {
  signal.throwIfAborted();
  const own = process.stdin.isTTY === true ? undefined : new ReadStream(openSync(TERMINAL, 'r'));
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  return new Promise((resolve, reject) => {
    const lines = createInterface({
      input: own ?? process.stdin,
      output: echo ? process.stderr : silence,
      terminal: true,
      historySize: 0,
      prompt: echo ? printable(question) : '',
    });
    // The echo is off by now: the question may be answered as soon as it is shown.
    process.stderr.write(printable(question));
    const finish = (settle: () => void): void => {
      settle(); // First, as closing has an event of its own, which then comes too late.
      signal.removeEventListener('abort', onAbort);
      lines.close();
      own?.destroy();
    };
    const onAbort = (): void => finish(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    lines.once('line', (line) => finish(() => resolve(line)));
    // The terminal is in raw mode: Ctrl-C is a key until it is made a signal again.
    lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    lines.once('close', () => {
      finish(() => reject(new Error('No answer was given')));
      if (!echo) process.stderr.write('\n');
    });
  });
}

/** Asks until the answer is yes or no. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  for (;;) {
    const answer = (await ask(`${question} (yes/no) `, { echo: true, signal })).trim().toLowerCase();
    if (answer === 'yes' || answer === 'y') return true;
    if (answer === 'no' || answer === 'n' || answer === '') return false;
    process.stderr.write("Please type 'yes' or 'no'.\n");
  }
}
