/** Programs on a terminal. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { TestContext } from 'node:test';

/** util-linux's `script` gives a program a terminal of its own. */
export const needsScript: string | false =
  spawnSync('script', ['--version'], { encoding: 'utf8' }).stdout?.includes('util-linux') === true
    ? false
    : 'needs the program script of util-linux';

const PATIENCE_MS = 30_000;

/** A program with a terminal of its own. */
export class Terminal {
  readonly child: ChildProcess;
  output = '';
  #seen = 0;

  /** @param command for a shell */
  constructor(
    t: TestContext,
    command: string,
    { cwd, env }: { readonly cwd: string; readonly env: NodeJS.ProcessEnv },
  ) {
    // Without `exec`, a shell such as dash stays, has the Ctrl-C too, and ends with 130 for it.
    this.child = spawn('script', ['-qec', `exec ${command}`, '/dev/null'], {
      cwd,
      env: { ...env, TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => this.child.kill('SIGKILL'));
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text;
      this.child.emit('told');
    });
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  /** Waits for words that come after those that were waited for before. */
  async expect(pattern: RegExp): Promise<string> {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      const match = pattern.exec(this.output.slice(this.#seen));
      if (match !== null) {
        this.#seen += match.index + match[0].length;
        return match[0];
      }
      await once(this.child, 'told', { signal }).catch(() => {
        assert.fail(`${pattern} was not shown:\n${this.output.slice(this.#seen)}`);
      });
    }
  }

  async ended(): Promise<number | null> {
    if (this.child.exitCode === null) await once(this.child, 'close');
    return this.child.exitCode;
  }
}
