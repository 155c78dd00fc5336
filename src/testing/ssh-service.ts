/** One SSH connection to the embedded server, over ssh2. */
import type { Socket } from 'node:net';
import type { AcceptConnection, Connection, RejectConnection, ServerChannel, Session } from 'ssh2';
import type { Authenticator } from './authentication.js';
import type { Backend } from './backend.js';
import { type CommandHandler, runCommand } from './commands.js';
import type { Counters } from './counters.js';
import type { Faults } from './faults.js';
import { serveSftp } from './sftp-service.js';

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

export function serveSsh(client: Connection, socket: Socket, options: SshServiceOptions): void {
  const { authenticate, counters } = options;
  let username = '';
  let attempts = 0;
  let sessions = 0;
  const grace = setTimeout(() => socket.destroy(), LOGIN_TIME_MS).unref();
  const ended = new AbortController();
  socket.once('close', () => {
    clearTimeout(grace);
    ended.abort();
  });
  socket.on('data', () => {
    if (socket.writableLength > MAX_UNSENT_LENGTH) socket.destroy();
  });
  // ssh2 ends the connection by itself; the client's misdeeds are no errors of this process.
  client.on('error', () => socket.destroy());
  client.on('authentication', (context) => {
    if (authenticate(context)) {
      username = context.username;
      return;
    }
    if (context.method === 'none' || (context.method === 'publickey' && context.signature === undefined))
      return;
    counters.refusedLogins += 1;
    attempts += 1;
    if (attempts >= MAX_ATTEMPTS) client.end();
  });
  client.on('ready', () => {
    clearTimeout(grace);
    counters.logins += 1;
  });
  client.on('session', (accept, reject) => {
    if (sessions >= MAX_SESSIONS) {
      reject();
      return;
    }
    sessions += 1;
    const session = accept();
    const closed = new AbortController();
    const end = () => closed.abort();
    session.once('close', () => {
      sessions -= 1;
      end();
    });
    ended.signal.addEventListener('abort', end, { once: true });
    serveSession(session, { ...options, username, socket, signal: closed.signal });
  });
}

interface SessionOptions extends SshServiceOptions {
  readonly username: string;
  readonly socket: Socket;
  readonly signal: AbortSignal;
}

function serveSession(session: Session, options: SessionOptions): void {
  const { socket, signal, commands, username } = options;
  session.on('subsystem', (accept, reject, { name }) => {
    const channel = name === 'sftp' ? acceptChannel(accept, socket) : undefined;
    if (channel === undefined) {
      refuse(reject);
      return;
    }
    serveSftp(channel, {
      ...options,
      faults: options.faults(),
      carrier: socket,
      disconnect: () => socket.destroy(),
      onEnd: (exitCode) => channel.exit(exitCode),
    });
    guardUnread(channel, socket, signal);
  });
  session.on('exec', (accept, reject, { command }) => {
    const channel = commands === undefined ? undefined : acceptChannel(accept, socket);
    if (channel === undefined || commands === undefined) {
      refuse(reject);
      return;
    }
    guardUnread(channel, socket, signal);
    void runCommand(channel, commands, command, username);
  });
}

/** ssh2 gives none where the client wants no reply. */
function refuse(reject: RejectConnection | undefined): void {
  reject?.();
}

function acceptChannel(accept: AcceptConnection<ServerChannel>, socket: Socket): ServerChannel | undefined {
  const channel = accept() as
    | (ServerChannel & { readonly outgoing: { readonly packetSize: number } })
    | undefined;
  if (channel !== undefined && channel.outgoing.packetSize < MIN_PACKET_LENGTH) {
    socket.destroy();
    return undefined;
  }
  return channel;
}

/** ssh2 takes what a client sends beyond the window. */
function guardUnread(channel: ServerChannel, socket: Socket, signal: AbortSignal): void {
  const check = () => {
    if (channel.readableLength > MAX_UNREAD_LENGTH) socket.destroy();
  };
  socket.on('data', check);
  signal.addEventListener('abort', () => socket.off('data', check), { once: true });
}
