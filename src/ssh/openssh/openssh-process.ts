/** Starts and ends ssh. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

export interface ProcessOptions {
  readonly program: string;
  /** Added to our own environment. */
  readonly environment: Readonly<Record<string, string>>;
}

/** In a session of its own: it finds no terminal to ask on, and the keyboard's interrupt is for us to handle. */
export function startSsh(args: readonly string[], options: ProcessOptions): ChildProcessWithoutNullStreams {
  const { SSH_ASKPASS: _unused, ...inherited } = process.env;
  return spawn(options.program, [...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...inherited, ...options.environment },
    detached: process.platform !== 'win32',
    windowsHide: true,
  });
}

/**
 * The same through a shell, which becomes ssh and keeps its number, and tells it to the helper that asks for ssh: so
 * that helper knows whether it was this ssh that has started it.
 */
export function startNumberedSsh(
  args: readonly string[],
  { program, environment }: ProcessOptions,
): ChildProcessWithoutNullStreams {
  const become = ['-c', 'export TSFTP_PID=$$; exec "$0" "$@"', program];
  return startSsh([...become, ...args], { program: '/bin/sh', environment });
}

/** Ends ssh and what it has started, such as a ProxyCommand, which are the processes of its session. */
export function killSsh(child: ChildProcessWithoutNullStreams, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  if (process.platform === 'win32') {
    child.kill(signal);
    return;
  }
  try {
    process.kill(-child.pid, signal);
  } catch {
    child.kill(signal);
  }
}
