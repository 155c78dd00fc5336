/** An OpenSSH server, folders on both sides, and clients that are ended whatever happens. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Client, { type ClientError, type ConnectOptions } from '../../../src/ssh2-sftp-client/index.js';
import { type Sshd, startSshd } from '../../support/sshd.js';

export interface World extends AsyncDisposable {
  readonly sshd: Sshd;
  /** Folders of this machine; the server sees them under the same names. */
  readonly here: string;
  readonly there: string;
  /** What logs in, with the server's key accepted. */
  readonly options: ConnectOptions;
  /** A client that is connected. */
  connect(more?: ConnectOptions): Promise<Client>;
}

export async function startWorld(): Promise<World> {
  const sshd = await startSshd();
  const here = mkdtempSync(join(tmpdir(), 'tsftp-here-'));
  const there = mkdtempSync(join(tmpdir(), 'tsftp-there-'));
  const clients: Client[] = [];
  const options: ConnectOptions = {
    host: sshd.host,
    port: sshd.port,
    username: sshd.user,
    privateKey: readFileSync(sshd.privateKeyPath),
    hostVerifier: () => true,
  };
  return {
    sshd,
    here,
    there,
    options,
    connect: async (more = {}) => {
      const client = new Client('test', { error: () => {}, end: () => {}, close: () => {} });
      clients.push(client);
      await client.connect({ ...options, ...more });
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((client) => client.end()));
      await sshd.stop();
      rmSync(here, { recursive: true, force: true });
      rmSync(there, { recursive: true, force: true });
    },
  };
}

/** What a call rejects with: its message and its code. */
export async function failureOf(call: Promise<unknown>): Promise<readonly [message: string, code: unknown]> {
  const error = await call.then(
    (value) => {
      throw new Error(`It did not fail, but gave ${String(value)}`);
    },
    (reason: ClientError) => reason,
  );
  if (error.custom !== true) throw error;
  return [error.message, error.code];
}
