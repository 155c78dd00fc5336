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
  return new Promise((resolve, reject) => {
    const lines = createInterface({
      input: process.stdin,
      output: echo ? process.stderr : silence,
      terminal: true,
      historySize: 0,
      prompt: echo ? printable(question) : '',
    });
    // The echo is off by now: whoever sees the question may answer.
    process.stderr.write(printable(question));
    const finish = (settle: () => void): void => {
      settle(); // First, as closing has an event of its own, which then comes too late.
      signal.removeEventListener('abort', onAbort);
      lines.close();
    };
    const onAbort = (): void => finish(() => reject(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    lines.once('line', (line) => finish(() => resolve(line)));
    // The terminal is in raw mode: Ctrl-C is a key until it is made a signal again.
    lines.once('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    lines.once('close', () => {
      finish(() => reject(new Error('no answer was given')));
      if (!echo) process.stderr.write('\n');
    });
  });
}
