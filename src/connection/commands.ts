/** Commands on the server. */
import { Buffer } from 'node:buffer';
import type { Readable } from 'node:stream';
import { untilAborted } from '../abort.js';
import { ConnectionLostError, SftpError } from '../errors.js';
import { printable } from '../printable.js';
import type { SshConnection } from '../ssh/ssh-connection.js';

/** Options of {@link Connection.run}. */
export interface RunOptions {
  /** Ends the command's channel and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** What the command reads from its standard input; it is closed after that, or at once. */
  readonly input?: string | Uint8Array | undefined;
  /** The most bytes of output that are kept of stdout, and of stderr. Default: 64 MiB. */
  readonly maxOutput?: number | undefined;
}

/** How a command ended and what it wrote. */
export interface RunResult {
  readonly stdout: string;
  readonly stderr: string;
  /** `null` where a signal ended it; with `transport: 'openssh'` 255 then, as ssh tells no more. */
  readonly exitCode: number | null;
  /** For instance `SIGTERM`, or `null`; with `transport: 'openssh'` always `null`. */
  readonly signal: string | null;
}

const MAX_OUTPUT = 64 * 1024 * 1024;

export async function runCommand(
  ssh: SshConnection,
  command: string,
  { signal, input, maxOutput = MAX_OUTPUT }: RunOptions,
): Promise<RunResult> {
  if (typeof command !== 'string') throw new TypeError(`command must be a string, not ${typeof command}`);
  if (command.includes('\0')) throw new TypeError('command contains a NUL character');
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

/** What comes after the end of our interest is read all the same, as the channel closes behind it. */
function collect(output: Readable, command: string, maxOutput: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    output.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= maxOutput) chunks.push(chunk);
      else reject(tooMuchOutput(command, maxOutput));
    });
    output.once('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    output.once('error', reject);
    output.once('close', () => reject(new ConnectionLostError('The output of the command was cut off')));
  });
}

function tooMuchOutput(command: string, maxOutput: number): SftpError {
  const shown = printable(command, 100);
  return new SftpError('LIMIT', `'${shown}' wrote more than ${maxOutput} bytes; raise maxOutput for more`);
}

/** pysftp's answer: the lines of stdout, or of stderr where stdout is empty. */
export function linesOf({ stdout, stderr }: RunResult): string[] {
  const text = stdout === '' ? stderr : stdout;
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
