/** The servers against which the same suites run: OpenSSH's, and the embedded one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Connection, ConnectOptions } from '../../src/index.js';
import { startServer } from '../../src/testing/index.js';
import { connectToServer, connectToSshd } from './login.js';
import { needsOpenSsh, startSshd } from './sshd.js';

export interface ServerUnderTest {
  /** A folder of the server, as a path of this machine. */
  readonly folder: string;
  /** Where it listens. Default: on 127.0.0.1. */
  readonly host?: string;
  readonly port: number;
  /** A name in that folder as the server's path. */
  path(name: string): string;
  connect(options?: ConnectOptions): Promise<Connection>;
  /** Answers nothing from now on. */
  freeze(): void;
  /** Cuts every connection at once; new ones are welcome. */
  cut(): void;
  stop(): Promise<void>;
}

interface ServerKind {
  readonly name: string;
  readonly skip: string | false;
  start(): Promise<ServerUnderTest>;
}

export const serverKinds: readonly ServerKind[] = [
  { name: 'OpenSSH', skip: needsOpenSsh, start: startOpenSsh },
  { name: 'the embedded server', skip: false, start: startEmbedded },
];

async function startOpenSsh(): Promise<ServerUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-remote-'));
  const sshd = await startSshd();
  return {
    folder,
    port: sshd.port,
    path: (name) => join(folder, name),
    connect: (options) => connectToSshd(sshd, options),
    freeze: () => sshd.pause(),
    cut: () => {
      for (const pid of sshd.children()) kill(pid);
    },
    stop: async () => {
      await sshd.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** It may have ended by itself meanwhile. */
function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function startEmbedded(): Promise<ServerUnderTest> {
  const folder = mkdtempSync(join(tmpdir(), 'tsftp-remote-'));
  let isFrozen = false;
  const commands = (command: string) => {
    if (command === 'hang') return new Promise<never>(() => {});
    return { stdout: `${command}\n` };
  };
  const failOn = () => (isFrozen ? new Promise<undefined>(() => {}) : undefined);
  const server = await startServer({ root: folder }, { commands, faults: { failOn } });
  return {
    folder,
    port: server.port,
    path: (name) => `/${name}`,
    connect: (options) => connectToServer(server, options),
    freeze: () => {
      isFrozen = true;
    },
    cut: () => server.disconnectAll(),
    stop: async () => {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
