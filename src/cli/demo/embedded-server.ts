/**
 * The server of `tsftp/testing` for the demo. It runs in a process of its own: server and client then use a core
 * each, as two machines would.
 */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Connection, connect } from '../../index.js';

/** What the server's process tells when it listens. */
export interface ServerAddress {
  readonly host: string;
  readonly port: number;
  readonly knownHosts: string;
  readonly fingerprint: string;
}

export interface EmbeddedServer extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
  readonly fingerprint: string;
  /** Connects as users do: with a password, and a known_hosts file that holds the server's key. */
  connect(signal: AbortSignal): Promise<Connection>;
}

const USERNAME = 'demo';
/** Makes the demo the server. */
export const SERVER_WORD = '--serve';

/** Starts the server on a free port, over a new directory below `folder`. */
export async function startEmbeddedServer(folder: string, signal: AbortSignal): Promise<EmbeddedServer> {
  const root = join(folder, 'server');
  await mkdir(root);
  const password = randomBytes(16).toString('hex');
  // The same program once more.
  const [, program = ''] = process.argv;
  const child = fork(program, ['demo', SERVER_WORD, root, USERNAME, password]);
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  };
  try {
    const { host, port, knownHosts, fingerprint } = await firstMessage(child, signal);
    const knownhosts = join(folder, 'known_hosts');
    await writeFile(knownhosts, knownHosts);
    const login = { port, username: USERNAME, password, cnopts: { knownhosts } };
    return {
      address: `${host}:${port}`,
      fingerprint,
      connect: (signal) => connect(host, { ...login, signal }),
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function firstMessage(child: ReturnType<typeof fork>, signal: AbortSignal): Promise<ServerAddress> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    child.once('message', (message) => resolve(message as ServerAddress));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the embedded server ended with status ${code}`)));
  });
}
