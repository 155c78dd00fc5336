import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { printable } from '../printable.js';

/** Is somebody there to be asked? */
export function canAsk(): boolean {
  return process.stdin.isTTY === true;
}

/** Asks on the terminal. The question goes to stderr, so that stdout may be redirected. */
export function ask(
  question: string,
  { echo, signal }: { readonly echo: boolean; readonly signal: AbortSignal },
): Promise<string> {
  signal.throwIfAborted();
  const silence = new Writable({ write: (_chunk, _encoding, done) => done() });
  process.stderr.write(printable(question));
  return new Promise((resolve, reject) => {
    const lines = createInterface({
      input: process.stdin,
      output: echo ? process.stderr : silence,
      terminal: true,
      historySize: 0,
      prompt: echo ? printable(question) : '',
    });
    const give = (outcome: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      lines.close();
      if (!echo) process.stderr.write('\n');
      outcome();
    };
    const onAbort = (): void => give(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    lines.once('line', (line) => give(() => resolve(line)));
    // The terminal is in raw mode: Ctrl-C is a key until it is made a signal again.
    lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    lines.once('close', () => give(() => reject(new Error('no answer was given'))));
  });
}
