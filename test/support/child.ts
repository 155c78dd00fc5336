/** A script in a process of its own: to see that it ends by itself, how much memory it takes, what it leaves behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/**
 * What Node needs to run a program of the tests, given by its path in the repository: what `npm test` has built of it,
 * or the compiler and the source.
 */
export function programOf(path: string): readonly [...flags: string[], file: string] {
  const folder = process.env.TSFTP_TEST_BUILD;
  if (folder !== undefined) return [join(folder, path.replace(/\.ts$/, '.mjs'))];
  return ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL(`../../${path}`, import.meta.url))];
}

interface ChildOptions {
  readonly deadlineMs?: number;
  readonly cwd?: string;
  /** A folder with compiled code, to run without the compiler in the same process. */
  readonly build?: string;
  /** How many files it may have open. */
  readonly descriptors?: number;
}

export interface ChildResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs JavaScript that finds the public names as `tsftp`, and its argument as
 * `input`. Unhandled rejections end it with an error; so does the deadline.
 */
export async function runChild(
  script: string,
  input: unknown,
  { deadlineMs = 60_000, cwd = process.cwd(), build, descriptors }: ChildOptions = {},
): Promise<ChildResult> {
  const [...compiler] = build === undefined ? programOf('src/index.ts') : [join(build, 'index.js')];
  const module = pathToFileURL(compiler.pop() ?? '');
  const code = `
    import * as tsftp from ${JSON.stringify(module.href)};
    const input = JSON.parse(process.argv[1]);
    ${script}`;
  const flags = ['--unhandled-rejections=strict', ...compiler];
  const node = [process.execPath, ...flags, '--input-type=module', '-e', code, JSON.stringify(input)];
  const limited = ['sh', '-c', `ulimit -n ${descriptors}; exec "$@"`, 'sh', ...node];
  const [program = '', ...words] = descriptors === undefined ? node : limited;
  const child = spawn(program, words, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: deadlineMs,
    killSignal: 'SIGKILL',
  });
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
