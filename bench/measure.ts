/** One run of a command, as the operating system accounts for it. */
import { spawn } from 'node:child_process';

export interface Measurement {
  readonly wallSeconds: number;
  /** User and system time of the command and its children. */
  readonly cpuSeconds: number;
  /** What the command says of itself: a line `BENCH {json}` on stderr. */
  readonly extra: Readonly<Record<string, number>>;
}

/** Whoever hangs is ended, and the run counts for nothing. */
const TIME_LIMIT_MS = 15 * 60_000;

/** Runs a command under bash's `time`; rejects where it fails, with the end of what it printed. */
export async function measure(command: readonly string[], env: NodeJS.ProcessEnv): Promise<Measurement> {
  const timed = ['-c', 'TIMEFORMAT="TIMES %R %U %S"; time "$@"', 'bench', ...command];
  const child = spawn('bash', timed, { env, stdio: ['ignore', 'ignore', 'pipe'], timeout: TIME_LIMIT_MS });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-20_000);
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const times = /TIMES ([\d.]+) ([\d.]+) ([\d.]+)/.exec(printed);
  if (status !== 0 || times === null) {
    throw new Error(`${command.join(' ')} ended with ${status}: ${printed.slice(-2000)}`);
  }
  const [wallSeconds = 0, user = 0, system = 0] = times.slice(1).map(Number);
  const said = /^BENCH (\{.*\})$/m.exec(printed);
  return {
    wallSeconds,
    cpuSeconds: user + system,
    extra: said?.[1] === undefined ? {} : JSON.parse(said[1]),
  };
}
