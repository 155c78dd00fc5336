/** Commands on the server. */
import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import { ConnectionLostError, SftpError, TimeoutError } from '../errors.js';
import { FirstOf, untilAborted } from '../shared/abort.js';
import { CALL_OPTIONS, type OptionTable } from '../shared/option-checks.js';
import { printable } from '../shared/printable.js';
import { timerDelay } from '../shared/timer-delay.js';
import type { SshConnection } from '../ssh/ssh-connection.js';

/** Options of {@link Connection.run}. */
export interface RunOptions {
  /** Ends the command's channel and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that the command may take; its channel is ended then, with a `TimeoutError`. Default: no limit. */
  readonly timeout?: number | undefined;
  /** What the command reads from its standard input; it is closed after that, or at once. */
  readonly input?: string | Uint8Array | undefined;
  /** The most bytes of output that are kept of stdout, and of stderr. Default: 64 MiB. */
  readonly maxOutput?: number | undefined;
}

export const RUN_OPTIONS: OptionTable<RunOptions & { readonly encoding?: OutputEncoding | undefined }> = {
  encoding: 'checked',
  ...CALL_OPTIONS,
  input: 'checked',
  maxOutput: 'checked',
};

/** What the output of a command is to be: text from UTF-8, or the bytes as they came. */
export type OutputEncoding = 'utf8' | 'buffer';

/** How a command ended and what it wrote. */
export interface RunResult<Output = string> {
  readonly stdout: Output;
  readonly stderr: Output;
  /** `null` where a signal ended it; with `transport: 'openssh'` 255 then, as ssh tells no more. */
  readonly exitCode: number | null;
  /** For instance `SIGTERM`, or `null`; with `transport: 'openssh'` always `null`. */
  readonly signal: string | null;
}

const MAX_OUTPUT = 64 * 1024 * 1024;

export async function runCommand(
  ssh: SshConnection,
  command: string,
  { signal: given, timeout, input, maxOutput = MAX_OUTPUT }: RunOptions,
): Promise<RunResult<Buffer>> {
  if (typeof command !== 'string') throw new TypeError(`command must be a string, not ${typeof command}`);
  if (command.includes('\0')) throw new TypeError('command contains a NUL character');
  using abort = new FirstOf(given);
  limitTime(abort, command, timeout);
  const { signal } = abort;
  const running = await ssh.startCommand(command, { signal });
  // A command that does not read its input may have ended before it is written.
  running.stdin.on('error', () => {});
  running.stdin.end(input);
  const ending = Promise.all([
    collect(running.stdout, command, maxOutput),
    collect(running.stderr, command, maxOutput),
    running.exit,
  ]);
  try {
    const [stdout, stderr, exit] = await untilAborted(ending, signal);
    return { stdout, stderr, ...exit };
  } catch (error) {
    running.kill();
    throw error;
  }
}

/** Lets a signal abort when a command has taken too long. */
function limitTime(abort: FirstOf, command: string, timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) return;
  const shown = printable(command, 100);
  const text = `The command '${shown}' has not ended within ${timeoutMs} ms; its channel was closed`;
  const timer = setTimeout(() => abort.fail(new TimeoutError(text)), timerDelay(timeoutMs));
  abort.callOffs.push(() => clearTimeout(timer));
}

/** What comes after the end of our interest is read all the same, as the channel closes behind it. */
function collect(output: Readable, command: string, maxOutput: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    output.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxOutput) chunks.push(chunk);
      else reject(tooMuchOutput(command, maxOutput));
    });
    output.once('end', () => resolve(Buffer.concat(chunks)));
    output.once('error', reject);
    output.once('close', () => reject(new ConnectionLostError('The output of the command was cut off')));
  });
}

function tooMuchOutput(command: string, maxOutput: number): SftpError {
  const shown = printable(command, 100);
  return new SftpError('LIMIT', `'${shown}' wrote more than ${maxOutput} bytes; raise maxOutput for more`);
}

export function asText({ stdout, stderr, ...exit }: RunResult<Buffer>): RunResult {
  return { stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8'), ...exit };
}

/** pysftp's answer: the lines of stdout, or of stderr where stdout is empty; without their ends. */
export function linesOf({ stdout, stderr }: RunResult<Buffer>): Buffer[] {
  const output = stdout.length === 0 ? stderr : stdout;
  const lines: Buffer[] = [];
  for (let start = 0; start < output.length; ) {
    const end = output.indexOf('\n', start);
    lines.push(output.subarray(start, end < 0 ? output.length : end));
    start = end < 0 ? output.length : end + 1;
  }
  return lines;
}
