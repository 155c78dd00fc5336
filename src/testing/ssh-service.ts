/** One SSH connection to the embedded server, over ssh2. */
import type { Socket } from 'node:net';
import type {
  AcceptConnection,
  AuthContext,
  Connection,
  RejectConnection,
  ServerChannel,
  Session,
} from 'ssh2';
import type { Authenticator } from './authentication.js';
import type { Backend } from './backends/backend.js';
import { type CommandHandler, runCommand } from './commands.js';
import type { Counters } from './counters.js';
import type { Faults } from './faults.js';
import { serveSftp } from './sftp/sftp-service.js';

export interface SshServiceOptions {
  readonly authenticate: Authenticator;
  readonly backend: Backend;
  readonly home: string;
  readonly extensions: readonly string[];
  readonly commands: CommandHandler | undefined;
  readonly counters: Counters;
  /** Asked for at the start of every session, so that tests can change them in between. */
  readonly faults: () => Faults;
}

/** OpenSSH's MaxAuthTries, MaxSessions and LoginGraceTime, the latter shorter. */
const MAX_ATTEMPTS = 6;
const MAX_SESSIONS = 10;
const LOGIN_TIME_MS = 30_000;
/** Less than this for a packet is an attack: ssh2 loops for ever on 0. */
const MIN_PACKET_LENGTH = 256;
/** What may wait to be sent: a client that asks and does not read must not fill the memory. */
const MAX_UNSENT_LENGTH = 32 * 1024 * 1024;
/** Twice the window that ssh2 gives and does not enforce. */
const MAX_UNREAD_LENGTH = 4 * 1024 * 1024;

/** Serves one client until its connection ends. */
export function serveSsh(client: Connection, socket: Socket, options: SshServiceOptions): void {
  new SshService(client, socket, options).start();
}

class SshService {
  readonly #client: Connection;
  readonly #socket: Socket;
  readonly #options: SshServiceOptions;
  /** What ends each session that is open. */
  readonly #sessions = new Set<AbortController>();
  readonly #channels = new Set<ServerChannel>();
  #username = '';
  #attempts = 0;

  constructor(client: Connection, socket: Socket, options: SshServiceOptions) {
    this.#client = client;
    this.#socket = socket;
    this.#options = options;
  }

  start(): void {
    const client = this.#client;
    const socket = this.#socket;
    const grace = setTimeout(() => socket.destroy(), LOGIN_TIME_MS).unref();
    socket.once('close', () => {
      clearTimeout(grace);
      for (const session of this.#sessions) session.abort();
    });
    socket.on('data', () => this.#checkBuffers());
    // ssh2 ends the connection by itself; the client's misdeeds are no errors of this process.
    client.on('error', () => socket.destroy());
    client.on('authentication', (context) => this.#authenticate(context));
    client.on('ready', () => {
      clearTimeout(grace);
      this.#options.counters.logins += 1;
    });
    client.on('session', (accept, reject) => {
      if (this.#sessions.size < MAX_SESSIONS) this.#open(accept());
      else reject();
    });
  }

  /** ssh2 takes what a client sends beyond the window, and answers a client that does not read. */
  #checkBuffers(): void {
    const unread = [...this.#channels].some((channel) => channel.readableLength > MAX_UNREAD_LENGTH);
    if (unread || this.#socket.writableLength > MAX_UNSENT_LENGTH) this.#socket.destroy();
  }

  #authenticate(context: AuthContext): void {
    if (this.#options.authenticate(context)) {
      this.#username = context.username;
      return;
    }
    const isQuestion = context.method === 'publickey' && context.signature === undefined;
    if (context.method === 'none' || isQuestion) return;
    this.#options.counters.refusedLogins += 1;
    this.#attempts += 1;
    if (this.#attempts >= MAX_ATTEMPTS) this.#client.end();
  }

  #open(session: Session): void {
    const closed = new AbortController();
    this.#sessions.add(closed);
    session.once('close', () => {
      this.#sessions.delete(closed);
      closed.abort();
    });
    session.on('subsystem', (accept, reject, { name }) => {
      const channel = name === 'sftp' ? this.#accept(accept, closed.signal) : undefined;
      if (channel === undefined) refuse(reject);
      else this.#serveSftp(channel, closed.signal);
    });
    session.on('exec', (accept, reject, { command }) => {
      const { commands } = this.#options;
      const channel = commands === undefined ? undefined : this.#accept(accept, closed.signal);
      if (channel === undefined || commands === undefined) refuse(reject);
      else void runCommand(channel, commands, command, this.#username);
    });
  }

  #accept(accept: AcceptConnection<ServerChannel>, signal: AbortSignal): ServerChannel | undefined {
    const channel = accept() as
      | (ServerChannel & { readonly outgoing: { readonly packetSize: number } })
      | undefined;
    if (channel === undefined) return undefined;
    if (channel.outgoing.packetSize < MIN_PACKET_LENGTH) {
      this.#socket.destroy();
      return undefined;
    }
    this.#channels.add(channel);
    signal.addEventListener('abort', () => this.#channels.delete(channel), { once: true });
    return channel;
  }

  #serveSftp(channel: ServerChannel, signal: AbortSignal): void {
    serveSftp(channel, {
      ...this.#options,
      username: this.#username,
      faults: this.#options.faults(),
      carrier: this.#socket,
      disconnect: () => this.#socket.destroy(),
      signal,
      onEnd: (exitCode) => channel.exit(exitCode),
    });
  }
}

/** ssh2 gives none where the client wants no reply. */
function refuse(reject: RejectConnection | undefined): void {
  reject?.();
}
