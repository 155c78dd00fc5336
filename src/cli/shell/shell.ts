/** The shell on a terminal: history, completion, Ctrl-C for what is under way, and a connection that comes back. */
import { createInterface } from 'node:readline';
import { ConnectionLostError } from '../../index.js';
import { printable } from '../../shared/printable.js';
import type { InteractiveSession } from '../batch/session.js';
import { Interruption } from '../output/exit-codes.js';
import { complete, type RemoteLister } from './completion.js';
import { readHistory, writeHistory } from './history.js';

/** How long Tab waits for the server. */
const COMPLETION_MS = 5000;

export async function runShell(session: InteractiveSession): Promise<number> {
  const shell = new Shell(session);
  return shell.run();
}

class Shell {
  readonly #session: InteractiveSession;
  readonly #history: string[] = readHistory();
  /** Lines that were pasted together with the one before. */
  readonly #waiting: string[] = [];
  #partial = '';
  #isCompleting = false;
  #current: AbortController | undefined;

  constructor(session: InteractiveSession) {
    this.#session = session;
  }

  async run(): Promise<number> {
    const { output } = this.#session.run;
    output.say(
      `Connected to ${printable(this.#session.name)}. Type help for the commands, Tab to complete, Ctrl-D to leave.`,
    );
    process.on('SIGINT', () => this.#current?.abort(new Interruption(130)));
    for (const name of ['SIGTERM', 'SIGHUP'] as const) {
      process.on(name, () => process.exit(name === 'SIGTERM' ? 143 : 129));
    }
    for (;;) {
      const line = this.#waiting.shift() ?? (await this.#readLine());
      if (line === undefined) break;
      if (await this.#runLine(line)) break;
    }
    writeHistory(this.#history);
    return 0;
  }

  /** True where the shell is to be left. */
  async #runLine(line: string): Promise<boolean> {
    const controller = new AbortController();
    this.#current = controller;
    const before = await this.#session.connection().catch(() => undefined);
    const { isLast } = await this.#session.runLine(line, controller.signal);
    this.#current = undefined;
    const isLost = before?.ended.reason instanceof ConnectionLostError;
    if (isLost)
      this.#session.run.output.say(
        'The connection was lost; the next command connects again, in the same directory.',
      );
    return isLast;
  }

  /** `undefined` at the end: Ctrl-D. Each line has a reader of its own, so that programs and questions get the terminal. */
  #readLine(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const lines = createInterface({
        input: process.stdin,
        output: process.stdout,
        terminal: true,
        history: this.#history,
        historySize: 1000,
        removeHistoryDuplicates: true,
        prompt: this.#prompt(),
        completer: (line: string, done: (error: Error | null, result: [string[], string]) => void) => {
          this.#complete(line).then(
            (result) => done(null, result),
            () => done(null, [[], line]),
          );
        },
      });
      let isDone = false;
      lines.on('history', (history: string[]) => this.#history.splice(0, this.#history.length, ...history));
      lines.on('line', (line) => {
        if (isDone) {
          this.#waiting.push(line);
          return;
        }
        isDone = true;
        // Lines that were pasted together come one after the other, before anything else.
        setImmediate(() => {
          this.#partial = lines.line;
          lines.close();
          resolve(line);
        });
      });
      lines.on('SIGINT', () => {
        process.stdout.write('^C\n');
        lines.write(null, { ctrl: true, name: 'e' });
        lines.write(null, { ctrl: true, name: 'u' });
        lines.prompt();
      });
      lines.on('close', () => {
        if (isDone) return;
        process.stdout.write('\n');
        resolve(undefined);
      });
      lines.prompt();
      if (this.#partial !== '') lines.write(this.#partial);
      this.#partial = '';
    });
  }

  #prompt(): string {
    const directory = this.#session.directory;
    const where = directory === undefined ? '' : `:${printable(directory, 200)}`;
    return `${printable(this.#session.name, 100)}${where}> `;
  }

  async #complete(line: string): Promise<[string[], string]> {
    // A second Tab while the first is under way would complete the same once more.
    if (this.#isCompleting) return [[], line];
    this.#isCompleting = true;
    return this.#completions(line).finally(() => {
      this.#isCompleting = false;
    });
  }

  #completions(line: string): Promise<[string[], string]> {
    const signal = AbortSignal.timeout(COMPLETION_MS);
    const list: RemoteLister = async (directory) => {
      const connection = await this.#session.connection();
      const entries = await connection.listdirAttr(directory, { signal });
      return Promise.all(
        entries.map(async (entry) => ({
          name: entry.filename,
          isDirectory:
            entry.isDirectory() ||
            (entry.isSymbolicLink() &&
              (await connection.isdir(`${directory}/${entry.filename}`, { signal }).catch(() => false))),
        })),
      );
    };
    return complete(line, list);
  }
}
