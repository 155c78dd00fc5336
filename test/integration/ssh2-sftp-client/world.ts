/** An OpenSSH server, folders on both sides, and clients that are ended whatever happens. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
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

/** A TCP proxy that breaks its connections when the test says so, as seen from the client. */
export interface Relay {
  readonly port: number;
  /** With RST. */
  reset(): void;
  /** With FIN. */
  finish(): void;
  /** Passes nothing on any more. */
  stall(): void;
  close(): void;
}

export async function startRelay(targetPort: number): Promise<Relay> {
  const lines: (readonly [client: Socket, onward: Socket])[] = [];
  const server = createServer((client) => {
    const onward = dial(targetPort, '127.0.0.1');
    for (const socket of [client, onward]) socket.on('error', () => {});
    client.pipe(onward).pipe(client);
    lines.push([client, onward]);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const forAll = (work: (client: Socket, onward: Socket) => void) => () => {
    for (const [client, onward] of lines) {
      onward.unpipe(client);
      client.unpipe(onward);
      work(client, onward);
    }
  };
  const reset = forAll((client, onward) => {
    client.resetAndDestroy();
    onward.destroy();
  });
  return {
    port: (server.address() as AddressInfo).port,
    reset,
    finish: forAll((client, onward) => {
      client.end();
      onward.destroy();
    }),
    stall: forAll(() => {}),
    close: () => {
      reset();
      server.close();
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
