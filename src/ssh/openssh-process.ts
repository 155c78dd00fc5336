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
