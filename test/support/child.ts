/** A script in a process of its own: to see that it ends by itself, how much memory it takes, what it leaves behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

const source = (path: string) => new URL(`../../src/${path}`, import.meta.url).href;

export interface ChildResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs JavaScript that finds the public names as `tsftp`, the embedded server as `testing`, and its argument as
 * `input`. Unhandled rejections end it with an error; so does the deadline.
 */
export async function runChild(
  script: string,
  input: unknown,
  { deadlineMs = 60_000, cwd = process.cwd() }: { deadlineMs?: number; cwd?: string } = {},
): Promise<ChildResult> {
  const code = `
    import * as tsftp from ${JSON.stringify(source('index.ts'))};
    import * as testing from ${JSON.stringify(source('testing/index.ts'))};
    const input = JSON.parse(process.argv[1]);
    ${script}`;
  const flags = ['--unhandled-rejections=strict', '--import', import.meta.resolve('tsx')];
  const child = spawn(
    process.execPath,
    [...flags, '--input-type=module', '-e', code, JSON.stringify(input)],
    {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: deadlineMs,
      killSignal: 'SIGKILL',
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const [exitCode] = (await once(child, 'close')) as [number | null];
  return { exitCode, stdout, stderr };
}
