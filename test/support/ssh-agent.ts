/** A real ssh-agent for tests, on a socket of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SshAgent extends AsyncDisposable {
  /** The socket, as in `$SSH_AUTH_SOCK`. */
  readonly path: string;
  /** Loads a private key file without a passphrase. */
  add(file: string): void;
}

export async function startSshAgent(): Promise<SshAgent> {
  const folder = await mkdtemp(join(tmpdir(), 'tsftp-agent-'));
  const path = join(folder, 'agent');
  const child = spawn('ssh-agent', ['-D', '-a', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  // It tells its socket once it listens.
  await once(child.stdout, 'data');
  return {
    path,
    add: (file) => {
      const env = { ...process.env, SSH_AUTH_SOCK: path };
      execFileSync('ssh-add', ['-q', file], { env, stdio: 'ignore' });
    },
    [Symbol.asyncDispose]: async () => {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
