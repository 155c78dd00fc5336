/** One run of a command, as the operating system accounts for it. */
import { spawn } from 'node:child_process';

export interface Measurement {
  readonly wallSeconds: number;
  /** User and system time of the command and its children. */
  readonly cpuSeconds: number;
  /** How much content it has moved. */
  readonly bytes: number;
  /** What the command says of itself: a line `BENCH {json}` on stderr. */
  readonly extra: Readonly<Record<string, number>>;
}

export interface MeasureOptions {
  readonly env: NodeJS.ProcessEnv;
  /** What it is going to move. */
  readonly bytes: number;
  /** Whoever takes longer is ended. Default: 15 minutes. */
  readonly limitSeconds?: number | undefined;
}

/** The command took longer than it may. */
export class TooSlow extends Error {}

/** Runs a command under bash's `time`; rejects where it fails, with the end of what it printed. */
export async function measure(
  command: readonly string[],
  { env, bytes, limitSeconds = 15 * 60 }: MeasureOptions,
): Promise<Measurement> {
  const timed = ['-c', 'TIMEFORMAT="TIMES %R %U %S"; time "$@"', 'bench', ...command];
  // A group of its own, so that it can be ended with all its children.
  const child = spawn('bash', timed, { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let printed = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed = (printed + text).slice(-20_000);
  });
  let isTooSlow = false;
  const timer = setTimeout(() => {
    isTooSlow = true;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, limitSeconds * 1000);
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => clearTimeout(timer));
  if (isTooSlow) throw new TooSlow(`${command.join(' ')} took more than ${limitSeconds} s`);
  const times = /TIMES ([\d.]+) ([\d.]+) ([\d.]+)/.exec(printed);
  if (status !== 0 || times === null) {
    throw new Error(`${command.join(' ')} ended with ${status}: ${printed.slice(-2000)}`);
  }
  const [wallSeconds = 0, user = 0, system = 0] = times.slice(1).map(Number);
  const said = /^BENCH (\{.*\})$/m.exec(printed);
  const extra = said?.[1] === undefined ? {} : JSON.parse(said[1]);
  return { wallSeconds, cpuSeconds: user + system, bytes, extra };
}
